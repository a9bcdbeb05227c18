"""The configuration that the page works by, read anew after it was changed."""

from __future__ import annotations

from pathlib import Path

from uncnn.daemon.config import Config, config_file
from uncnn.daemon.files.folders import named
from uncnn.daemon.settings import configuration


class Configured:
    """The configuration file and what it says; where there is none, the defaults."""

    def __init__(self, explicit: Path | None) -> None:
        """Read it. Raises ConfigError, FolderError: this user has no home."""
        self._explicit = explicit
        self.file = named(config_file(explicit))
        self.config: Config = configuration(explicit)

    def read(self) -> None:
        """Read it once more. Raises ConfigError: it is wrong now, and what was read before stays."""
        self.config = configuration(self._explicit)

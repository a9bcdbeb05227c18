"""The configuration that the page works by, read anew after it was changed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from uncnn.daemon.config import Config, config_file
from uncnn.daemon.files.folders import named
from uncnn.daemon.settings import configuration


@dataclass(slots=True)
class Configured:
    """A configuration file, and what it said when it was last read: the defaults where there is none."""

    file: Path
    config: Config

    @classmethod
    def read(cls, explicit: Path | None) -> Self:
        """Return the user's, or the named one. Raises ConfigError: it is wrong. FolderError: this user has no home."""
        return cls(named(config_file(explicit)), configuration(explicit))

    def seen(self) -> str | None:
        """Return the sha256 of the file, which a form sends back: it may be another then. None: there is no file."""
        try:
            return sha256(self.file.read_bytes()).hexdigest()
        except OSError:
            return None

    def read_again(self) -> None:
        """Go by the file as it is now. Raises ConfigError: it is wrong, and what it said before stays."""
        self.config = configuration(self.file)

"""A notification on the desktop when something new needs a person: at most one a minute, and none for what was told."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from typing import Final

from uncnn.daemon.ledger.view import View
from uncnn.daemon.wording import printable

QUIET_SECONDS: Final = 60.0


class Desktop:
    """Tells by `notify-send`, where the machine has it."""

    def __init__(self) -> None:
        self._told = 0
        self._at = -QUIET_SECONDS

    def tell(self, found: View) -> None:
        """Tell of photos and folders that need a person, where there are more than were told of."""
        number = found.concerns_in_all + sum(bool(folder.blocked) for folder in found.folders)
        if number <= self._told:
            self._told = number
            return
        program = shutil.which("notify-send")
        if program is None or time.monotonic() - self._at < QUIET_SECONDS:
            return
        self._told, self._at = number, time.monotonic()
        newest = "a folder is blocked"
        if found.concerns:
            newest = f"{printable(found.concerns[0].photo.name)}: {found.concerns[0].reason}"
        words = [f"{number} wait for you", f"{newest}\nuncnn-daemon status says more"]
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([program, "--app-name=uncnn", *words], check=False, timeout=5)

"""A notification on the desktop when something new needs a person: at most one a minute, and none for what was told."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

from uncnn.daemon.ledger.view import View
from uncnn.daemon.notice.growth import Growth
from uncnn.daemon.notice.notice import Notice
from uncnn.daemon.text import printable


class Desktop:
    """Tells by `notify-send`, where the machine has it."""

    def __init__(self) -> None:
        self._growth = Growth()

    def tell(self, found: View) -> None:
        """Tell of photos and folders that need a person, where there are more than were told of."""
        program = shutil.which("notify-send")
        notice = Notice.of(found)
        if program is None or not self._growth.is_news(notice.number):
            return
        newest = "a folder is blocked" if notice.folders else "the service cannot work"
        if found.concerns:
            newest = f"{printable(found.concerns[0].photo.name)}: {found.concerns[0].reason}"
        words = [f"{notice.number} wait for your decision", f"{newest}\nuncnn-daemon status shows the details"]
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([program, "--app-name=uncnn", *words], check=False, timeout=5)

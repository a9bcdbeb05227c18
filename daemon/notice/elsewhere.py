"""Has a message sent when more needs a person than before: by a process of its own, since the service has no network.

Under systemd a unit waits for the file of the notice (`uncnn-notify.path`); else the service starts the sender itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from uncnn.daemon.ledger.view import View
from uncnn.daemon.notice.growth import Growth
from uncnn.daemon.notice.notice import Notice, notice_file, write_notice

AGAIN_SECONDS: Final = 300.0
"""After a message that reached nobody it is tried again."""

BY_UNIT: Final = "UNCNN_NOTIFY_BY_UNIT"
"""Set where a unit of systemd sends: the service is not to."""


class Elsewhere:
    """Tells people who are not at the machine."""

    def __init__(self, state: Path) -> None:
        self._file = notice_file(state)
        self._growth = Growth()
        self._sender: subprocess.Popen[bytes] | None = None
        self._at = -AGAIN_SECONDS

    def tell(self, found: View, names: bool, config: Path) -> None:
        """Have what is new sent, and what was not sent sent again. Raises OSError: the notice cannot be written."""
        notice = Notice.of(found, names)
        at_work = self._sender is not None and self._sender.poll() is None
        if self._growth.is_news(notice.number):
            write_notice(self._file, notice)
            self._at = -AGAIN_SECONDS
        if notice.number == 0:
            self._file.unlink(missing_ok=True)
        if os.environ.get(BY_UNIT) or not self._file.exists():
            return
        now = time.monotonic()
        if not at_work and now - self._at >= AGAIN_SECONDS:
            self._at = now
            command = [sys.executable, "-m", "uncnn", "notify", "--config", str(config)]
            self._sender = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

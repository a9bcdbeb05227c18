"""Links that another process makes: a page that systemd started has no terminal to print one on.

A link's code lies as the digest of it in a private folder until a browser brings it, or an hour has passed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import state_dir
from uncnn.daemon.files.opening import make_durable

LINK_SECONDS: Final = 3600.0
MOST_LINKS: Final = 100
"""More lie there only if a program makes them: the oldest are taken away."""


def links_folder() -> Path:
    """Return the private folder of the codes, made where it is missing. Raises FolderError, OSError."""
    folder = state_dir() / "web-links"
    make_durable(folder, 0o700)
    return folder


def new_code(folder: Path) -> str:
    """Return a code that lets one browser in, within an hour. Raises OSError."""
    for old in _from_oldest(folder)[: -MOST_LINKS + 1]:
        old.unlink(missing_ok=True)
    code = secrets.token_urlsafe(24)
    os.close(os.open(folder / _digest(code), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    return code


def use_code(folder: Path, code: str) -> bool:
    """Return whether a code lets a browser in; it does so once."""
    file = folder / _digest(code)
    try:
        made = file.stat().st_mtime
        file.unlink()  # of two who bring it at once one alone can
    except OSError:
        return False
    return 0 <= time.time() - made < LINK_SECONDS


def _from_oldest(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda file: file.lstat().st_mtime_ns)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()

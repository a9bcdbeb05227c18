"""Flags of `os.open` that not every system has: where one is missing, it is 0 and asks for nothing.

What is imported in a notebook (`import uncnn`) goes by these, so that it runs on macOS and Windows too; the commands
and the service need a Unix.
"""

from __future__ import annotations

import os
from typing import Final

O_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
O_NONBLOCK: Final[int] = getattr(os, "O_NONBLOCK", 0)
O_CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)  # Python's own descriptors are never inherited anyway
O_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
O_PATH: Final[int] = getattr(os, "O_PATH", os.O_RDONLY)
O_BINARY: Final[int] = getattr(os, "O_BINARY", 0)  # Windows: bytes as they are

FOLDERS_CAN_BE_OPENED: Final = bool(O_DIRECTORY)
"""Whether a folder has a descriptor, by which what is in it is opened and made durable."""

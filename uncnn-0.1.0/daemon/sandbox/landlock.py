"""Landlock: which files a process may read, write and execute, by rules that it can never take back.

https://docs.kernel.org/userspace-api/landlock.html; `linux/landlock.h`. The C library has no functions for it, so
the three system calls are made by number.
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""The same on every architecture."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15
READ: Final = READ_FILE | READ_DIR
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
_MAKE_SPECIAL: Final = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # device, socket, FIFO, block device, link
_NETWORK: Final = 1 << 0 | 1 << 1  # TCP: bind, connect
_SCOPES: Final = 1 << 0 | 1 << 1  # abstract UNIX sockets, signals
_PATH_BENEATH: Final = 1
_ASK_VERSION: Final = 1
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 5: 16}  # so many rights over files from that version on

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of Landlock that the kernel has; 0: none, or it may not be used."""
    if platform.system() != "Linux":
        return 0
    found: int = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(found, 0)


def handled(of: int) -> int:
    """Return every right over files that version `of` knows."""
    count = max((rights for least, rights in _RIGHTS.items() if least <= of), default=0)
    return (1 << count) - 1


def restrict(reads: Iterable[Path], writes: Iterable[Path], programs: Iterable[Path], devices: Iterable[Path]) -> int:
    """Leave this thread, and those that it starts, these files alone, and return the version that saw to it.

    `reads` and `writes` are files or folders with all below them, where nothing but folders and plain files may be
    made; `devices` may be read, written and controlled. What is not there is passed over. No new privileges can be
    gained from now on.

    Raises OSError.
    """
    of = version()
    known = handled(of)
    attributes = struct.pack("QQQ", known, _NETWORK, _SCOPES)[: 8 if of < 4 else 16 if of < 6 else 24]
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        rights = [(path, READ) for path in reads]
        rights += [(path, known & ~EXECUTE & ~_MAKE_SPECIAL & ~IOCTL_DEVICE) for path in writes]
        rights += [(path, READ | EXECUTE) for path in programs]
        rights += [(path, READ | WRITE_FILE | IOCTL_DEVICE) for path in devices]
        for path, allowed in rights:
            _allow(ruleset, path, allowed & known)
        _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return of


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it is not there, or may not be looked at: then there is nothing to allow
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        rule = struct.pack("=Qi", rights if is_folder else rights & _OF_FILES, opened)
        _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    found: int = _libc.syscall(number, *arguments)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found

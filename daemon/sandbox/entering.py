"""Entering the sandbox: each protection by itself, so that one that is missing here takes none of the others away."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import tempfile
from collections.abc import Callable
from typing import Final

from uncnn.daemon.sandbox import landlock, seccomp
from uncnn.daemon.sandbox.protection import Protection
from uncnn.daemon.sandbox.rules import Sandbox
from uncnn.daemon.text import system_words

_SET_DUMPABLE: Final = 4
_ADDRESSES: Final = 16 << 30
_ADDRESSES_A_CORE: Final = 1 << 30
"""Bytes of addresses beyond the memory: libraries and threads, of which each core has some, never fill them."""

FIRST_SCOPE: Final = 6
"""The version of Landlock from which on signals to other processes are its part."""


def offered() -> Protection:
    """Return what this kernel has, before anything is entered."""
    version = landlock.version()
    missing = [] if version else [_NO_LANDLOCK]
    filters = seccomp.available()
    return Protection(version, filters, None, tuple(missing if filters else [*missing, _NO_SECCOMP]))


def enter(sandbox: Sandbox) -> Protection:
    """Put this process under the rules, for good, and return which of them hold.

    It goes on without one that cannot be had: what it answers is judged all the same, and `status` says what is
    missing.
    """
    missing: list[str] = []

    def tried(name: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except OSError as error:
            missing.append(f"{name} ({system_words(error)[1]})")
            return False
        return True

    tempfile.tempdir = str(sandbox.scratch) if sandbox.scratch is not None else None
    tried("no core dumps", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    if platform.system() == "Linux":
        tried("hidden from other processes", _hide)
    limited = sandbox.memory_bytes is not None and tried("a limit of memory", lambda: _limit(sandbox))
    version = 0
    if landlock.version() == 0:
        missing.append(_NO_LANDLOCK)
    elif len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 # it binds a thread and what that starts
        missing.append("Landlock (threads were at work before it)")
    elif tried("Landlock", lambda: _restrict_files(sandbox)):
        version = landlock.version()
    filtered = False
    if not seccomp.available():
        missing.append(_NO_SECCOMP)
    else:
        programs = bool(sandbox.programs)
        own = programs and version >= FIRST_SCOPE  # ends what it started; Landlock keeps it from all others
        filtered = tried("seccomp", lambda: seccomp.restrict(sandbox.gpu, programs, own))
    return Protection(version, filtered, sandbox.memory_bytes if limited else None, tuple(missing))


_NO_LANDLOCK: Final = "Landlock (this kernel has none, or it may not be used): files are not kept from them"
_NO_SECCOMP: Final = "seccomp (this kernel has none, or its numbers are not known here)"


def _hide() -> None:
    """Let no other process of the same user read this one's memory, or dump it."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _limit(sandbox: Sandbox) -> None:
    """Limit the memory: what is written to, and without a GPU's driver, which reserves more, every address."""
    assert sandbox.memory_bytes is not None
    resource.setrlimit(resource.RLIMIT_DATA, (sandbox.memory_bytes, sandbox.memory_bytes))
    if not sandbox.gpu:
        most = sandbox.memory_bytes + _ADDRESSES + (os.cpu_count() or 1) * _ADDRESSES_A_CORE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _restrict_files(sandbox: Sandbox) -> None:
    _PINNED.append(os.open("/proc/self", os.O_PATH | os.O_CLOEXEC))  # the rule is on this very entry of /proc
    landlock.restrict(sandbox.reads, sandbox.writes, sandbox.programs, sandbox.devices)


_PINNED: Final[list[int]] = []

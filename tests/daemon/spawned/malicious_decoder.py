"""A handler that does what a decoder would do that a stranger's file has taken over."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.protect.wire import Ask, Handlers, Report

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Try(Ask[dict[str, Any]]):
    """Try a trick on something, and answer with what came of it."""

    trick: str
    on: str = ""


def make_malicious() -> Handlers:
    def handle(asked: Try, _report: Report) -> dict[str, Any]:
        if asked.trick == "fill":
            return {"said": fill(int(asked.on))}
        try:
            said = _TRICKS[asked.trick](asked.on)
        except OSError as error:
            return {"refused": error.errno}
        return {"done": said}

    return {Try: handle}


def fill(wanted: int) -> str:
    """Take so much memory, and write to all of it."""
    try:
        taken = bytearray(wanted)
    except MemoryError:
        return "MemoryError"
    return f"{len(taken)} bytes"


def fill_shared(wanted: str) -> str:
    import mmap

    taken = mmap.mmap(-1, int(wanted))  # shared with nobody, but not counted as data
    return f"{len(taken)} bytes"


def read(path: str) -> str:
    return Path(path).read_bytes().decode(errors="replace")


def write(path: str) -> str:
    return str(Path(path).write_bytes(b"uncloaked"))


def open_socket(family: str) -> str:
    socket.socket(int(family), socket.SOCK_STREAM).close()
    return "open"


def call(number: int, *arguments: int) -> str:
    """Make a system call by its number, as the C library would not."""
    found = _libc.syscall(number, *(ctypes.c_long(each) for each in arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return str(found)


def trace(process: str) -> str:
    found = _libc.ptrace(16, int(process), None, None)  # PTRACE_ATTACH
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "attached"


def end(process: str) -> str:
    os.kill(int(process), signal.SIGTERM)
    return "signalled"


def start(program: str) -> str:
    return subprocess.run([program], capture_output=True, check=True).stdout.decode()


def fork(_: str) -> str:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "forked"


def know(_: str) -> str:
    """Do what a decoder has to: threads, memory that is executed, what Python has not imported yet."""
    import mmap
    import threading

    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    import colorsys

    return colorsys.__name__


def from_a_thread(path: str) -> str:
    import threading

    said: list[object] = []

    def attempt() -> None:
        try:
            said.append(read(path))
        except OSError as error:
            said.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if isinstance(said[0], OSError):
        raise said[0]
    return str(said[0])


def status(_: str) -> str:
    return Path("/proc/self/status").read_text()


def dumps(_: str) -> str:
    import resource

    return str((*resource.getrlimit(resource.RLIMIT_CORE), _libc.prctl(3, 0, 0, 0, 0)))  # PR_GET_DUMPABLE


_TRICKS: Final[dict[str, Callable[[str], str]]] = {
    "read": read,
    "from a thread": from_a_thread,
    "list": lambda path: str(list(Path(path).iterdir())),
    "write": write,
    "remove": lambda path: str(Path(path).unlink()),
    "link": lambda path: str(os.link(path, f"{path}.link")),
    "rename": lambda path: str(Path(path).rename(f"{path}.renamed")),
    "truncate": lambda path: str(os.truncate(path, 0)),
    "chmod": lambda path: str(Path(path).chmod(0o777)),
    "age": lambda path: str(os.utime(path, (0, 0))),
    "socket": open_socket,
    "resolve": lambda name: str(socket.getaddrinfo(name, 80)),
    "trace": trace,
    "end": end,
    "start": start,
    "fork": fork,
    "unshare": lambda _: call(272 if os.uname().machine == "x86_64" else 97, 0x10000000),
    "io_uring": lambda _: call(425, 1, 0),
    "pidfd": lambda process: call(434, int(process), 0),
    "memory of": lambda process: read(f"/proc/{process}/mem"),
    "know": know,
    "status": status,
    "dumps": dumps,
    "fill shared": fill_shared,
    "imported": lambda name: str(name in sys.modules),
}

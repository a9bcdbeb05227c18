"""What a process wrote, in order: the system calls that strace saw, as the lines of its log."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TRACED = (
    "openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,lseek,fsync,fdatasync,"
    "linkat,link,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile"
)

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(.*)", re.DOTALL)
_UNFINISHED = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)", re.DOTALL)
_ARGUMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^,\s"<]*<[^>]*>(?:\(deleted\))?|[^,\s]+')
_OPENED = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>(\(deleted\))?")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that did what it was asked."""

    name: str
    arguments: tuple[str, ...]  # as strace writes them
    result: int
    opened: str  # the path of what it opened, "" where it opened nothing

    def text(self, place: int) -> bytes:
        """Return the bytes of an argument in quotes."""
        found = ast.literal_eval("b" + self.arguments[place])
        assert isinstance(found, bytes)
        return found

    def number(self, place: int) -> int:
        """Return an argument that is a number."""
        return int(self.arguments[place], 0)

    def descriptor(self, place: int) -> tuple[int, str]:
        """Return the number and the path of an argument that is a descriptor; -1 is the working folder."""
        found = _OPENED.fullmatch(self.arguments[place])
        assert found is not None, self.arguments[place]
        return (-1 if found[1] == "AT_FDCWD" else int(found[1])), found[2]

    def path(self, folder: int, name: int) -> str:
        """Return the path that a folder's descriptor and a name in quotes say."""
        text = self.text(name).decode()
        return text if text.startswith("/") else f"{self.descriptor(folder)[1]}/{text}"


def traced(command: list[str], environment: dict[str, str], log: Path) -> subprocess.CompletedProcess[str]:
    """Run a command and those it starts under strace, which writes what they ask of the system into `log`."""
    options = ["-f", "-y", "-qq", "-s", "10000000", "-e", "signal=none", "-e", f"trace={TRACED}"]
    return subprocess.run(
        ["strace", *options, "-o", str(log), *command], env=environment, capture_output=True, text=True, check=False
    )


def calls(log: Path) -> Iterator[Call]:
    """Yield the calls in a log that succeeded, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(encoding="ascii").split("\n"):
        if waiting := _UNFINISHED.fullmatch(line):
            begun[waiting[1]] = waiting[2]
            continue
        whole = line
        if resumed := _RESUMED.fullmatch(line):
            whole = f"{resumed[1]} {begun.pop(resumed[1])}{resumed[2]}"
        found = _LINE.fullmatch(whole)
        if found is None or int(found[4]) < 0:
            continue
        opened = re.match(r"<([^>]*)>", found[5])
        yield Call(found[2], tuple(_ARGUMENT.findall(found[3])), int(found[4]), opened[1] if opened else "")

"""A disk that forgets: what a power failure may leave of the files that were written, by what was made durable.

The rules are those of POSIX, harsher than any file system: of a file only what was written before its last `fsync` is
sure, and of the names in a folder only those that were there at the folder's. Of everything else any part may be left:
a write or half of one, the second without the first, a name without its content, a removed name that is there again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from system_calls import Call

SECTOR = 512  # bytes that a disk writes whole

Image: TypeAlias = dict[str, bytes]
"""Files by their path. Folders are there where a file is in them, or where their path ends with a slash."""


@dataclass(eq=False, slots=True)
class File:
    """What is in a file, and what of it is sure."""

    sure: bytes = b""
    later: list[tuple[int, bytes | None]] = field(default_factory=list)  # writes at an offset; None: cut off there

    def content(self, kept: Callable[[bytes], bytes | None]) -> bytes:
        """Return the content with what is `kept` of each write that is not sure: all, a part, or None."""
        found = bytearray(self.sure)
        for offset, data in self.later:
            left = kept(data or b"")
            if left is None:
                continue
            if data is None:
                del found[offset:]
                left = b""
            found.extend(bytes(max(offset - len(found), 0)))
            found[offset : offset + len(left)] = left
        return bytes(found)

    def sync(self) -> None:
        """Make all of it sure."""
        self.sure, self.later = self.content(lambda data: data), []


@dataclass(eq=False, slots=True)
class Folder:
    """The names in a folder, now and for sure."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    sure: dict[str, File | Folder] = field(default_factory=dict)
    later: list[tuple[str, File | Folder | None]] = field(default_factory=list)  # a name and what it is from then on

    def name(self, name: str, thing: File | Folder | None) -> None:
        """Let a name be another thing, or none."""
        self.later.append((name, thing))
        if thing is None:
            self.now.pop(name, None)
        else:
            self.now[name] = thing

    def sync(self) -> None:
        """Make the names sure."""
        self.sure, self.later = dict(self.now), []


class Disk:
    """What is below one folder, as a process' system calls leave it; what was there before is no part of it."""

    def __init__(self, root: Path, forgets: Callable[[str], bool] = lambda _path: False) -> None:
        """Begin empty. `forgets`: which paths below the root ("" is itself) are not made sure though it was asked."""
        self._root = f"{root}/"
        self._top = Folder()
        self._forgets = forgets
        self._unnamed: dict[str, File] = {}  # by the path that the kernel shows for them
        self._by_descriptor: dict[int, str] = {}
        self._offsets: dict[str, int] = {}  # of the next write into a file that is written from front to back

    def apply(self, call: Call) -> bool:
        """Let a call have been made; return whether anything is other than before."""
        apply = getattr(self, f"_{call.name}", None)
        return bool(apply(call)) if apply is not None else self._refuse(call)

    def _refuse(self, call: Call) -> bool:
        assert self._root not in " ".join(call.arguments), f"the disk does not know this call: {call}"
        return False

    def left(self, choose: random.Random | None) -> Image:
        """Return what a power failure leaves now: of what is not sure nothing, or what `choose` draws."""

        def kept(data: bytes) -> bytes | None:
            if choose is None or choose.random() < 0.4:
                return None
            whole = choose.random() < 0.7
            return data if whole else data[: choose.randrange(0, len(data) + 1, SECTOR)]

        image: Image = {}

        def walk(folder: Folder, above: str) -> None:
            names = dict(folder.sure)
            for name, thing in folder.later:
                if choose is not None and choose.random() < 0.6:
                    names.pop(name, None)
                    if thing is not None:
                        names[name] = thing
            for name, thing in names.items():
                if isinstance(thing, Folder):
                    image[f"{above}{name}/"] = b""
                    walk(thing, f"{above}{name}/")
                else:
                    image[above + name] = thing.content(kept)

        walk(self._top, "")
        return image

    def _find(self, path: str) -> tuple[Folder, str] | None:
        """Return the folder that a path's last name is in, and that name; None where it is not on this disk."""
        if not path.startswith(self._root):
            return None
        *above, name = path.removeprefix(self._root).split("/")
        folder = self._top
        for part in above:
            found = folder.now.get(part)
            if not isinstance(found, Folder):
                return None
            folder = found
        return folder, name

    def _thing(self, path: str) -> File | Folder | None:
        if f"{path}/" == self._root:
            return self._top
        if path in self._unnamed:
            return self._unnamed[path]
        found = self._find(path)
        return found[0].now.get(found[1]) if found is not None else None

    def _openat(self, call: Call) -> bool:
        flags = call.arguments[2]
        if "O_TMPFILE" in flags and call.opened.startswith(self._root):
            self._unnamed[call.opened] = File()
        self._by_descriptor[call.result] = call.opened
        self._offsets[call.opened] = 0
        found = self._find(call.opened)
        if found is None or "O_CREAT" not in flags:
            return False
        folder, name = found
        if name not in folder.now:
            folder.name(name, File())
            return True
        assert "O_TRUNC" not in flags or "/spool/" in call.opened
        return False

    def _put(self, path: str, offset: int, data: bytes | None) -> bool:
        thing = self._thing(path)
        if isinstance(thing, File):
            thing.later.append((offset, data))
        return isinstance(thing, File)

    def _write(self, call: Call) -> bool:
        _, path = call.descriptor(0)
        if not path.startswith(self._root):
            return False
        offset = self._offsets.get(path, 0)
        self._offsets[path] = offset + call.result
        return self._put(path, offset, call.text(1)[: call.result])

    def _pwrite64(self, call: Call) -> bool:
        _, path = call.descriptor(0)
        return path.startswith(self._root) and self._put(path, call.number(3), call.text(1)[: call.result])

    def _ftruncate(self, call: Call) -> bool:
        return self._put(call.descriptor(0)[1], call.number(1), None)

    def _lseek(self, call: Call) -> bool:
        _, path = call.descriptor(0)
        if path.startswith(self._root):
            self._offsets[path] = call.result
        return False

    def _fsync(self, call: Call) -> bool:
        _, path = call.descriptor(0)
        thing = self._thing(path)
        if thing is None or self._forgets(f"{path}/".removeprefix(self._root).removesuffix("/")):
            return False
        thing.sync()
        return True

    _fdatasync = _fsync

    def _linkat(self, call: Call) -> bool:
        source = call.path(0, 1)
        descriptor = source.removeprefix("/proc/self/fd/")
        file = self._thing(self._by_descriptor[int(descriptor)] if descriptor.isdigit() else source)
        return self._name(call.path(2, 3), file)

    def _renameat2(self, call: Call) -> bool:
        file = self._thing(call.path(0, 1))
        return self._name(call.path(0, 1), None) and self._name(call.path(2, 3), file)

    def _renameat(self, call: Call) -> bool:
        file = self._thing(call.path(0, 1))
        return self._name(call.path(2, 3), file) and self._name(call.path(0, 1), None)

    def _mkdir(self, call: Call) -> bool:
        return self._name(call.text(0).decode(), Folder())

    def _mkdirat(self, call: Call) -> bool:
        return self._name(call.path(0, 1), Folder())

    def _unlink(self, call: Call) -> bool:
        return self._name(call.text(0).decode(), None)

    _rmdir = _unlink

    def _unlinkat(self, call: Call) -> bool:
        return self._name(call.path(0, 1), None)

    def _name(self, path: str, thing: File | Folder | None) -> bool:
        found = self._find(path)
        if found is not None:
            found[0].name(found[1], thing)
        return found is not None


def written(image: Image, root: Path) -> None:
    """Put an image into a folder."""
    for name, content in sorted(image.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if name.endswith("/"):
            path.mkdir(exist_ok=True, mode=0o700)
        else:
            path.write_bytes(content)


def failures(disk: Disk, made: Iterator[Call], seed: int, each: int = 1) -> Iterator[tuple[int, str, Image]]:
    """Yield what power failures leave after every call that changed the disk: the least, and `each` draws."""
    choose = random.Random(seed)
    for number, call in enumerate(made):
        if disk.apply(call):
            yield number, call.name, disk.left(None)
            for _ in range(each):
                yield number, call.name, disk.left(choose)

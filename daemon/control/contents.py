"""The files of messages, over the socket: an open descriptor each, in its place in the message a name.

Neither side opens a path of the other's. A photo is named by its number in the message, what a process made of it
by that number and its ending.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from uncnn.daemon.control.channel import ChannelError
from uncnn.daemon.control.messages import exchanged
from uncnn.daemon.files.opening import READ, open_file
from uncnn.daemon.files.spool import SIZE_LIMIT, copy_hashed
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, MOVED, PICTURE, SQUARES

Value = TypeVar("Value")

MADE_LIMIT: Final = 4 * SIZE_LIMIT
"""Bytes of what is made of a photo: another format may be larger."""

_ENDINGS: Final = frozenset({CANDIDATE, MOVED, SQUARES, PICTURE})
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def opened_photos(asked: Value, files: list[int]) -> tuple[Value, list[Content]]:
    """Return a command's message with numbers in the place of its photos, and the photos by number.

    `files` gets their descriptors. Raises OSError.
    """
    photos: list[Content] = []

    def number(photo: Content) -> Content:
        if photo.file is None:
            return photo
        files.append(os.open(photo.file, READ))
        photos.append(photo)
        return Content(Path(str(len(photos) - 1)))

    return exchanged(asked, number), photos


def copied_photos(asked: Value, files: Sequence[int], folder: Path) -> Value:
    """Return a message that came with descriptors, with private copies of its photos in the service's `folder`.

    Raises ChannelError: the descriptors are not those of its photos, or one is no plain file that can be read.
    PublishError: a copy cannot be written.
    """
    named: list[int] = []

    def copy(photo: Content) -> Content:
        number = len(named)
        if photo.data is not None or photo.file != Path(str(number)) or number >= len(files):
            raise ChannelError("a photo was handed over without its descriptor")
        named.append(number)
        made = folder / f"{number}.spool"
        _copy(files[number], made, SIZE_LIMIT)
        return Content(made)

    taken = exchanged(asked, copy)
    if len(named) != len(files):
        raise ChannelError(f"a message with {len(named)} photos came with {len(files)} descriptors")
    return taken


def opened_results(answered: Value, folder: Path, files: list[int]) -> Value:
    """Return an answer of the service's processes with names in the place of what they made in `folder`.

    `files` gets the descriptors. Raises ChannelError: it names any other file.
    """

    def name(made: Content) -> Content:
        if made.file is None or made.file.parent != folder:
            raise ChannelError(f"a process answered with the file {made.file}: not read")
        within = os.open(folder, _FOLDER)
        try:
            opened = open_file(within, made.file.name)
        finally:
            os.close(within)
        if opened is None:
            raise ChannelError(f"a process answered with {made.file.name}, which is no plain file")
        files.append(opened)
        return Content(Path(made.file.name))

    return exchanged(answered, name)


def kept_results(answered: Value, files: Sequence[int], photos: Sequence[Content]) -> Value:
    """Return an answer of the service with its files copied beside the command's own photos.

    Raises ChannelError: the descriptors are not those of its files. PublishError: a copy cannot be written.
    """
    taken: list[int] = []

    def keep(made: Content) -> Content:
        number, _, ending = str(made.file).partition(".")
        known = number.isdecimal() and int(number) < len(photos) and ending in _ENDINGS
        if made.data is not None or not known or len(taken) >= len(files):
            raise ChannelError(f"the service answered with the file {made.file} and not with what it was asked for")
        file = photos[int(number)].file
        assert file is not None  # those alone have a number
        beside = file.with_suffix(f".{ending}")
        _copy(files[len(taken)], beside, MADE_LIMIT)
        taken.append(int(number))
        return Content(beside)

    kept = exchanged(answered, keep)
    if len(taken) != len(files):
        raise ChannelError(f"an answer with {len(taken)} files came with {len(files)} descriptors")
    return kept


def _copy(opened: int, target: Path, limit: int) -> None:
    """Copy an open file from its beginning. Raises ChannelError: it is not plain, too large, or cannot be read."""
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode):
        raise ChannelError("a descriptor is none of a plain file")
    if found.st_size > limit:
        raise ChannelError(f"a file has {found.st_size / 1e6:.0f} MB, the limit is {limit / 1e6:g} MB")
    writer = os.open(target, _CREATE, 0o600)
    try:
        os.lseek(opened, 0, os.SEEK_SET)
        size, _ = copy_hashed(opened, writer, limit, target)
    except OSError as error:
        raise ChannelError(f"a file cannot be read: {error}") from error
    finally:
        os.close(writer)
    if size > limit:
        raise ChannelError(f"a file has more than {limit / 1e6:g} MB")

"""The masks of enrolled people on the disk: a private file each, beside the list, named after what is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import private
from uncnn.daemon.files.private_file import write_private
from uncnn.daemon.people.store import Mask, People, PeopleError, people_file
from uncnn.daemon.text import printable, system_words

ENDING: Final = ".mask.npz"


def masks_dir() -> Path:
    """Return the folder of the masks, made 0700. Raises FolderError."""
    return private(people_file().parent / "masks")


def file_of(mask: Mask) -> Path:
    """Return where a mask lies: for `uncnn.plugins.person_mask.PersonMask.load`. Raises FolderError."""
    return masks_dir() / f"{mask.sha256}{ENDING}"


def keep(packed: bytes) -> str:
    """Write a mask, 0600, whole or not at all, and return the sha256 that it is known by. Raises PeopleError."""
    sha256 = hashlib.sha256(packed).hexdigest()
    file = masks_dir() / f"{sha256}{ENDING}"
    try:
        write_private(file, packed)
    except OSError as error:
        raise PeopleError(f"{printable(file)} cannot be written: {system_words(error)[1]}") from error
    return sha256


def keep_only(people: People) -> None:
    """Delete the masks that are none of these people's, and what an interrupted command left. Raises PeopleError."""
    needed = {f"{person.mask.sha256}{ENDING}" for person in people.people if person.mask is not None}
    for file in masks_dir().iterdir():
        if file.name not in needed:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise PeopleError(f"{printable(file)} cannot be deleted: {system_words(error)[1]}") from error

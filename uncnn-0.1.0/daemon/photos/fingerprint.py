"""What tells a picture from every other, whatever its file is called and says beside the picture.

Files of one fingerprint come out as the same picture under the same policy and by the same models, encoded in the same
way. All fields of a photo count but those that are known to say nothing of it: one that is added later makes pictures
differ rather than agree.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from uncnn.daemon.photos.reader import stored_again
from uncnn.daemon.photos.values import Photo

_Digest: TypeAlias = "hashlib._Hash"

_LEFT_OUT: Final = frozenset({"notes", "dots_per_inch", "source", "orientation", "late_exif"})
"""What a person should know; a size on paper, which editors set when they write any metadata; the file itself, how its
picture lies in it (the pixels are upright), and where it says so."""


def fingerprint(photo: Photo) -> str:
    """Return the sha256 of all that decides how `photo` comes out: pixels, opacity, format, and how it is encoded."""
    digest = hashlib.sha256(b"uncnn picture")
    _feed(digest, photo)
    if not photo.plain:
        _feed(digest, stored_again(photo).samples)
    return digest.hexdigest()


def seed(photo: Photo) -> int:
    """Return where the random numbers of `photo` begin: its pixels alone decide.

    Cloaked again with other metadata, in another format or resolution, it is changed in the same way: nobody can take
    the mean of two changes, or their difference.
    """
    digest = hashlib.sha256(b"uncnn seed")
    _feed(digest, photo.pixels)
    return int(digest.hexdigest()[:15], 16)


def _feed(digest: _Digest, value: Any) -> None:
    """Add a value to a digest, each with its kind and length, so that no two rows of values look alike."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        counted = [field.name for field in fields(value) if field.name not in _LEFT_OUT]
        _feed(digest, tuple((name, getattr(value, name)) for name in counted))
    elif isinstance(value, tuple | list):
        digest.update(f"row {len(value)};".encode())
        for each in value:
            _feed(digest, each)
    elif value is None or isinstance(value, bool | int | float | str | bytes):
        text = repr(value).encode()
        digest.update(f"value {len(text)};".encode() + text)
    else:
        raise TypeError(f"a {type(value).__name__} in a photo has no fingerprint: say in {__name__} what of it counts")

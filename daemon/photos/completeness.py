"""Whether all of a photo is in its file, told from its structure: a decoder is content with less.

Some programs give a file its whole size first and its bytes then (a copy over SMB, a download in parts): meanwhile it
has zeros at its end, or anywhere, and a decoder takes them for an even area. Such a file rests for longer than a copy
settles, when the network stalls. Here each format is held to what it says of itself: that its parts lie within the
file, and that there are no zeros where its coded picture can hold none.
"""

from __future__ import annotations

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.values import PhotoError


def check_whole(data: bytes, photo_format: Format, name: str) -> None:
    """Raise PhotoError (`truncated`) where a part of the picture is not in the file yet."""
    missing = FORMATS[photo_format].missing(data)
    if missing is not None:
        remedy = "wait until it is fully written, or copy it again"
        raise PhotoError("truncated", f"{name} is an incomplete {photo_format} ({missing}): {remedy}")

"""What a format is: how its files are read and written, what a picture may be in them, and what they say besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from PIL import Image

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.containers import Wanted
from uncnn.daemon.photos.inventory.values import Part
from uncnn.daemon.photos.values import Encoding, Photo, Samples, Stored
from uncnn.plugins.api import Pixels

Size: TypeAlias = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFormat:
    """A format of photos. Functions take a whole file, an image that Pillow opened it as, and its name for messages."""

    name: Format  # as Pillow calls it

    # read: the size where the first bytes give it (PhotoError: what Pillow would reduce or allocate before anyone can
    # look); what of the picture is not in the file yet, in words; the file with what its picture needs alone
    header: Callable[[bytes, str], Size | None]
    missing: Callable[[bytes], str | None]
    readable: Callable[[bytes], bytes] = lambda data: data
    pixel_bytes: Callable[[bytes, str], int]  # at most, a tenth and more above what benchmarks/memory.py measures
    encoding: Callable[[Image.Image, bytes], Encoding]
    several: bool = True  # more pictures than one are an animation's; False: the others are left out
    turned: bool = False  # the decoder turns the picture as the file says
    profile: Callable[[Image.Image, bytes], Any] = lambda image, _data: image.info.get("icc_profile")
    colour_chunks: Callable[[bytes], tuple[tuple[bytes, bytes], ...]] = lambda _data: ()  # in place of a profile
    is_luma: Callable[[Image.Image, bytes], bool] = lambda _image, _data: False  # though Pillow may open it as RGB

    # 16 bits a sample: samples and opacity where Pillow opens such a file but reduces it; else all of it, and a profile
    is_deep: Callable[[bytes, str], bool] = lambda _data, _name: False
    deep_samples: Callable[[bytes], tuple[Samples, Samples | None]] | None = None
    read_deep: Callable[[bytes, str], tuple[Stored, bytes | None]] | None = None

    # what it says besides
    things: Callable[[bytes], Iterator[Part]]
    packets: Callable[[bytes], Iterator[bytes]] | None = None  # of XMP (ISO 16684-3:2021); None: it holds none
    is_exif: bool = False  # a file is a TIFF itself, and with that its own EXIF
    late_exif: bool = False  # which may stand behind the pixels

    # written: anew; with other pixels, but as it is coded where nothing changed (OddJpegError, OSError: it cannot be);
    # with the coded picture copied, where that is worth it, and other EXIF and XMP beside it
    write: Callable[[Stored, Wanted], bytes]
    rewrite: Callable[[Photo, Pixels, Callable[[], Stored], bytes, bytes], bytes] | None = None
    copied: Callable[[Photo, Image.Exif, bytes], bytes] | None = None
    is_copied: Callable[[Photo], bool] = lambda _photo: True
    copied_turned: bool = False  # EXIF says how a copy is to be turned
    no_part: str = ""  # what a person should know where a part of a picture that is copied has changed

    # what a picture may be in it
    turning: bool = False  # files say how they are to be turned, and viewers follow
    opaque: bool = False  # it knows no transparency
    inks: bool = False  # CMYK
    deep: bool = False
    indexed: bool = False
    profiled: bool = True
    grey_profiled: bool = True

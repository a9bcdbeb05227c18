"""An opened file -> the picture as it stores it, before anything is turned, converted or reduced.

What is released is made from this: only the change of the faces goes through the colours and the 8 bits of the work.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.colour import changes_colours
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.profiles import clean_profile, srgb_profile
from uncnn.daemon.photos.rows import array_of
from uncnn.daemon.photos.values import Note, Palette, PhotoError, Samples, Stored

_GREY_MODES: Final = {"1", "L", "LA", "La"}
_MODES: Final = _GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B"}
_NO_PROFILE = "its colour profile is damaged and was ignored"


def read_stored(image: Image.Image, data: bytes, photo_format: Format, name: str, note: Note) -> Stored:
    """Return the picture of an opened file; what a person should know of it is said by `note`.

    Raises PhotoError (`unsupported`), and what the decoders raise.
    """
    if image.mode not in _MODES:
        raise PhotoError(
            "unsupported", f"{name} has the unsupported colour mode {image.mode}: export it as RGB with 8 bits"
        )
    image.load()
    samples: Samples
    own = FORMATS[photo_format]
    orientation = 1 if own.turned else _orientation(image)
    encoding, chunks = own.encoding(image, data), own.colour_chunks(data)
    profile = stored_profile(image, data, photo_format)
    if own.deep_samples is not None and own.is_deep(data, name):
        image.close()  # what Pillow decoded, with 8 bits
        fine, alpha = own.deep_samples(data)
        return Stored(fine, alpha, _profile(profile, fine, note), orientation, encoding, chunks=chunks)
    if image.mode in ("RGBa", "La"):  # premultiplied
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    flat = _flat(image, data, photo_format)
    samples = array_of(flat)
    del flat
    clear = _opacity(image) if image.has_transparency_data else None
    if image.format == "MPO":
        note("further pictures in the file (MPO) are left out")
    return Stored(samples, clear, _profile(profile, samples, note), orientation, encoding, _palette(image), chunks)


def stored_profile(image: Image.Image, data: bytes, photo_format: Format) -> bytes | None:
    """Return the ICC profile of an opened file as it is, None where it has none."""
    found = FORMATS[photo_format].profile(image, data)
    return found if isinstance(found, bytes) else None


def read_unopened(data: bytes, photo_format: Format, name: str, note: Note) -> Stored | None:
    """Return the picture of a file that Pillow does not open; None: it does. Raises as decoders do."""
    own = FORMATS[photo_format]
    if own.read_deep is None or not own.is_deep(data, name):
        return None
    stored, profile = own.read_deep(data, name)
    return replace(stored, profile=_profile(profile, stored.samples, note))


def _profile(profile: bytes | None, samples: Samples, note: Note) -> bytes | None:
    """Return the profile with nothing in it but colour, None where there is none or it is broken."""
    if profile is None:
        return None
    try:
        cleaned = clean_profile(profile)
        if changes_colours(cleaned, samples.shape[2]):
            return cleaned
        return srgb_profile() if samples.shape[2] == 3 else None  # RGB
    except Exception:  # Little CMS raises PyCMSError, OSError, ValueError and more for broken profiles
        note(_NO_PROFILE)
        return None


def _flat(image: Image.Image, data: bytes, photo_format: Format) -> Image.Image:
    """Return `image` without its opacity, as L, RGB or CMYK."""
    grey = image.mode in _GREY_MODES or _is_grey_palette(image) or _is_grey_box(image, data, photo_format)
    wanted = "CMYK" if image.mode == "CMYK" else "L" if grey else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _opacity(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the opacity of an image that has some, (H, W)."""
    return array_of((image if "A" in image.getbands() else image.convert("RGBA")).getchannel("A"))[..., 0]


def _palette(image: Image.Image) -> Palette | None:
    """Return the palette of an image that has one in colour; greys are as well stored as greys."""
    if image.mode != "P" or _is_grey_palette(image):
        return None
    colours = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    indices = np.asarray(image)
    beyond = max(int(indices.max()) + 1 - len(colours), 0)  # some programs count on black for those
    colours = np.pad(colours, ((0, beyond), (0, 0)))
    used = np.bincount(indices.ravel(), minlength=len(colours)) > 0
    colours[~used] = 0  # it could be anything, and nobody would see it
    clear = image.info.get("transparency", b"")
    if isinstance(clear, int):
        return Palette(indices, colours, b"\xff" * clear + b"\0")
    own = clear[: len(colours)]
    return Palette(indices, colours, bytes(np.where(used[: len(own)], list(own), 255).astype(np.uint8)))


def _is_grey_palette(image: Image.Image) -> bool:
    """Return whether every colour of a palette is grey."""
    if image.mode not in ("P", "PA"):
        return False
    colours = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _is_grey_box(image: Image.Image, data: bytes, photo_format: Format) -> bool:
    """Return whether a file holds luma only, which Pillow may open as RGB."""
    if not FORMATS[photo_format].is_luma(image, data):
        return False
    colours = np.asarray(image.convert("RGB"))
    return bool((colours == colours[..., :1]).all())


def _orientation(image: Image.Image) -> int:
    """Return 1 to 8 (EXIF 2.32, tag 0x0112) as still to be done after loading.

    Only EXIF counts, as in browsers.
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        found = int(tags.get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF: browsers show the photo as it is stored, and so do we
        return 1
    return found if found in range(1, 9) else 1

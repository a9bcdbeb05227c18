"""Colour of a photo to sRGB, by its ICC profile; and the sRGB profile that is written out.

Little CMS through Pillow: relative colorimetric with black point compensation, as photo editors and browsers do.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_CREATED = b"\x07\xe8" + b"\0\x01" * 2 + bytes(6)  # 2024-01-01 00:00:00: the same bytes whenever it is built


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile that is written into every photo in colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + _CREATED + profile[36:]  # ICC.1:2022, 7.2: bytes 24 to 35 are the date


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, str | None]:
    """Return `image` (L, RGB or CMYK) in sRGB, as L or RGB, and what was done about it in words.

    A profile that changes nothing is left out, so that sRGB photos keep their pixels to the bit.

    Raises ImageCms.PyCMSError, OSError and ValueError where the profile is broken or of another kind of image.
    """
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if image.mode == "L" and space == "RGB":
        image = image.convert("RGB")
        return _converted(image, source)[0].convert("L"), None
    if space != {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[image.mode]:
        raise ValueError(f"a {space} profile in a {image.mode} image")
    converted, changed = _converted(image, source)
    note = f"colours converted from {_described(source)} to sRGB" if changed else None
    return (converted.convert("L") if image.mode == "L" else converted), note


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> tuple[Image.Image, bool]:
    """Return `image` as sRGB, and whether the profile differs from sRGB at all."""
    transform = ImageCms.buildTransform(
        source,
        ImageCms.ImageCmsProfile(BytesIO(srgb_profile())),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode != "CMYK" and _is_identity(transform, image.mode):
        return image, False
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # None only with inPlace
    return converted, True


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a lattice of 17 levels a channel stays where it is, to one grey level."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    probe = Image.fromarray(lattice if mode == "RGB" else lattice[..., 0])
    result = ImageCms.applyTransform(probe, transform)
    assert result is not None
    before, after = np.asarray(probe.convert("RGB"), np.int16), np.asarray(result, np.int16)
    return bool(np.abs(before - after).max() <= 1)


def _described(profile: ImageCms.ImageCmsProfile) -> str:
    """Return the profile's own description on one line."""
    words = " ".join((profile.profile.profile_description or "").split())
    return f"{words[:60]!r}" if words.isprintable() and words else "an unnamed profile"

"""Colour of a photo to sRGB by its ICC profile, and a change of it back into the photo's own colours.

Little CMS through Pillow: relative colorimetric with black point compensation, as photo editors and browsers do.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from uncnn.daemon.photos.profiles import srgb_profile
from uncnn.daemon.photos.values import MODES

Levels = npt.NDArray[np.uint8]
Change = npt.NDArray[np.int16]

_SPACES: Final = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Return `image` (L, RGB or CMYK) in sRGB, as L or RGB, and whether its profile changes anything.

    One that does not is left out, so that sRGB photos keep their pixels to the bit. CMYK without a profile is
    converted as viewers do that know none: each ink and black take away their share of the light.

    Raises ImageCms.PyCMSError, OSError and ValueError where the profile is broken or of another kind of image.
    """
    mode = image.mode
    if profile is None:
        return (image.convert("RGB") if mode == "CMYK" else image), mode == "CMYK"
    transform, changes = _forward(profile, mode)
    if not changes:
        return image, False
    shown = ImageCms.applyTransform(image.convert("RGB") if _is_colour_of_grey(profile, mode) else image, transform)
    assert shown is not None  # None only with inPlace
    return (shown.convert("L") if mode == "L" else shown), True


def changes_colours(profile: bytes | None, channels: int) -> bool:
    """Return whether samples of so many channels are to be converted to be seen."""
    mode = MODES[channels]
    return mode == "CMYK" if profile is None else _forward(profile, mode)[1]


def stored_change(before: Levels, after: Levels, stored: Levels, profile: bytes | None) -> Change:
    """Return what is to be added to `stored` (N, C) so that it is seen as `after` instead of `before`, (N, 3) sRGB.

    In 8-bit levels of the photo's own colours. The change is converted, not the pixels: what sRGB cannot show of a
    wide-gamut photo stays in it.
    """
    channels = stored.shape[1]
    if channels == 1:
        before, after = _luma(before), _luma(after)
    if not changes_colours(profile, channels):
        return after.astype(np.int16) - before.astype(np.int16)
    if profile is None:
        return _inks(before, after, stored)
    return _converted(after, profile, channels).astype(np.int16) - _converted(before, profile, channels)


def _luma(pixels: Levels) -> Levels:
    return np.asarray(Image.fromarray(pixels[None]).convert("L"))[0, :, None]


def _inks(before: Levels, after: Levels, stored: Levels) -> Change:
    """Return the change of the three inks; black stays: light = (255 - ink) (255 - black) / 255."""
    left = 255.0 - stored[:, 3:]
    change = np.zeros(stored.shape, np.int16)
    light = (after.astype(np.float32) - before) * 255 / np.maximum(left, 1)
    change[:, :3] = np.rint(np.where(left > 0, -light, 0)).clip(-255, 255)
    return change


def _converted(pixels: Levels, profile: bytes, channels: int) -> Levels:
    """Return sRGB pixels, (N, 3) or (N, 1), in the colours of the profile, (N, C); as they are where it cannot."""
    transform = _backward(profile, MODES[channels])
    if transform is None:
        return pixels if channels < 4 else 255 - np.pad(pixels, ((0, 0), (0, 1)), constant_values=255)
    seen = pixels if pixels.shape[1] == 3 else np.repeat(pixels, 3, axis=1)
    result = ImageCms.applyTransform(Image.fromarray(seen[None]), transform)
    assert result is not None
    if channels == 1 and result.mode == "RGB":
        result = result.convert("L")
    return np.asarray(result).reshape(len(pixels), channels)


def _is_colour_of_grey(profile: bytes, mode: str) -> bool:
    """Return whether grey samples carry a profile in colour: some programs write one."""
    return mode == "L" and _space(profile) == "RGB"


@lru_cache(maxsize=8)
def _space(profile: bytes) -> str:
    return str(ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space).strip()


@lru_cache(maxsize=8)
def _forward(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform, bool]:
    """Return the transform of a profile to sRGB, and whether it changes anything."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    seen_as = "RGB" if _is_colour_of_grey(profile, mode) else mode
    if _space(profile) != _SPACES[seen_as]:
        raise ValueError(f"a {_space(profile)} profile in a {mode} image")
    transform = _transform(source, _srgb(), seen_as, "RGB")
    return transform, mode == "CMYK" or not _is_identity(transform, seen_as)


@lru_cache(maxsize=8)
def _backward(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of sRGB to a profile, or None where the profile has no way back."""
    target = ImageCms.ImageCmsProfile(BytesIO(profile))
    try:
        return _transform(_srgb(), target, "RGB", "RGB" if _is_colour_of_grey(profile, mode) else mode)
    except (ImageCms.PyCMSError, OSError):
        return None


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(BytesIO(srgb_profile()))


def _transform(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str, into: str
) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, target, mode, into, intent, flags)


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a lattice of 17 levels a channel stays where it is, to one grey level."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    probe = Image.fromarray(lattice if mode == "RGB" else np.ascontiguousarray(lattice[..., 0]))
    result = ImageCms.applyTransform(probe, transform)
    assert result is not None
    before, after = np.asarray(probe.convert("RGB"), np.int16), np.asarray(result, np.int16)
    return bool(np.abs(before - after).max() <= 1)

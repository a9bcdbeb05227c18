"""The resolution of an opened file, which each program gives in its own way."""

from __future__ import annotations

import math

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from uncnn.daemon.photos.metadata import exif_of


def dots_per_inch(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution across and down where the file gives a sensible one."""
    silent = isinstance(image, JpegImagePlugin.JpegImageFile) and not image.info.get("jfif_unit")
    if silent and TiffImagePlugin.X_RESOLUTION not in exif_of(image.info.get("exif")):
        return None  # Pillow takes 72 where there is none
    if isinstance(image, TiffImagePlugin.TiffImageFile) and TiffImagePlugin.X_RESOLUTION not in image.tag_v2:
        return None  # Pillow takes 1 where there is none
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)):
        return None
    return round(across, 2), round(down, 2)  # finer ones could be anything

"""A picture made to fit the format that it is written in; what a format cannot hold is said, never lost quietly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.deep import reduced
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.profiles import srgb_profile
from uncnn.daemon.photos.reader import seen
from uncnn.daemon.photos.turning import SIDEWAYS, upright
from uncnn.daemon.photos.values import MODES, Note, Stored


def fitting(stored: Stored, source: Format, chosen: Format, note: Note) -> Stored:
    """Return what is stored of a file of the format `source`, as the format `chosen` can hold it."""
    own = FORMATS[chosen]
    if chosen != source or not own.turning:
        stored = _baked(stored)
    if own.opaque:  # asked for where every pixel is opaque
        stored = replace(stored, alpha=None)
    if stored.samples.dtype != np.uint8 and not own.deep:
        alpha = None if stored.alpha is None else reduced(stored.alpha)
        stored = replace(stored, samples=reduced(stored.samples), alpha=alpha)
        note(f"its 16 bits per sample become 8: {chosen} cannot store more")
    if stored.palette is not None and not own.indexed:
        stored = replace(stored, palette=None)
    if stored.chunks and chosen != source:
        stored = replace(stored, chunks=())
    if _in_srgb_alone(stored, own):
        if MODES[stored.samples.shape[2]] == "CMYK":
            note(f"its CMYK colours become sRGB: {chosen} cannot store CMYK")
        stored = replace(stored, samples=_plain(stored), profile=srgb_profile() if own.profiled else None)
    return stored


def _in_srgb_alone(stored: Stored, own: PhotoFormat) -> bool:
    """Return whether a format cannot hold the colours as they are stored."""
    channels = stored.samples.shape[2]
    if MODES[channels] == "CMYK":
        return not own.inks
    return stored.profile is not None and not (own.profiled and (own.grey_profiled or channels > 1))


def _plain(stored: Stored) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the samples in sRGB, (H, W, 1) where they are grey."""
    pixels = seen(stored)
    return pixels[..., :1] if stored.samples.shape[2] == 1 else pixels


def _baked(stored: Stored) -> Stored:
    """Return the picture upright, with nothing left for a viewer to do."""
    turn = stored.orientation
    if turn == 1:
        return stored
    dots = stored.encoding.dots_per_inch
    if dots and turn >= SIDEWAYS:
        dots = (dots[1], dots[0])
    palette = stored.palette
    return replace(
        stored,
        samples=upright(stored.samples, turn),
        alpha=None if stored.alpha is None else upright(stored.alpha, turn),
        palette=None if palette is None else replace(palette, indices=upright(palette.indices, turn)),
        orientation=1,
        encoding=replace(stored.encoding, dots_per_inch=dots),
    )

"""An evaluation to look at: faces before and after, and the change made large."""

from __future__ import annotations

from typing import Final

from uncnn.daemon.evaluate.values import Sample
from uncnn.daemon.pictures.contact_sheet import AMPLIFIED, Row, amplified, contact_sheet_png
from uncnn.plugins.api import Pixels

_TILE_PX: Final = 200


def contact_sheet(samples: tuple[Sample, ...], strengths: tuple[str, ...]) -> bytes:
    """Return as PNG a row a face: the original, then for each strength the cloaked face and the amplified change."""
    titles = ["original", *(title for name in strengths for title in (name, f"change x {AMPLIFIED}"))]
    return contact_sheet_png(titles, [_row(sample, strengths) for sample in samples], _TILE_PX)


def _row(sample: Sample, strengths: tuple[str, ...]) -> Row:
    tiles: list[Pixels] = [sample.original]
    captions = [f"{sample.original.shape[1]} x {sample.original.shape[0]} px"]
    for strength in strengths:
        released, zoom = sample.released[strength], sample.jod[strength].zoom
        tiles += [released, amplified(sample.original, released)]
        captions += ["" if zoom is None else f"JOD {zoom:.1f} zoomed in", ""]
    return Row(tiles, captions)

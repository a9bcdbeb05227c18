"""Two versions of a photo as a picture or a page, with the figures of how far they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from uncnn.daemon.pictures.compared import ComparedRegion
from uncnn.daemon.pictures.comparison_page import page
from uncnn.daemon.pictures.contact_sheet import AMPLIFIED, Row, amplified, contact_sheet_png
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.jod import change_words
from uncnn.daemon.verify.visibility import as_shown, check_sizes, face_square, visibility
from uncnn.plugins.api import Detector, Pixels
from uncnn.plugins.detectors.turned import looking

LARGEST_PX: Final = 1024  # of the longer side: as large as it is shown, and measured
MOST_FACES: Final = 12  # the largest ones
TITLES: Final = ("original", "copy", f"change x {AMPLIFIED}")
_TILE_PX: Final = 480


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a photo for people."""

    picture: bytes  # PNG or HTML
    change: str  # in words
    regions: list[dict[str, Any]]  # the figures of the photo and of each face
    left_out: int  # faces that there was no room for


def compare(detector: Detector, before: Pixels, after: Pixels, kind: Literal["png", "html"]) -> Comparison:
    """Return the comparison of two versions of a photo, with the figures of the whole photo and of each face."""
    check_sizes(before, after, "give two versions of one photo")
    faces = sorted(looking(detector, "auto").detect(before), key=lambda face: -face.size_px)
    jod, zooms = on_displays(before, after, faces)
    regions = [_region("whole photo", before, after, {"phone": jod.phone, "desktop": jod.desktop})]
    for face, zoom in list(zip(faces, zooms, strict=True))[:MOST_FACES]:
        if zoom is not None and (square := face_square(face, before.shape)) is not None:
            left, top = (round(value) for value in face.box[:2])
            regions.append(_region(f"face at {left},{top}", before[square], after[square], {"zoom": zoom}, face.box))
    change = change_words(jod)
    made = _contact_sheet(regions) if kind == "png" else page(regions, change).encode()
    figures = [
        {
            "name": one.name,
            "box": one.box,
            "jod": {display: one.jod.get(display) for display in ("phone", "desktop", "zoom")},
            **asdict(one.visibility),
        }
        for one in regions
    ]
    return Comparison(made, change, figures, max(len(faces) - MOST_FACES, 0))


def words(region: ComparedRegion) -> str:
    """Return the figures that people ask for first."""
    return ", ".join(f"JOD {value:.2f} ({display})" for display, value in region.jod.items())


def _region(
    name: str,
    original: Pixels,
    copy: Pixels,
    jod: Mapping[str, float],
    box: tuple[float, float, float, float] | None = None,
) -> ComparedRegion:
    one, other = as_shown(original, LARGEST_PX), as_shown(copy, LARGEST_PX)
    return ComparedRegion(name, one, other, visibility(one, other), jod, box)


def _contact_sheet(regions: Sequence[ComparedRegion]) -> bytes:
    rows = [
        Row((one.original, one.copy, amplified(one.original, one.copy)), (one.name, words(one), "")) for one in regions
    ]
    return contact_sheet_png(TITLES, rows, _TILE_PX)

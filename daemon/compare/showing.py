"""Two versions of a photo as a picture or a page: what the verifier's process does, since it decodes files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from uncnn.daemon.compare.page import page
from uncnn.daemon.compare.subject import Subject
from uncnn.daemon.photos import decode
from uncnn.daemon.processes import Message
from uncnn.daemon.sheet import AMPLIFIED, Row, amplified, sheet
from uncnn.daemon.verify.visibility import VISIBILITY, Visibility, as_shown, check_sizes, face_square, looks, visibility
from uncnn.plugins.api import Detector, Pixels
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.onnx_recogniser import OnnxRecogniser

LARGEST_PX: Final = 1024  # of the longer side: as large as it is shown, and measured
MOST_FACES: Final = 12  # the largest ones
TITLES: Final = ("original", "copy", f"change x {AMPLIFIED}")
_TILE_PX: Final = 480


def show(detector: Detector, _recognisers: Sequence[OnnxRecogniser], request: Message) -> Message:
    """Write the comparison of the files `original` and `copy` to `destination`, as `kind` png or html.

    Returns the figures of the whole photo and of each face, and how many faces were left out for want of room.
    """
    before, after = (
        decode(Path(request[key]).read_bytes(), request[f"{key}_name"]).pixels for key in ("original", "copy")
    )
    check_sizes(before, after, "give two versions of one photo")
    faces = sorted(looking(detector, "auto").detect(before), key=lambda face: -face.size_px)
    subjects = [_subject("whole photo", before, after)]
    for face in faces[:MOST_FACES]:
        if (square := face_square(face, before.shape)) is not None:
            left, top = (round(value) for value in face.box[:2])
            subjects.append(_subject(f"face at {left},{top}", before[square], after[square], face.box))
    made = _sheet(subjects) if request["kind"] == "png" else page(subjects).encode()
    Path(request["destination"]).write_bytes(made)
    return {
        "subjects": [
            {"name": one.name, "box": one.box, **VISIBILITY.dump_python(one.looks, mode="json")} for one in subjects
        ],
        "left_out": max(len(faces) - MOST_FACES, 0),
    }


def words(seen: Visibility) -> str:
    """Return the figures that people ask for first."""
    shown = f"looks {seen.ssimulacra2:.0f}"
    return shown if seen.butteraugli is None else f"{shown}, Butteraugli {seen.butteraugli:.1f}"


def _subject(
    name: str, original: Pixels, copy: Pixels, box: tuple[float, float, float, float] | None = None
) -> Subject:
    one, other = as_shown(original, LARGEST_PX), as_shown(copy, LARGEST_PX)
    seen = visibility(one, other)
    if box is not None:  # the figure that `cloak` and `verify` have
        seen = replace(seen, ssimulacra2=looks(original, copy))
    return Subject(name, one, other, seen, box)


def _sheet(subjects: Sequence[Subject]) -> bytes:
    rows = [
        Row((one.original, one.copy, amplified(one.original, one.copy)), (one.name, words(one.looks), ""))
        for one in subjects
    ]
    return sheet(TITLES, rows, _TILE_PX)

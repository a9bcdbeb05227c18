"""Two versions of a photo as a picture or a page: what the verifier's process does, since it decodes files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from uncnn.daemon.compare.page import page
from uncnn.daemon.compare.subject import Subject
from uncnn.daemon.photos import decode
from uncnn.daemon.processes import Message
from uncnn.daemon.sheet import AMPLIFIED, Row, amplified, sheet
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.jod import change_words
from uncnn.daemon.verify.visibility import VISIBILITY, as_shown, check_sizes, face_square, visibility
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
    jod, zooms = on_displays(before, after, faces)
    subjects = [_subject("whole photo", before, after, {"phone": jod.phone, "desktop": jod.desktop})]
    for face, zoom in list(zip(faces, zooms, strict=True))[:MOST_FACES]:
        if zoom is not None and (square := face_square(face, before.shape)) is not None:
            left, top = (round(value) for value in face.box[:2])
            subjects.append(_subject(f"face at {left},{top}", before[square], after[square], {"zoom": zoom}, face.box))
    change = change_words(jod)
    made = _sheet(subjects) if request["kind"] == "png" else page(subjects, change).encode()
    Path(request["destination"]).write_bytes(made)
    return {
        "change": change,
        "subjects": [
            {
                "name": one.name,
                "box": one.box,
                "jod": {display: one.jod.get(display) for display in ("phone", "desktop", "zoom")},
                **VISIBILITY.dump_python(one.seen, mode="json"),
            }
            for one in subjects
        ],
        "left_out": max(len(faces) - MOST_FACES, 0),
    }


def words(subject: Subject) -> str:
    """Return the figures that people ask for first."""
    return ", ".join(f"JOD {value:.2f} ({display})" for display, value in subject.jod.items())


def _subject(
    name: str,
    original: Pixels,
    copy: Pixels,
    jod: Mapping[str, float],
    box: tuple[float, float, float, float] | None = None,
) -> Subject:
    one, other = as_shown(original, LARGEST_PX), as_shown(copy, LARGEST_PX)
    return Subject(name, one, other, visibility(one, other), jod, box)


def _sheet(subjects: Sequence[Subject]) -> bytes:
    rows = [
        Row((one.original, one.copy, amplified(one.original, one.copy)), (one.name, words(one), "")) for one in subjects
    ]
    return sheet(TITLES, rows, _TILE_PX)

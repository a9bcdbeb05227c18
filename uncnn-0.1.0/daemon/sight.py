"""What the worker sees in a photo before anything is changed: its faces, and which picture it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.crew import Crew
from uncnn.daemon.processes import Message, Report
from uncnn.daemon.verify.verdict import FACES
from uncnn.plugins.api import Face, Rotated


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is in a photo."""

    faces: list[Face]
    photo_format: str
    notes: tuple[str, ...]
    fingerprint: str | None  # of the picture, whatever its file says besides
    began: float  # monotonic, of work on the photo


def see(crew: Crew, source: Path, name: str, report: Report, rotated: Rotated) -> Seen:
    """Return what the worker sees in the photo in the file `source`, which a person knows as `name`.

    `rotated`: whether faces at any in-plane angle are looked for.

    Raises:
        RequestError: it is no photo. ProcessDied: the worker died of it.
    """
    began = time.monotonic()
    report({"stage": "looking for faces"})
    looked = crew.ask_worker(look_request(source, name, rotated))
    faces = FACES.validate_python(looked["faces"])
    return Seen(faces, looked["format"], tuple(looked["notes"]), looked.get("fingerprint"), began)


def look_request(source: Path, name: str, rotated: Rotated) -> Message:
    """Return what the worker is asked first: which faces the photo shows."""
    return {"do": "look", "source": str(source), "name": name, "rotated": rotated}

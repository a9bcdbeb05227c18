"""How long `explain` takes for a face: for `explain.py`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Models
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Explain
from uncnn.daemon.settings import own_processes, taken

MOST: Final = 100  # faces of a photo


def print_seconds(data: Path, number: int) -> None:
    """Print how long a face takes once the models are loaded, as `uncnn-daemon explain --against` does it."""
    people = sorted((data / "lfw" / "identities").iterdir())[: number + 1]
    alone, both, faces = [], [], 0
    with own_processes(Models(), "cpu") as (engine, spool):
        names = tuple(model.card.name for model in engine.roster.judges)
        for person in people:
            photo = Content(taken(sorted(person.iterdir())[0], spool).path)
            for copy, took in ((None, alone), (photo, both)):
                began = time.monotonic()
                found = engine.judge(Explain(photo, person.name, copy, names, "auto", 0.0, MOST, ())).faces
                took.append((time.monotonic() - began) / max(len(found), 1))
            faces += len(found)
    for what, took in (("alone", alone[1:]), ("and its copy", both[1:])):
        print(
            f"\nseconds a face, the photo {what}, two judges: median {statistics.median(took):.2f}, slowest "
            f"{max(took):.2f} of {len(took)} photos with {faces} faces",
            flush=True,
        )

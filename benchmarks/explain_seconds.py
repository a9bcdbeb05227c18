"""How long `explain` takes for a face: for `explain.py`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from uncnn.daemon.config import Models
from uncnn.daemon.explain.gallery import gallery_of
from uncnn.daemon.explain.identification import answers
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Recognise
from uncnn.daemon.settings import own_processes, taken


def print_seconds(data: Path, number: int) -> None:
    """Print how long a face takes once the models are loaded, as `uncnn-daemon explain --against` does it."""
    people = sorted((data / "lfw" / "identities").iterdir())[: number + 1]
    alone, both, faces = [], [], 0
    with own_processes(Models(), "cpu") as (engine, spool):
        galleries = [gallery_of(model.card, model.folder, []) for model in engine.roster.judges]
        names = tuple(gallery.card.name for gallery in galleries)
        for person in people:
            photo = Content(taken(sorted(person.iterdir())[0], spool).path)
            began = time.monotonic()
            seen = engine.judge(Recognise(photo, person.name, names, "auto", 0.0)).faces
            own = [{each.recogniser: each.embedding for each in face.models} for face in seen]
            for embeddings in own:
                answers(galleries, embeddings, None)
            alone.append((time.monotonic() - began) / max(len(seen), 1))
            known = tuple(face.face for face in seen)
            again = engine.judge(Recognise(photo, person.name, names, "auto", 0.0, known)).faces
            for embeddings, face in zip(own, again, strict=False):
                answers(galleries, embeddings, {each.recogniser: each.embedding for each in face.models})
            both.append((time.monotonic() - began) / max(len(seen), 1))
            faces += len(seen)
    for what, took in (("alone", alone[1:]), ("and its copy", both[1:])):
        print(
            f"\nseconds a face, the photo {what}, two judges: median {statistics.median(took):.2f}, slowest "
            f"{max(took):.2f} of {len(took)} photos with {faces} faces",
            flush=True,
        )

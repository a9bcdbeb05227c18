"""Whom recognisers take the faces of a dropped photo for, before and after."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from typing import Any, Final

from uncnn.daemon.config import Policy
from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.explain.explained import ExplainedFace
from uncnn.daemon.explain.members import enrolled
from uncnn.daemon.people.store import read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Explain
from uncnn.plugins.api import UncnnError

MOST_FACES: Final = 8


def likenesses(engine: EitherEngine, photo: Content, name: str, copy: Content, policy: Policy) -> bytes | None:
    """Return whom the judges take the largest faces for, as compressed JSON; None: that cannot be said.

    It tells a person something; nothing is decided by it, and a photo does not fail for it.
    """
    try:
        judges = tuple(model.card.name for model in engine.roster.judges)
        faces, members = policy.faces, tuple(enrolled(read_people()))
        asked = Explain(photo, name, copy, judges, faces.rotated, faces.smallest_px, MOST_FACES, members)
        said = engine.judge(asked)
    except UncnnError:
        return None
    values = {"faces": [_face(face) for face in said.faces], "people": len(members)}
    return zlib.compress(json.dumps(values).encode()) if said.faces else None


def _face(face: ExplainedFace) -> dict[str, Any]:
    return {
        "number": face.number,
        "box": [round(edge, 1) for edge in face.face.box],
        "found_again": face.found_again,
        "recognisers": [
            {
                "name": answer.recogniser,
                "names": answer.names,
                "original": asdict(answer.original),
                "copy": None if answer.copy is None else asdict(answer.copy),
            }
            for answer in face.answers
        ],
    }

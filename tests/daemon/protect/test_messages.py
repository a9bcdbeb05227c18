"""Messages: what crosses to another process comes back the same, and what is no message or no answer is refused."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.people.store import People, Person, Template
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import (
    CANDIDATE,
    AttackChoice,
    Change,
    Changed,
    Judge,
    Look,
    Looked,
    Next,
    Ready,
    Terms,
)
from uncnn.daemon.protect.wire import UnknownMessage, answer, pack, pack_answer, unpack, unpack_answer
from uncnn.daemon.verify.detection import Detection
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.plugins.api import Face, UncnnError

FACE = Face((0.1, 1e-17, 50.3, 1 / 3), ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)), 0.9)
PHOTO = Content(Path("/spool/a.spool"))
PEOPLE = People(
    people=[Person("ada", datetime(2026, 1, 2, tzinfo=UTC), [Template("dlib-resnet", "0" * 64, [[0.5, -0.25]])])]
)
DECISION = FaceDecision("not-a-person", (0.1, 1, 2.5, 3), "page", "2026-01-02T03:04:05+00:00")
TERMS = Terms(1e-3, ("as-is", "jpeg-75"), "calibrated", 24, "auto", "cloak", "only-enrolled", PEOPLE, (DECISION,))
ATTACK = AttackChoice("veil", {"steps": 3, "target": None}, PEOPLE)
CHANGE = Change(PHOTO, "a", True, (FACE,), ("strong",), ATTACK, "JPEG", 90, following=(Next(PHOTO, "b"),))
DETECTION = Detection(FACE, "turned", True, False)
UNREADABLE = Judgement("stern", "judge", "cosine", "as-is", math.nan, 0.5, 0.3, True)


def across(packed: Any) -> Any:
    return json.loads(json.dumps(packed))


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Look(Content(data=bytes(range(256))), "a.jpg", "auto"),
        CHANGE,
        Judge(PHOTO, Content(data=b"\xff"), TERMS, (DETECTION,), (FACE,), PHOTO),
        Judge(PHOTO, PHOTO, TERMS),
    ],
)
def test_a_message_comes_across_the_same(message: Any) -> None:
    assert unpack({type(message): print}, pack(message)) == message


def test_an_answer_comes_across_the_same() -> None:
    looked = Looked((FACE,), "PNG", (3, 4), ("a note",), None)
    look = Look(PHOTO, "a.jpg", False)
    assert unpack_answer(look, across(pack_answer(look, looked))) == looked
    judge = Judge(PHOTO, PHOTO, TERMS)
    verdict = Verdict("0" * 64, 1e-3, ("as-is",), (FaceVerdict(FACE, True, True, (UNREADABLE,)),))
    came: Verdict = unpack_answer(judge, across(pack_answer(judge, verdict)))
    assert math.isnan(came.faces[0].judgements[0].before), "not None, which would be no figure"


def test_a_message_without_a_handler_is_an_error_on_either_side() -> None:
    with pytest.raises(UnknownMessage, match="nobody answers the message Ready, only Look"):
        unpack({Look: print}, pack(Ready()))
    with pytest.raises(UnknownMessage, match="nobody answers the message Ready, only Look"):
        answer({Look: print}, Ready(), print)


def test_fields_of_another_type_are_refused() -> None:
    packed = json.loads(pack(CHANGE))
    packed["content"]["faces"] = "all of them"
    with pytest.raises(ValidationError):
        unpack({Change: print}, json.dumps(packed).encode())


def test_what_is_made_of_a_photo_is_held_as_the_photo_is(tmp_path: Path) -> None:
    photo = Content(tmp_path / "a.spool")
    made = photo.beside(CANDIDATE, b"cloaked")
    assert made == Content(tmp_path / "a.candidate")
    assert made.read() == b"cloaked"
    assert Content(data=b"original").beside(CANDIDATE, b"cloaked") == Content(data=b"cloaked")


@pytest.mark.parametrize("named", [Path("/home/ada/letter"), Path("/spool/b.candidate"), None])
def test_a_process_that_names_another_file_is_not_followed(named: Path | None) -> None:
    """One that a photo has taken over might have a letter of the person's released."""
    with pytest.raises(UncnnError, match="answered with the file"):
        PHOTO.check_beside(CANDIDATE, Content(named))
    assert PHOTO.check_beside(CANDIDATE, Content(Path("/spool/a.candidate"))).file is not None


def test_an_answer_in_memory_to_a_photo_in_memory_is_taken() -> None:
    assert Content(data=b"a").check_beside(CANDIDATE, Changed(Content(data=b"b"), ()).candidate).read() == b"b"

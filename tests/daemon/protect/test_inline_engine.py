"""A photo's protection as a function of its bytes, in this process and without a file."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from pydantic import TypeAdapter

from uncnn.daemon.config import Models
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.photos import PhotoError
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.inline_engine import InlineEngine
from uncnn.daemon.protect.messages import Look, Ready
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, protect
from uncnn.daemon.protect.wire import RequestError, silent
from uncnn.daemon.verify.verdict import Verdict

POLICY = Policy.model_validate({"attack": {"steps": 6}, "protect": {"views": ["as-is"]}})


def failing(error: Exception) -> Any:
    def handle(*_: object) -> None:
        raise error

    return handle


def test_a_failure_says_where_it_lies_as_that_of_a_process_does() -> None:
    engine = InlineEngine({Look: failing(PhotoError("truncated", "a.jpg is cut short"))}, {})
    with pytest.raises(RequestError, match="cut short") as caught:
        engine.look(Look(Content(data=b""), "a.jpg", False))
    assert (caught.value.fault, caught.value.kind) == ("photo", "truncated")
    with pytest.raises(RequestError, match="nobody answers the message Ready"):
        engine.judge(Ready())


def test_a_job_and_its_outcome_are_json() -> None:
    job = PhotoJob(Content(data=b"\xff\xd8"), "a.jpg", POLICY)
    adapter: TypeAdapter[Any] = TypeAdapter(PhotoJob)
    assert adapter.validate_json(adapter.dump_json(job)) == job
    outcome = Outcome("hold", "why", job.photo, Verdict("0" * 64, 1e-3, ("as-is",), ()), (), "JPEG", (), 1.5)
    adapter = TypeAdapter(Outcome)
    assert adapter.validate_json(adapter.dump_json(outcome)) == outcome


@pytest.mark.slow
def test_bytes_go_in_and_the_judged_bytes_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skimage = pytest.importorskip("skimage")
    monkeypatch.delenv("UNCNN_MODELS", raising=False)
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200)).save(buffer, "PNG")
    engine = InlineEngine.load(Models(), "cpu", tmp_path)
    job = PhotoJob(Content(data=buffer.getvalue()), "photo.png", POLICY)
    stages: list[str] = []
    outcome = protect(engine, job, lambda stage: stages.append(stage.name))
    copy = outcome.candidate.read()
    assert outcome.candidate.file is None
    assert hashlib.sha256(copy).hexdigest() == outcome.sha256, "the verdict is on exactly these bytes"
    assert (outcome.faces, outcome.decision) == (1, "publish")
    before, after = (np.asarray(Image.open(io.BytesIO(each))).astype(int) for each in (buffer.getvalue(), copy))
    assert 0 < np.abs(before - after).mean() < 8
    assert stages[0] == "looking for faces"
    assert "checking" in stages


@pytest.mark.slow
def test_a_face_that_a_person_wants_left_keeps_its_pixels_and_the_other_is_protected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skimage = pytest.importorskip("skimage")
    monkeypatch.delenv("UNCNN_MODELS", raising=False)
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    both, buffer = Image.new("RGB", (400, 200)), io.BytesIO()
    both.paste(face, (0, 0))
    both.paste(ImageOps.mirror(face), (200, 0))
    both.save(buffer, "PNG")
    engine, photo = InlineEngine.load(Models(), "cpu", tmp_path), Content(data=buffer.getvalue())
    left, _ = sorted(engine.look(Look(photo, "photo.png", "auto")).faces, key=lambda each: each.box)
    decision = FaceDecision("leave", left.box, "command", "2026-01-02T03:04:05+00:00")
    outcome = protect(engine, PhotoJob(photo, "photo.png", POLICY, decisions=(decision,)), silent)
    assert (outcome.decision, outcome.faces) == ("publish", 1)
    assert outcome.reason.endswith("; 1 face left as you asked")
    before, after = (np.asarray(Image.open(io.BytesIO(each))) for each in (photo.read(), outcome.candidate.read()))
    assert np.array_equal(before[:, :200], after[:, :200])
    assert not np.array_equal(before[:, 200:], after[:, 200:])

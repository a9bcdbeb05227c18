"""The verifier on real photos: it does not take the worker's word for anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.ledger.decisions import FaceDecision, Kind
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.measuring import compare_versions, embed
from uncnn.daemon.protect.messages import Compare, Embed, Embedded, Judge, LookAhead, Review, Terms
from uncnn.daemon.protect.verifier import Verifier, handlers_of
from uncnn.daemon.protect.wire import answer, silent
from uncnn.daemon.verify.jod import Jod
from uncnn.daemon.verify.places import JITTERS
from uncnn.daemon.verify.second_look import SecondLook
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face, UncnnError
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]
VIEWS = ("as-is", "jpeg-75")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    names = ("openvino-0095", "dlib-resnet", "esp-mfn")
    return Verifier(load_onnx(EMBEDDED / OWN_ONNX, CPU), [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in names])


def test_a_copy_is_linked_by_everyone(verifier: Verifier, photo: np.ndarray) -> None:
    released = png(photo)
    verdict = verifier.verify(released, released, 1e-3, VIEWS, 24)
    assert verdict.sha256 == hashlib.sha256(released).hexdigest()
    assert not verdict.protected
    (face,) = verdict.faces
    assert face.found_again
    assert face.zoom == 10
    assert verdict.jod == Jod(10, 10, 10)
    assert len(face.judgements) == 3 * len(VIEWS)
    assert all(judgement.linked for judgement in face.judgements)
    assert {judgement.role for judgement in face.judgements} == {"judge", "surrogate"}


def test_a_face_that_the_worker_missed_is_found_on_the_released_bytes(verifier: Verifier, photo: np.ndarray) -> None:
    verdict = verifier.verify(png(photo), png(photo), 1e-3, VIEWS, 24, faces=[])
    assert len(verdict.faces) == 1
    assert not verdict.protected


def test_a_face_that_is_gone_is_said_and_still_judged(verifier: Verifier, photo: np.ndarray) -> None:
    left, top, right, bottom = (int(value) for value in verifier.detector.detect(photo)[0].box)
    blotted = photo.copy()
    blotted[top - 40 : bottom + 40, left - 40 : right + 40] = 127
    verdict = verifier.verify(png(photo), png(blotted), 1e-3, VIEWS, 24)
    (face,) = verdict.faces
    assert not face.found_again
    assert verdict.protected


@pytest.mark.slow
def test_each_answer_says_what_was_asked_and_a_wider_margin_asks_for_more(
    verifier: Verifier, photo: np.ndarray
) -> None:
    left, top, right, bottom = (int(value) for value in verifier.detector.detect(photo)[0].box)
    blotted = photo.copy()
    blotted[top - 40 : bottom + 40, left - 40 : right + 40] = 127
    told = {margin: verifier.verify(png(photo), png(blotted), 1e-3, VIEWS, 24, margin=margin) for margin in (0.0, 1.0)}
    assert told[0.0].protected
    assert not told[1.0].protected, "nothing lies twice as far as the threshold"
    for margin, verdict in told.items():
        assert verdict.margin == margin
        assert {each.margin for each in verdict.faces[0].judgements} == {margin}
    calibrated = verifier.verify(png(photo), png(blotted), 1e-3, VIEWS, 24)
    margins = {each.recogniser: each.margin for each in calibrated.faces[0].judgements}
    cards = {each.card.name: each.card.margin for each in verifier.recognisers}
    assert margins == cards, "those of the cards"
    assert None not in cards.values()
    assert {each.family for each in calibrated.faces[0].judgements} == {"mobilenetv2", "resnet-29", "mobilefacenet"}


def test_who_does_not_know_the_unchanged_photo_proves_nothing(verifier: Verifier, photo: np.ndarray) -> None:
    """Under a blur of 9 pixels a face of 20 pixels is nobody's: not of the original either."""
    small = np.asarray(Image.fromarray(photo).resize((128, 128), Image.Resampling.LANCZOS))
    grey = np.full_like(small, 127)
    face = verifier.detector.detect(photo)[0]
    points = tuple((x / 4, y / 4) for x, y in face.landmarks)
    known = Face(tuple(value / 4 for value in face.box), points, 0.9)  # type: ignore[arg-type]
    verdict = verifier.verify(png(small), png(grey), 1e-3, ("blur-9",), 8, faces=[known], margin=0.0)
    (found,) = verdict.faces
    blind = [each for each in found.judgements if each.blind]
    assert blind, "else this test shows nothing"
    assert all(each.linked for each in blind)
    assert not verdict.protected


def test_a_face_is_asked_about_around_where_it_is_found(verifier: Verifier, photo: np.ndarray) -> None:
    """The worst place counts, so a copy of which one place is spoilt is no less linked than it is elsewhere."""
    (face,) = verifier.detector.detect(photo)
    asked: list[int] = []

    class Counting(OnnxRecogniser):
        def embed(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
            asked.append(len(landmarks))
            return OnnxRecogniser.embed(self, photo, landmarks)

    counting = Counting(verifier.recognisers[0].card, verifier.recognisers[0].session)
    Verifier(verifier.detector, [counting]).verify(png(photo), png(photo), 1e-3, ("as-is",), 24, faces=[face])
    assert asked[-1] >= 1 + len(JITTERS), "where it is found and around that"
    asked.clear()
    Verifier(verifier.detector, [counting]).verify(
        png(photo), png(np.roll(photo, 6, axis=1)), 1e-3, ("as-is",), 24, faces=[face]
    )
    assert asked[-1] == 2 + len(JITTERS), "and where it was, for it is elsewhere now"


@pytest.mark.slow
def test_the_unchanged_photo_is_asked_about_once_however_many_copies_are_judged(
    verifier: Verifier, photo: np.ndarray
) -> None:
    unchanged: list[int] = []

    class Counting(OnnxRecogniser):
        def embed(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
            if photo.mean() > 100:  # the original: the copies are darker
                unchanged.append(len(landmarks))
            return OnnxRecogniser.embed(self, photo, landmarks)

    counting = [Counting(each.card, each.session) for each in verifier.recognisers]
    judging = Verifier(verifier.detector, counting)
    copies = [png((photo * share).astype(np.uint8)) for share in (0.8, 0.7, 0.6)]
    told = [judging.verify(png(photo), copies[0], 1e-3, VIEWS, 24)]
    asked = len(unchanged)
    assert asked >= len(counting) * (1 + len(VIEWS))
    told += [judging.verify(png(photo), copy, 1e-3, VIEWS, 24) for copy in copies[1:]]
    assert len(unchanged) == asked
    for copy, verdict in zip(copies, told, strict=True):
        fresh = Verifier(verifier.detector, verifier.recognisers)
        assert fresh.verify(png(photo), copy, 1e-3, VIEWS, 24) == verdict, "what is remembered changes no verdict"


def test_a_photo_that_was_looked_at_ahead_is_reviewed_the_same_and_not_looked_at_again(
    verifier: Verifier, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Content(data=png(photo))
    faces = tuple(verifier.detector.detect(photo))
    review = Review(content, "a", faces, Terms(1e-3, VIEWS, "calibrated", 24, "auto", "cloak", "all"))
    alone = handlers_of(Verifier(verifier.detector, verifier.recognisers), "cpu")
    expected = answer(alone, review, silent)
    assert expected.detections
    ahead = handlers_of(Verifier(verifier.detector, verifier.recognisers), "cpu")
    assert answer(ahead, LookAhead(content, "a", "auto"), silent) is None
    monkeypatch.setattr(SecondLook, "at", None)
    assert answer(ahead, review, silent) == expected


def test_a_shifted_face_is_no_protection(verifier: Verifier, photo: np.ndarray) -> None:
    """The landmarks of the original do not fit any more; those found again do."""
    verdict = verifier.verify(png(photo), png(np.roll(photo, 3, axis=1)), 1e-3, VIEWS, 24)
    assert not verdict.protected


def test_small_faces_are_reported_and_not_required(verifier: Verifier, photo: np.ndarray) -> None:
    verdict = verifier.verify(png(photo), png(photo), 1e-3, VIEWS, 500)
    (face,) = verdict.faces
    assert not face.required
    assert verdict.kind == "no-face", "nothing was shown of it"
    assert not verdict.protected


def test_a_far_that_a_card_lacks_takes_the_stricter_one(verifier: Verifier, photo: np.ndarray) -> None:
    judge, _, other = verifier.recognisers  # dlib-resnet has no threshold at 1e-4
    few = judge.card.model_copy(update={"thresholds": {1e-2: judge.card.thresholds[1e-2], 1e-3: 0.3}})
    asked = replace(verifier, recognisers=[replace(judge, card=few), other])
    verdict = asked.verify(png(photo), png(photo), 1e-4, ("as-is",), 24)
    thresholds = {judgement.recogniser: judgement.threshold for judgement in verdict.faces[0].judgements}
    assert thresholds == {few.name: 0.3, other.card.name: other.card.thresholds[1e-4]}


@pytest.mark.parametrize("kind", ["leave", "not-a-person"])
def test_a_face_that_a_person_decided_about_is_left_and_not_counted(
    verifier: Verifier, photo: np.ndarray, kind: Kind
) -> None:
    (found,) = verifier.detector.detect(photo)
    decision = FaceDecision(kind, tuple(map(round, found.box)), "command", "")  # type: ignore[arg-type]
    content = Content(data=png(photo))
    terms = Terms(1e-3, VIEWS, "calibrated", 24, "auto", "cloak", "all", decisions=(decision,))
    handlers = handlers_of(verifier, "cpu")
    assert answer(handlers, Review(content, "a", (found,), terms), silent).spared == (True,)
    verdict = answer(handlers, Judge(content, content, terms), silent)
    (face,) = verdict.faces
    assert (face.required, face.spared, face.decided, verdict.unapplied) == (False, True, kind, ())
    left, top, right, bottom = decision.box
    beside = replace(terms, decisions=(replace(decision, box=(left - 200, top, right - 200, bottom)),))
    assert answer(handlers, Review(content, "a", (found,), beside), silent).spared == (False,)
    verdict = answer(handlers, Judge(content, content, beside), silent)
    (face,) = verdict.faces
    assert (face.required, face.spared, face.decided) == (True, False, None)
    assert "no face was found there" in verdict.unapplied[0]


def test_two_photos_of_different_size_are_refused(verifier: Verifier, photo: np.ndarray) -> None:
    with pytest.raises(UncnnError, match="512 x 512 and 500 x 512"):
        verifier.verify(png(photo), png(photo[:, :500].copy()), 1e-3, VIEWS, 24)


def test_faces_are_matched_by_their_landmarks() -> None:
    face = Face((0, 0, 50, 60), ((15, 20), (35, 20), (25, 32), (17, 45), (33, 45)), 0.9)
    near = Face(face.box, tuple((x + 3, y - 2) for x, y in face.landmarks), 0.5)  # type: ignore[arg-type]
    beside = Face(face.box, tuple((x + 30, y) for x, y in face.landmarks), 0.9)  # type: ignore[arg-type]
    assert same_face(face, near)
    assert not same_face(face, beside)


def test_the_verifier_has_no_torch() -> None:
    code = "import sys, uncnn.daemon.protect.verifier; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_face_is_embedded_in_every_view(verifier: Verifier, photo: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(png(photo))
    asked = Embed(Content(source), "photo.png", ("dlib-resnet",), tuple(VIEWS), None, False)
    told = embed(verifier.detector, verifier.recognisers, asked)
    face = told.face
    assert told.found
    assert face is not None
    assert {judge: set(views) for judge, views in told.embeddings.items()} == {"dlib-resnet": set(VIEWS)}
    assert same_face(face, verifier.detector.detect(photo)[0])
    seen = [np.array(told.embeddings["dlib-resnet"][view]) for view in VIEWS]
    assert 0 < np.linalg.norm(seen[0] - seen[1]) < 0.3, "the views differ, and show the same person"
    points = tuple((x + 200, y + 100) for x, y in face.landmarks)
    elsewhere = Face(tuple(value + 200 for value in face.box), points, 1.0)
    missed = embed(verifier.detector, verifier.recognisers, replace(asked, near=elsewhere))
    assert not missed.found, "the detector finds no face there: it is embedded where it was"
    assert missed.face == elsewhere
    assert missed.embeddings["dlib-resnet"].keys() == set(VIEWS)
    source.write_bytes(png(np.full_like(photo, 90)))
    assert embed(verifier.detector, verifier.recognisers, asked) == Embedded(None, False, {})


def test_a_face_too_small_for_the_metrics_has_no_visibility(
    verifier: Verifier, photo: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(png(photo))
    tiny = Face((10, 10, 18, 18), ((12, 12), (16, 12), (14, 14), (12, 16), (16, 16)), 1.0)
    for face, is_there in ((tiny, False), (verifier.detector.detect(photo)[0], True)):
        told = compare_versions(Compare(Content(source), Content(source), "photo.png", face, None))
        assert (told.visibility is not None) is is_there

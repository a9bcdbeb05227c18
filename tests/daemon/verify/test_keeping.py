"""A verdict as the ledger keeps it: what goes in comes out, in little room, and without what shows a face."""

from __future__ import annotations

import json
import math
import random
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.verify.jod import Jod
from uncnn.daemon.verify.keeping import kept_of, proof_of
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.exporters.registry.detectors import ChosenDetector, DetectorFiles
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import Card

LANDMARKS = ((20.25, 25.0), (50.0, 25.0), (35.0, 40.0), (25.0, 50.0), (45.0, 50.0))
FACE = Face((10.4, 10.0, 60.0, 75.6), LANDMARKS, 0.9)


@pytest.fixture
def roster(tmp_path: Path) -> Any:
    card = Card.model_construct(
        name="dlib-resnet", family="resnet", role="judge", sha256="1" * 64, metric="euclidean", thresholds={1e-3: 0.5}
    )
    model = SimpleNamespace(card=card)
    return SimpleNamespace(
        judges=[model],
        surrogates=[],
        detector=ChosenDetector(DetectorFiles(tmp_path, "", tmp_path / "detector.onnx", "2" * 64)),
    )


def judgement(**more: Any) -> Judgement:
    usual = {"recogniser": "dlib-resnet", "role": "judge", "metric": "euclidean", "view": "as-is"}
    return Judgement(**{**usual, "before": 0.01, "after": 0.61, "threshold": 0.5, "linked": False, **more})


def verdict(*faces: FaceVerdict) -> Verdict:
    return Verdict("a" * 64, 1e-3, ("as-is", "jpeg-75"), faces, "f" * 64, jod=Jod(9.98, 9.53, 9.25))


def face(*judgements: Judgement, **more: Any) -> FaceVerdict:
    return FaceVerdict(
        **{"face": FACE, "required": True, "found_again": True, "zoom": 9.25, **more}, judgements=judgements
    )


def test_what_goes_in_comes_out_but_for_what_shows_a_face(roster: Any) -> None:
    one = face(judgement(), judgement(view="jpeg-75", after=0.55, margin=0.1), uncertain="it may be an animal")
    two = face(judgement(linked=True), zoom=None, spared=True, required=False, moved=0.011)
    proof = proof_of(verdict(one, two), ["strong", ""], Policy(), roster)
    kept = kept_of(proof.roster, proof.content)
    place = Face((10.0, 10.0, 60.0, 76.0), ((0.0, 0.0),) * 5, 0.9)
    faces = (replace(one, face=place), replace(two, face=place))
    assert kept.verdict == replace(verdict(*faces), fingerprint=None)
    assert (kept.strengths, kept.asked["smallest_px"]) == (("strong", ""), 24)
    assert (proof.faces, proof.uncertain, proof.provisional) == (2, 1, True)
    text = zlib.decompress(proof.content).decode()
    assert "landmarks" not in text
    assert "20.25" not in text
    (model,) = kept.roster["models"]
    assert (model["sha256"], model["thresholds"]) == ("1" * 64, {"0.001": 0.5})
    assert len(kept.roster["detector"]["sha256"]) == 64
    assert kept.roster["uncnn"]


def test_of_another_detector_its_name_and_distribution_are_kept(roster: Any) -> None:
    roster.detector = replace(roster.detector, name="other", distribution="others 1.0")
    kept = json.loads(proof_of(verdict(), [], Policy(), roster).roster)["detector"]
    assert kept == {"plugin": "other", "distribution": "others 1.0"}


def test_figures_have_five_digits_and_what_is_no_number_stays_none(roster: Any) -> None:
    proof = proof_of(verdict(face(judgement(after=0.123456789, before=math.nan))), ["strong"], Policy(), roster)
    (kept,) = kept_of(proof.roster, proof.content).verdict.faces[0].judgements
    assert kept.after == 0.12346
    assert math.isnan(kept.before)


def test_no_face_is_a_verdict_too(roster: Any) -> None:
    proof = proof_of(verdict(), [], Policy(), roster)
    assert kept_of(proof.roster, proof.content).verdict == replace(verdict(), fingerprint=None)
    assert (proof.faces, proof.uncertain, proof.provisional) == (0, 0, False)


def test_one_that_an_older_uncnn_kept_has_the_defaults_of_what_it_did_not_know(roster: Any) -> None:
    proof = proof_of(verdict(face(judgement())), ["strong"], Policy(), roster)
    content = json.loads(zlib.decompress(proof.content))
    for name in ("uncertain", "moved", "spared", "zoom"):
        del content["verdict"]["faces"][name]
    content["verdict"]["faces"]["ssimulacra2"] = [88.0]  # a figure of that time
    del content["verdict"]["jod"]
    del content["verdict"]["faces"]["judgements"][0]["margin"]
    found = kept_of(proof.roster, zlib.compress(json.dumps(content).encode())).verdict
    (kept,) = found.faces
    assert (kept.uncertain, kept.moved, kept.spared, kept.judgements[0].margin) == ("", 0.0, False, 0.0)
    assert found.jod is kept.zoom is None


def test_two_judges_are_more_than_provisional(roster: Any) -> None:
    other = judgement(recogniser="openvino-0095", metric="cosine", before=0.9, after=0.1, family="mobilenet")
    both = face(judgement(family="resnet"), other)
    assert not proof_of(verdict(both), ["strong"], Policy(), roster).provisional


def test_a_crowd_takes_little_room(roster: Any) -> None:
    """200 faces, 8 recognisers, 4 views: 6,400 judgements, of two figures each that cannot be compressed away."""
    random.seed(1)
    crowd = [
        face(
            *(
                judgement(recogniser=str(n), view=v, before=random.random(), after=random.random())
                for n in range(8)
                for v in ("as-is", "jpeg-75", "half-size", "blur-1")
            )
        )
        for _ in range(200)
    ]
    assert len(proof_of(verdict(*crowd), ["strong"] * 200, Policy(), roster).content) < 65_000


@pytest.mark.parametrize("content", [b"", b"no zlib", zlib.compress(b"no JSON"), zlib.compress(b"{}")])
def test_what_is_no_verdict_is_said(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # JSON's own words too
        kept_of("{}", content)

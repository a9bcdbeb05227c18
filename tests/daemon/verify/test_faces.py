"""The faces of a verdict, as they are listed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from verdict_sample import JUDGEMENTS, VERDICT_OF_ONE

from uncnn.daemon.verify.faces import faces_json
from uncnn.daemon.verify.verdict import FaceVerdict

(FACE,) = VERDICT_OF_ONE.faces


def shown(face: FaceVerdict) -> dict[str, object]:
    (found,) = json.loads(json.dumps(faces_json(replace(VERDICT_OF_ONE, faces=(face,)), ["strong"]), allow_nan=False))
    return dict(found)


@pytest.mark.parametrize(
    ("face", "state"),
    [
        (FACE, "protected"),
        (replace(FACE, judgements=JUDGEMENTS[:2]), "provisional"),
        (replace(FACE, judgements=(replace(JUDGEMENTS[0], linked=True),)), "linked"),
        (replace(FACE, required=False), "small"),
        (replace(FACE, required=False, spared=True), "spared"),
        (replace(FACE, required=False, spared=True, decided="leave"), "left-as-asked"),
        (replace(FACE, required=False, spared=True, decided="not-a-person"), "no-person"),
        (replace(FACE, required=False, uncertain="turned"), "left-uncertain"),
    ],
)
def test_what_became_of_a_face_is_one_word(face: FaceVerdict, state: str) -> None:
    assert shown(face)["state"] == state


def test_each_recogniser_has_its_worst_view() -> None:
    face = shown(FACE)
    assert (face["box"], face["strength"], face["uncertain"]) == ([10, 10, 90, 110], "strong", None)
    recognisers = face["recognisers"]
    assert isinstance(recognisers, list)
    assert [each["name"] for each in recognisers] == ["dlib-resnet", "openvino-0095", "mobilefacenet-casia-tf2"]
    assert recognisers[0] == {
        "name": "dlib-resnet",
        "role": "judge",
        "view": "half-size",
        "linked": False,
        "inside": 0.18,
        "margin": 0.02,
    }


def test_what_is_no_number_is_none() -> None:
    face = shown(replace(FACE, judgements=(replace(JUDGEMENTS[0], after=float("nan"), linked=True),)))
    assert face["recognisers"][0]["inside"] is None  # type: ignore[index]

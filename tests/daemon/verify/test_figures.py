"""A verdict as JSON: names are a contract."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from verdict_sample import JUDGEMENTS, VERDICT_OF_ONE

from uncnn.daemon.verify.figures import verdict_json, worst_views


def test_json_says_who_was_asked_and_how_close_it_was() -> None:
    told = json.loads(json.dumps(verdict_json(VERDICT_OF_ONE, ["balanced"])))
    assert (told["verdict"], told["protected"], told["provisional"], told["faces_found"]) == (
        "protected",
        True,
        False,
        1,
    )
    assert (told["judges"], told["families"], told["margin"]) == (["dlib-resnet", "openvino-0095"], 2, "calibrated")
    assert told["jod"] == {"phone": 9.98, "desktop": 9.53, "zoom": 9.2}
    assert told["change"] == "not visible on a phone, slightly on a desktop"
    assert told["faces"][0]["jod_zoom"] == 9.2
    closest = told["closest"]
    assert closest == told["faces"][0]["closest"]
    assert (closest["recogniser"], closest["view"], closest["margin"]) == ("dlib-resnet", "half-size", 0.02)
    assert closest["inside"] == pytest.approx(0.636 / 0.539 - 1)
    alone = replace(VERDICT_OF_ONE.faces[0], judgements=JUDGEMENTS[:2])
    assert verdict_json(replace(VERDICT_OF_ONE, faces=(alone,)))["provisional"] is True


def test_each_recogniser_has_the_view_that_speaks_most_for_one_person() -> None:
    worst = worst_views(VERDICT_OF_ONE.faces[0])
    assert [(each.recogniser, each.view) for each in worst] == [
        ("dlib-resnet", "half-size"),
        ("openvino-0095", "half-size"),
        ("mobilefacenet-casia-tf2", "blur-1"),
    ]

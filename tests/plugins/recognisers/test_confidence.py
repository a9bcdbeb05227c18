"""What a card says of confidence: nothing that is no likelihood ratio is taken, and the gallery's size counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import read_card, write_card
from uncnn.plugins.recognisers.confidence import Confidence, Curve, Strangers, Tail

CURVE = {"leads": (-0.1, 0.0, 0.2), "log_ratios": (-3.0, 1.0, 9.0)}
STRANGERS = {"sha256": "0" * 64, "drawn": (-0.1, 0.1), "real": (-0.1, 0.2)}


def test_a_curve_is_straight_between_knots_and_level_beyond():
    found = Curve.model_validate(CURVE).at(np.array([-5.0, -0.05, 0.1, 7.0]))
    np.testing.assert_allclose(found, [-3.0, -1.0, 5.0, 9.0])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"leads": (0.0, 0.0, 0.2)}, "leads must rise"),
        ({"log_ratios": (1.0, 0.0, 9.0)}, "must not fall"),
        ({"leads": (0.0, 0.2)}, "give one for each"),
        ({"log_ratios": (0.0, 1.0, float("inf"))}, "finite"),
    ],
)
def test_what_is_no_curve_is_refused(changed: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        Curve.model_validate({**CURVE, **changed})


def test_a_person_of_three_photos_has_the_curve_for_two():
    curves = {number: {**CURVE, "log_ratios": (0.0, 0.0, float(number))} for number in (1, 2, 4)}
    confidence = Confidence.model_validate(
        {"fitted_on": "x", "ordinary": curves, "cloaked": {1: CURVE}, "strangers": STRANGERS}
    )
    found = [confidence.curve(photos, False).log_ratios[-1] for photos in (1, 2, 3, 4, 19)]
    assert found == [1.0, 2.0, 2.0, 4.0, 4.0]
    assert confidence.curve(4, True).log_ratios[-1] == 9.0


def test_a_card_without_a_curve_for_one_photo_is_refused():
    with pytest.raises(ValidationError, match="known from 1 photo"):
        Confidence.model_validate({"fitted_on": "x", "ordinary": {2: CURVE}, "strangers": STRANGERS})


def test_strangers_get_the_leads_of_real_people_and_keep_their_order():
    strangers = Strangers.model_validate(STRANGERS)
    leads = np.linspace(-0.3, 0.3, 61)
    found = strangers.as_real(leads)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(strangers.as_real(np.array([-0.3, -0.1, 0.1, 0.3])), [-0.3, -0.1, 0.2, 0.4])


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.1])
def test_the_threshold_is_that_at_which_so_many_strangers_are_named(shape: float):
    tail = Tail(gallery=1000, share=0.3, start=0.15, scale=0.04, shape=shape)
    generator = np.random.default_rng(0)
    beyond = generator.random(1_000_000) / 0.3
    ratio = 1 / np.clip(beyond, 1e-12, 1)
    excess = np.log(ratio) if shape == 0 else (ratio**shape - 1) / shape
    nearest = np.where(beyond < 1, 0.15 + 0.04 * excess, 0.0)
    for rate in (0.01, 0.1):
        assert (nearest >= tail.threshold(rate, 1000)).mean() == pytest.approx(rate, rel=0.03)
        of_five = nearest[: 5 * (len(nearest) // 5)].reshape(-1, 5).max(axis=1)  # 5,000 people are five such galleries
        assert (of_five >= tail.threshold(rate, 5000)).mean() == pytest.approx(rate, rel=0.06)


def test_few_names_are_never_given_below_what_was_fitted():
    assert Tail(gallery=1000, share=0.3, start=0.15, scale=0.04, shape=0.0).threshold(0.05, 3) == 0.15


def test_a_card_is_read_as_it_was_written(tmp_path):
    card = read_card(EMBEDDED / "openvino-0095")
    assert card.confidence is not None
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    without = card.model_copy(update={"confidence": None})
    write_card(without, tmp_path)
    assert read_card(tmp_path).confidence is None

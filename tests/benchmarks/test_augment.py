"""The arithmetic of `benchmarks/augment.py`: how sure a gain is, and a course that was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from augment import PART, Course, gained, gone_on
from torch import nn

from uncnn.plugins.api import UncnnError


def test_a_gain_of_nothing_is_as_unsure_as_the_number_of_people() -> None:
    same = np.repeat([1.0, 0.0], 30)
    value, low, high = gained(same, same)
    assert value == 0
    assert -0.1 < low < 0 < high < 0.1, "nobody changed: far surer than of two groups of 60"
    none, all_of_them = gained(np.zeros(60), np.zeros(60)), gained(np.zeros(60), np.ones(60))
    assert none == pytest.approx((0, -0.060, 0.060), abs=0.001), "Wilson's interval of none of 60"
    assert all_of_them == pytest.approx((1, 0.915, 1), abs=0.001)


def test_the_interval_of_a_gain_covers_the_truth() -> None:
    """Of 400 draws of 60 people, about 95 % of the intervals hold the true gain of 0.3."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        kinds = random.choice(4, 60, p=(0.2, 0.4, 0.1, 0.3))  # both, won, lost, neither
        before, after = np.isin(kinds, (0, 2)).astype(float), np.isin(kinds, (0, 1)).astype(float)
        _, low, high = gained(before, after)
        held += low <= 0.3 <= high
    assert 0.92 <= held / 400 <= 0.985


def test_a_course_that_was_stopped_goes_on_and_no_other_one_does(tmp_path: Path) -> None:
    course = Course("madry", ("pgd",), 60.0, 4, tmp_path / "kept")
    network, fresh = nn.Linear(2, 2), nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(network.parameters(), 0.1)
    part = tmp_path / "kept" / PART
    assert gone_on(network, optimiser, part, course) == 0  # type: ignore[arg-type]
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**state, "seconds": 12.5, "course": course.name}, part)
    assert gone_on(fresh, torch.optim.AdamW(fresh.parameters(), 0.1), part, course) == 12.5  # type: ignore[arg-type]
    assert torch.equal(fresh.weight, network.weight)
    other = Course("trades", ("pgd", "veil"), 60.0, 4, tmp_path / "kept")
    with pytest.raises(UncnnError, match="it is of another course \\(madry, pgd, 4 a batch\\)"):
        gone_on(fresh, optimiser, part, other)  # type: ignore[arg-type]

"""The arithmetic of `benchmarks/augment.py`: how sure a gain is, and a course that was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from augment import FILE, PART, Course, InTurn, gained, gone_on, leave
from torch import nn

from uncnn.augment import Spoof
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


def stepped(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    network(torch.ones(1, 2)).sum().backward()
    optimiser.step()


def test_a_course_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    part = tmp_path / PART
    networks = [nn.Linear(2, 2), nn.Linear(2, 2)]
    first, second = (torch.optim.AdamW(network.parameters(), 0.1) for network in networks)
    assert gone_on(networks[0], first, part) == (0, 0)
    stepped(networks[0], first)
    leave(networks[0], first, part, 12.5, 0.4)
    assert gone_on(networks[1], second, part) == (12.5, 0.4)
    kept = second.state_dict()["state"][0]
    assert kept["step"] == 1
    assert torch.equal(kept["exp_avg"], first.state_dict()["state"][0]["exp_avg"])
    for network, optimiser in zip(networks, (first, second), strict=True):
        stepped(network, optimiser)
    assert torch.equal(networks[0].weight, networks[1].weight), "the second step is the same"


def test_a_course_that_has_ended_is_not_run_again_and_no_other_one_in_its_folder(tmp_path: Path) -> None:
    course = Course("madry", ("pgd",), 60.0, 4, tmp_path / "kept")
    assert course.ended() is None
    course.begin()
    assert course.ended() is None, "it has only begun"
    (tmp_path / "kept" / FILE).touch()
    assert replace(course, seconds=90.0).ended() == tmp_path / "kept"
    with pytest.raises(UncnnError, match="it is of another course \\(madry, pgd, 4 a batch\\)"):
        replace(course, form="trades", teachers=("pgd", "veil")).ended()


def test_spoofs_are_taken_in_turn() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 112 * 112, 4))
    turns = InTurn([Spoof([network], attack="pgd", p=share, steps=1) for share in (0.0, 1.0)])
    images = torch.full((1, 3, 112, 112), 0.5)
    changed = [not torch.equal(turns(images, torch.zeros(1))[0], images) for _ in range(4)]
    assert changed == [False, True, False, True]

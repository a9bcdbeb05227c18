"""The arithmetic of `benchmarks/founding.py`: who is aimed at, where an attack stops, which setting is chosen."""

from __future__ import annotations

import founding_attacks as attacks
import founding_faces as faces
import founding_tables as tables
import numpy as np
import pytest
import torch
from founding_lowkey import found
from peers_faces import Square
from torch import Tensor, nn

from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.plugins.api import Budget
from uncnn.plugins.attacks.i_fgsm import IFgsm

SIDE = faces.SIDE


class Brightness(nn.Module):
    """Names the second of two people where a picture's mean is above 128."""

    def forward(self, pictures: Tensor) -> Tensor:
        lead = pictures.mean(dim=(1, 2, 3)) - 128
        return torch.stack([-lead, lead], dim=1)


def plain(*levels: float) -> Tensor:
    return torch.stack([torch.full((3, SIDE, SIDE), level) for level in levels])


def named(people: list[int], aim: list[int] | None = None) -> attacks.Named:
    first = torch.full((len(people), 3, SIDE, SIDE), torch.nan)
    return attacks.Named(Brightness(), torch.tensor(people), first, None if aim is None else torch.tensor(aim))


def test_nobody_is_aimed_at_themselves_and_everybody_else_is() -> None:
    people = torch.arange(4).repeat(100)
    aim = faces.aims(people, 4)
    assert (aim != people).all()
    assert {(int(one), int(other)) for one, other in zip(people, aim, strict=True)} == {
        (one, other) for one in range(4) for other in range(4) if one != other
    }


def test_a_part_has_the_same_photos_of_everybody() -> None:
    known = faces.Faces(torch.arange(24).view(24, 1, 1, 1), torch.arange(24) // 12)
    part = known.part(slice(8, 10))
    assert part.pictures.flatten().tolist() == [8, 9, 20, 21]
    assert part.people.tolist() == [0, 0, 1, 1]


def test_the_first_picture_of_somebody_else_is_kept_and_no_later_one() -> None:
    loss = named([0, 0])
    for levels in ((120.0, 120.0), (130.0, 120.0), (140.0, 150.0)):
        loss.gradient(plain(*levels), 0)
    assert loss.first[:, 0, 0, 0].tolist() == [130.0, 150.0]


def test_toward_somebody_and_away_from_the_own_person_are_the_same_way_between_two() -> None:
    pictures = plain(127.0)
    assert torch.equal(named([0], [1]).gradient(pictures, 0).sign(), named([0]).gradient(pictures, 0).sign())


def test_a_descent_ends_where_the_name_changes_or_after_all_steps() -> None:
    ends = attacks.attacked(
        Brightness(),
        IFgsm(step_size=attacks.STEPS, views=False),  # one grey level a step
        plain(124.5),
        torch.tensor([0]),
        torch.tensor([1]),
    )
    assert ends["stopped"].change.unique().tolist() == [4.0]
    assert ends["all steps"].change.unique().tolist() == [float(attacks.STEPS)]
    assert float(ends["stopped"].lengths) == pytest.approx(4 / 255 * (3 * SIDE * SIDE) ** 0.5, rel=1e-4)
    assert bool(ends["stopped"].missed.all())


def test_what_is_missed_in_whole_grey_levels_is_counted_apart() -> None:
    result = attacks.result_of(Brightness(), plain(127.0), plain(128.3), torch.tensor([0]))
    assert bool(result.missed)
    assert not bool(result.missed_rounded)


class Slope:
    """A loss of the same gradient everywhere."""

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        del step
        return torch.ones_like(inputs) / 255**2


def test_the_update_as_written_is_the_papers() -> None:
    batch = attacks.batch_of(attacks.Free, plain(100.0), 1.0)
    pixels = attacks.Written(0.5, pull=0.2).perturb(batch, Slope(), Budget(2)).pixels  # type: ignore[arg-type]
    first = -0.5
    assert pixels.unique().tolist() == pytest.approx([first - 0.5 * (1 + 0.2 * first)])


def test_what_is_free_has_no_bound_but_the_ends_of_the_scale() -> None:
    free, bound = (attacks.batch_of(kind, plain(250.0), 8.0) for kind in (attacks.Free, Square))
    assert float(free.valid(-plain(60.0)).max()) == -60
    assert float(free.valid(plain(60.0)).max()) == 5
    assert float(bound.valid(-plain(60.0)).max()) == -8


def test_the_setting_of_the_least_change_that_is_enough_is_chosen() -> None:
    attack = IFgsm()
    tried = [tables.Tried("m", attack, length, missed) for length, missed in ((3, 1.0), (2, 0.99), (1, 0.9))]
    assert tables.chosen(tried, 0.99).length == 2
    assert tables.chosen(tried, 1.0).length == 3
    assert [tables.chosen(tried, 0.99, spare).length for spare in (0, 1, 2)] == [2, 3, 3]
    assert tables.chosen(tried[1:], 1.0).length == 2


def test_a_clean_probe_is_looked_up_among_cloaked_photos_alone() -> None:
    turned = np.eye(3)
    clean = np.stack([turned[0], turned[0], turned[1], turned[1]])  # two photos of each of two people
    cloaked = np.stack([turned[2], turned[1]])  # the first photo of each; the second person's does not change
    strangers = np.array([[0.9, 0.1, 0.0]])
    people = np.array([0, 0, 1, 1])
    shares = found(Judge("j", "cosine", 0.5), clean, cloaked[:, None], people, strangers, rank=1)
    assert np.isnan(shares[[0, 2]]).all()
    assert shares[[1, 3]].tolist() == [0.0, 1.0]

"""The arithmetic of `benchmarks/peers.py`: methods beside `veil` at what they show."""

from __future__ import annotations

from dataclasses import replace

from peers_methods import Method, Trivial
from peers_table import WITH_INTERVAL, Row, equally_visible, strangers_linked

from uncnn.daemon.evaluate.intervals import Rate


def row(name: str, kind: str, jod: float, left: float) -> Row:
    rates = {adversary: Rate(left, left, left, 100) for adversary in WITH_INTERVAL}
    return Row(Method(name, Trivial("nothing"), kind), 50, (10.0, jod, 9.0), rates, {}, 1.0, 1.0)


def test_veil_is_read_off_between_its_strengths_and_not_beyond_them() -> None:
    ours = [row("strong", "ours", 9.2, 0.0), row("subtle", "ours", 9.8, 0.6), row("balanced", "ours", 9.4, 0.2)]
    published = [row("loud", "published", 9.0, 0.5), row("faint", "published", 9.9, 0.9)]
    others = [row("like", "published", 9.6, 0.5), row("a bar", "by hand", 9.6, 1.0)]
    assert equally_visible([*ours, *published, *others]) == [
        "| faint | 9.90 |" + " 90% | 60%* |" * 4,
        "| like | 9.60 |" + " 50% | 40% |" * 4,
        "| loud | 9.00 |" + " 50% | 0%* |" * 4,
    ]
    assert equally_visible(published) == []


def test_copies_of_two_people_that_are_linked_are_said_beside_those_of_one() -> None:
    plain, told = row("a", "published", 9.0, 0.5), {"one": 0.004, "other": 0.1, "asked nothing": None}
    assert strangers_linked([plain, replace(plain, strangers=told)]) == ["| a | 50 | 50% | 5.2% | 10.0% |"]

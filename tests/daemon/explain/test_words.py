"""No chance is said to be certain."""

from __future__ import annotations

import pytest

from uncnn.daemon.explain.words import chance_words


@pytest.mark.parametrize(
    ("chance", "words"),
    [(0.0, "< 0.1 %"), (0.00099, "< 0.1 %"), (0.0012, "0.1 %"), (0.5, "50.0 %"), (0.999, "99.9 %"), (1.0, "> 99.9 %")],
)
def test_a_chance_in_words(chance: float, words: str):
    assert chance_words(chance) == words

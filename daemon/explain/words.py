"""What people read of chances and names."""

from __future__ import annotations

from typing import Final

NONE_OF_THESE: Final = "none of these"
OTHERS: Final = "all others"
UNEXPECTED: Final = "none, cloak unexpected"
"""The same of a cloaked face, to a recogniser that expects no cloaks."""


def classifier_words(name: str, names: int) -> str:
    """Return what a closed-set classifier's chances are."""
    return f"{name}: chances among the {names:,} names it knows (softmax): it must name one of them, whoever it is"


def chance_words(chance: float) -> str:
    """Return a chance in percent, never as certain."""
    if chance < 0.001:
        return "< 0.1 %"
    if chance > 0.999:
        return "> 99.9 %"
    return f"{chance:.1%}".replace("%", " %")

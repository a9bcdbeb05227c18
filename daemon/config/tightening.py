"""What a folder may say of each field of a policy: one table, from lax to strict.

Stricter is: never less protection, never more said about the owner, never readable by more people, never a photo that
is lost or kept back without a word. A field that is not in the table may not be said at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from uncnn.plugins.registry import STRENGTHS

FieldPath: TypeAlias = tuple[str, ...]
"""A field of a policy: ("protect", "far")."""


class Rule(Protocol):
    """What a folder may say of one field."""

    def objection(self, own: Any, said: Any) -> str:
        """Return what is wrong with what a folder `said`, where the policy has its `own` value; "" where nothing is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing: it is for the configuration alone."""

    words: str

    def objection(self, own: Any, said: Any) -> str:
        """Object to everything."""
        return f"{shown(said)}: a folder cannot {self.words} (here it is {shown(own)}): do so in the configuration"


@dataclass(frozen=True, slots=True)
class Anything:
    """Everything, because none of its values is laxer than another."""

    why: str

    def objection(self, own: Any, said: Any) -> str:
        """Object to nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The policy's own value, or one of a higher rank. Of two of the same rank neither is stricter."""

    laxer: str  # what a laxer value does, as in "publish lets photos go that ..."
    ranks: Mapping[Any, int]

    def objection(self, own: Any, said: Any) -> str:
        """Object to every other value."""
        if said == own or self.ranks[said] > self.ranks[own]:
            return ""
        allowed = [own, *(value for value, rank in self.ranks.items() if rank > self.ranks[own])]
        return f"{shown(said)} {self.laxer} the policy's {shown(own)}: use {' or '.join(map(shown, allowed))}"


@dataclass(frozen=True, slots=True)
class Number:
    """The policy's own number, or a higher one (`up`), or a lower one; words compare with nothing but their own kind.

    The word `top` is stricter than any number.
    """

    laxer: str
    up: bool = True
    top: str | None = None

    def objection(self, own: Any, said: Any) -> str:
        """Object to a laxer number, and to a number in the place of words."""
        if said in (own, self.top):
            return ""
        numbers = isinstance(own, int | float) and isinstance(said, int | float)
        if numbers and (said > own) == self.up:
            return ""
        remedy = shown(own) + (f" or {'more' if self.up else 'less'}" if isinstance(own, int | float) else "")
        return f"{shown(said)} {self.laxer} the policy's {shown(own)}: use {remedy}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All that the policy names, in any order, and more."""

    def objection(self, own: Any, said: Any) -> str:
        """Object to a list in which one is missing."""
        missing = next((each for each in own if each not in said), None)
        if missing is None:
            return ""
        return f"{shown(said)} leaves out {missing!r} of the policy's {shown(own)}: add it"


@dataclass(frozen=True, slots=True)
class Longer:
    """The policy's own list, and strengths behind it that are stronger than all of it.

    Without those of the policy a photo would be held that can be protected.
    """

    def objection(self, own: Any, said: Any) -> str:
        """Object to another beginning, and to a weaker strength behind it."""
        if tuple(said[: len(own)]) != tuple(own):
            return f"{shown(said)} does not begin with the policy's {shown(own)}: keep these, and add only behind them"
        order = list(STRENGTHS)
        for place in range(len(own), len(said)):
            if any(order.index(said[place]) < order.index(before) for before in said[:place]):
                return f"{said[place]!r} is weaker than what comes before it (the policy's is {shown(own)}): remove it"
        return ""


def shown(value: Any) -> str:
    """Return a value as a person writes it in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


TABLE: Final[Mapping[FieldPath, Rule]] = {
    ("attack", "name"): Refused("choose an attack"),
    ("attack", "strength"): Ranked("protects less than", {name: rank for rank, name in enumerate(STRENGTHS)}),
    ("protect", "far"): Number("asks for less proof than"),
    ("protect", "views"): AllOf(),
    ("protect", "margin"): Number("may ask for less proof than"),  # `calibrated` compares with no number
    ("escalate",): Longer(),
    ("unprotected",): Ranked("lets photos go that are kept by", {"publish-anyway": 0, "hold": 1}),
    # A skipped photo waits for nobody: that is no stricter than publishing it, and laxer than holding it.
    ("no_face",): Ranked("passes over photos unlike", {"publish": 0, "skip": 0, "hold": 1}),
    ("uncertain",): Ranked("leaves alone what may be a face, unlike", {"publish": 0, "cloak": 1, "hold": 2}),
    ("videos",): Refused("choose whether videos are taken"),
    ("faces", "who"): Ranked("leaves other faces alone than", {"only-enrolled": 0, "all-but-enrolled": 0, "all": 1}),
    ("faces", "smallest_px"): Number("leaves larger faces alone than", up=False),
    ("faces", "rotated"): Ranked("looks for fewer rotated faces than", {False: 0, "auto": 1, True: 2}),
    ("metadata",): Ranked("says more of the photo than", {"all-but-location": 0, "camera": 1, "none": 2}),
    ("output", "format"): Anything("what is published is judged as it is, in any format"),
    ("output", "quality"): Number("may spoil the photo more than", top="same"),
    ("output", "name"): Refused("choose what photos are called"),
    ("output", "times"): Ranked("says when the photo was taken, unlike", {"same": 0, "now": 1}),
    # What `usual` is, the service's umask says: less than `group` or more.
    ("output", "permissions"): Ranked(
        "may let more people read the copy than", {"everyone": 0, "usual": 1, "group": 1, "private": 2}
    ),
}

"""How many photos of a run were published without a face, or hold something that may be one: counted and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from uncnn.daemon.verify.detection import ANIMAL

if TYPE_CHECKING:
    from uncnn.daemon.protect.pipeline import Outcome


@dataclass(frozen=True, slots=True)
class Counts:
    """Photos of one run; one photo may be in several."""

    without_a_face: int = 0  # published, and neither look saw anything that the policy protects
    cloaked_in_doubt: int = 0  # published with every face protected, and one of them was in doubt
    left_in_doubt: int = 0  # published with something in doubt as it was
    may_be_animals: int = 0  # of those: with something that may be an animal
    held_in_doubt: int = 0  # held, and something in doubt is in them

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Counts:
        """Return the counts of what became of photos."""
        known = list(outcomes)
        released = [each for each in known if each.decision == "publish"]
        left = [each for each in released if each.left_uncertain]
        return cls(
            sum(not each.faces and not each.uncertain for each in released),
            sum(each.uncertain > each.left_uncertain for each in released),
            len(left),
            sum(any(face.uncertain == ANIMAL for face in each.verdict.faces if not face.required) for each in left),
            sum(each.decision == "hold" and each.uncertain > 0 for each in known),
        )

    def words(self) -> list[str]:
        """Return a line for each count that is not 0."""
        counted = zip(_WORDS, (getattr(self, name) for name in _WORDS), strict=True)
        return [
            f"1 photo {_WORDS[name][0]}" if number == 1 else f"{number} photos {_WORDS[name][1]}"
            for name, number in counted
            if number
        ]


_WORDS: Final = {
    "without_a_face": ("published without a face to protect in it", "published without a face to protect in them"),
    "cloaked_in_doubt": ("published with an uncertain face, cloaked", "published with uncertain faces, cloaked"),
    "left_in_doubt": (
        "published with an uncertain face, left unchanged",
        "published with uncertain faces, left unchanged",
    ),
    "may_be_animals": ("contains a face that may be an animal", "contain faces that may be animals"),
    "held_in_doubt": ("held with an uncertain face", "held with uncertain faces"),
}

"""What a person decided about single faces of a photo: that they are left as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["leave", "not-a-person"]

LEAVE: Final = "leave"
NOT_A_PERSON: Final = "not-a-person"


@dataclass(frozen=True, slots=True)
class FaceDecision:
    """That one face of a photo is left as it is: the person wants it so, or it is no person's (an animal, a poster)."""

    kind: Kind
    box: tuple[float, float, float, float]  # left, top, right, bottom of the face, in pixels of the upright photo
    by: str  # where it was decided: the command, or the page
    decided: str  # when, UTC

    def overlap(self, box: tuple[float, float, float, float]) -> float:
        """Return the intersection over union of its box with another; without numpy, which the page does not load."""
        across = max(min(self.box[2], box[2]) - max(self.box[0], box[0]), 0.0)
        down = max(min(self.box[3], box[3]) - max(self.box[1], box[1]), 0.0)
        union = sum((right - left) * (bottom - top) for left, top, right, bottom in (self.box, box)) - across * down
        return across * down / max(union, 1e-6)


def packed(decisions: Sequence[FaceDecision]) -> str | None:
    """Return decisions as the ledger keeps them; None where there are none."""
    return json.dumps([asdict(each) for each in decisions], separators=(",", ":")) if decisions else None


def unpacked(kept: str | None) -> tuple[FaceDecision, ...]:
    """Return what `packed` made of decisions."""
    return tuple(FaceDecision(**{**each, "box": tuple(each["box"])}) for each in json.loads(kept or "[]"))

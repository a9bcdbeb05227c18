"""A face that one of the two looks at an original saw, and what is in doubt about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from uncnn.plugins.api import Face

Uncertain: TypeAlias = Literal["hold", "cloak", "publish"]
"""What a policy does with a face that is in doubt: `publish` leaves it as it is."""

FAINT: Final = "found only by the second search"
ONLY_IN_COPY: Final = "found only in the copy"
TURNED: Final = "turned"
EDGE: Final = "barely detectable"
ANIMAL: Final = "may be an animal"


@dataclass(frozen=True, slots=True)
class Detection:
    """A face of the original, and what speaks against it."""

    face: Face
    uncertain: str  # in words; "" where both looks and the recognisers agree
    certain_enough: bool  # cloaked unless the policy leaves doubtful faces alone
    known: bool  # the worker found it

    def counts(self, uncertain: Uncertain) -> bool:
        """Return whether it must be protected under a policy that does this with faces in doubt."""
        return self.certain_enough and (self.known or not self.uncertain or uncertain == "cloak")

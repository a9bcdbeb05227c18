"""What is counted of published photos, so that no release is quiet: those without a face, with uncertain ones, ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from uncnn.daemon.text import photos


@dataclass(frozen=True, slots=True)
class Doubts:
    """How many photos were published on less than the full proof that every face is protected."""

    without_face: int = 0  # none that the policy protects was found in them
    uncertain: int = 0  # faces of theirs may be none, or were not seen by all
    provisional: int = 0  # judges of one family alone were asked

    @classmethod
    def of(cls, faces: int | None, uncertain: int | None, provisional: bool | int | None) -> Doubts:
        """Return those about one published photo, by what the ledger has of its verdict; none where none was kept."""
        return cls(int(faces == 0), int(bool(uncertain)), int(bool(provisional)))

    def __add__(self, other: Doubts) -> Doubts:
        """Return those about both."""
        return Doubts(
            self.without_face + other.without_face,
            self.uncertain + other.uncertain,
            self.provisional + other.provisional,
        )

    def words(self) -> list[str]:
        """Return those that there are in words."""
        said = []
        if self.without_face:
            said.append(f"{photos(self.without_face)} published in which no face to protect was found")
        if self.uncertain:
            words = f"{photos(self.uncertain)} published with uncertain faces, which may be animals or pictures"
            said.append(words)
        if self.provisional:
            said.append(f"{photos(self.provisional)} protected provisionally: all judges are of one family")
        return said

    def as_json(self) -> dict[str, int]:
        """Return them as JSON values."""
        return {"without_face": self.without_face, "uncertain": self.uncertain, "provisional": self.provisional}


NO_DOUBTS: Final = Doubts()

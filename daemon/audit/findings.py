"""What an audit finds about one published photo, and what all of it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from uncnn.daemon.output import DEGRADED, ERROR, OK
from uncnn.daemon.text import printable

Kind: TypeAlias = Literal["missing", "replaced", "rotten", "not-passed", "unreadable", "moved", "not-judged"]

WORDS: Final[dict[str, str]] = {
    "missing": "missing",
    "replaced": "replaced",
    "rotten": "damaged",
    "not-passed": "would not be published today",
    "unreadable": "could not be checked",
    "moved": "moved inside the publish folder",
    "not-judged": "could not be verified again",
}
"""The kinds in words, the worst first."""

TROUBLE: Final = frozenset({"missing", "replaced", "rotten", "not-passed"})

BY_DECISION: Final = "published by a person's decision (held release), so not judged"
VIDEO: Final = "a video, so not judged again"
"""The note about photos that were never protected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it was with one photo."""

    number: int  # of the photo in the ledger
    kind: Kind
    photo: str  # the original's path
    published: str  # the path that it was published under
    words: str

    def line(self) -> str:
        """Return it in a line."""
        return f"{WORDS[self.kind]}: {printable(self.published)} (photo {self.number}): {self.words}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "number": self.number,
            "kind": self.kind,
            "photo": self.photo,
            "published": self.published,
            "words": self.words,
        }


def count(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many there are of each kind."""
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in WORDS if found[kind]}  # type: ignore[index] # its keys are the kinds


def exit_status(counts: Mapping[str, int]) -> int:
    """Return 1 where something could not be looked at, 4 where a photo is not as it was, 0 otherwise."""
    if counts.get("unreadable"):
        return ERROR
    return DEGRADED if TROUBLE & counts.keys() else OK


def in_words(counts: Mapping[str, int]) -> str:
    """Return so many findings in words, "" where there are none."""
    return ", ".join(f"{counts[kind]} {words}" for kind, words in WORDS.items() if counts.get(kind))

"""The states of a photo in the ledger, and which may follow which (DESIGN, Ledger)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from uncnn.plugins.api import UncnnError


class State(StrEnum):
    """Where a photo is on its path."""

    QUEUED = "queued"
    RUNNING = "running"
    VERIFIED = "verified"  # the verdict on the bytes that would be published lets them go
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    RETRY = "retry"  # waits before another attempt
    QUARANTINED = "quarantined"  # another attempt would not help
    HELD = "held"  # not protected
    SKIPPED = "skipped"  # no face, and the policy wants none such; a published copy put back; or a person dropped it
    SUPERSEDED = "superseded"  # the source changed, or is gone
    BLOCKED = "blocked"  # a fault of disk, permission or mount; no attempt was spent


S = State

ALLOWED: Final[dict[State, frozenset[State]]] = {
    S.QUEUED: frozenset({S.RUNNING, S.QUARANTINED, S.BLOCKED, S.SUPERSEDED}),
    S.RUNNING: frozenset({S.VERIFIED, S.HELD, S.SKIPPED, S.RETRY, S.QUARANTINED, S.BLOCKED, S.SUPERSEDED, S.QUEUED}),
    S.VERIFIED: frozenset({S.PUBLISHING, S.RETRY, S.QUARANTINED, S.BLOCKED, S.SUPERSEDED, S.QUEUED}),
    S.PUBLISHING: frozenset({S.PUBLISHED, S.RETRY, S.QUARANTINED, S.BLOCKED, S.QUEUED, S.HELD}),
    S.RETRY: frozenset({S.QUEUED, S.QUARANTINED, S.SUPERSEDED}),
    S.BLOCKED: frozenset({S.QUEUED, S.SUPERSEDED}),
    S.HELD: frozenset({S.QUEUED, S.SUPERSEDED, S.SKIPPED, S.PUBLISHING}),  # a person lets the judged copy go
    S.QUARANTINED: frozenset({S.QUEUED, S.SUPERSEDED, S.SKIPPED}),
    S.SUPERSEDED: frozenset({S.QUEUED}),  # the old content came back
    S.PUBLISHED: frozenset(),
    S.SKIPPED: frozenset({S.QUEUED}),
}

IN_WORK: Final = frozenset({S.RUNNING, S.VERIFIED, S.PUBLISHING})
"""Left by a process that died, where none runs."""

NEEDS_PERSON: Final = frozenset({S.HELD, S.QUARANTINED})

RETRIABLE: Final = frozenset({S.HELD, S.QUARANTINED, S.RETRY, S.BLOCKED, S.SKIPPED})
"""What a person may ask another attempt for."""

DECIDABLE: Final = RETRIABLE | {S.QUEUED}
"""Where a person may still decide about single faces."""

FINAL: Final = frozenset({S.PUBLISHED, S.SKIPPED})
"""Nothing more is done for this content, whatever the policy says later, unless a person asks."""

SETTLED: Final = frozenset({S.PUBLISHED, S.SKIPPED, S.HELD, S.QUARANTINED})
"""Nothing more is done for this content under this policy unless a person asks."""

REPLACEABLE: Final = frozenset(state for state in State if S.SUPERSEDED in ALLOWED[state])
"""What a newer content of the same path takes the place of."""

ATTEMPTS: Final = 3
"""So many claims; after them the photo is quarantined."""

LONGEST_WAIT_SECONDS: Final = 3600.0


class TransitionError(UncnnError):
    """A photo cannot go from its state to that one."""


def check_transition(before: State, after: State) -> None:
    """Refuse a step that the path of a photo does not have.

    Raises TransitionError.
    """
    if after not in ALLOWED[before]:
        ways = ", ".join(sorted(ALLOWED[before])) or "nothing: it is final"
        raise TransitionError(f"a photo that is {before} cannot become {after}; it can become {ways}")


def retry_seconds(attempts: int, jitter: float) -> float:
    """Return how long to wait after so many attempts: 30 s x 4^n, up to a quarter more by `jitter` in 0..1."""
    return min(30.0 * 4.0 ** max(attempts - 1, 0) * (1.0 + jitter / 4.0), LONGEST_WAIT_SECONDS)

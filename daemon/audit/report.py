"""What an audit says of what it found: lines for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from uncnn.daemon.audit.findings import BY_DECISION, VIDEO, count, in_words
from uncnn.daemon.audit.progress import Pass
from uncnn.daemon.output import print_json
from uncnn.daemon.text import photos

NAMED: Final = 50
"""So many findings are printed, the worst first; --json has all."""


def print_audit(audit: Pass, before: int, in_all: int | None, as_json: bool) -> None:
    """Print an audit; `before`: so many photos were done by earlier calls, `in_all`: so many are to be done."""
    total = in_all_of(audit, in_all or audit.photos)
    counts = count(audit.findings)
    if as_json:
        print_json(
            {
                "began": audit.began.isoformat(timespec="seconds"),
                "ended": audit.ended.isoformat(timespec="seconds") if audit.ended else None,
                "judged": bool(audit.asked.get("judge")),
                "photos": audit.photos,
                "photos_before": before,
                "in_all": total,
                "counts": counts,
                "notes": audit.notes,
                "findings": [finding.as_json() for finding in audit.findings],
            }
        )
        return
    sys.stdout.write("\n".join(_lines(audit, before, total, counts)) + "\n")


def _lines(audit: Pass, before: int, total: int, counts: dict[str, int]) -> Iterator[str]:
    if before:
        yield f"continued after {photos(before)}"
    order = list(counts)
    findings = sorted(audit.findings, key=lambda finding: (order.index(finding.kind), finding.number))
    yield from (finding.line() for finding in findings[:NAMED])
    if len(findings) > NAMED:
        yield f"{len(findings) - NAMED} more, not listed here: --json lists them"
    yield from (f"note: {photos(number)} {name}" for name, number in sorted(audit.notes.items()))
    if not audit.asked.get("judge") and any(name not in (BY_DECISION, VIDEO) for name in audit.notes):
        yield "uncnn-daemon audit --judge verifies them with today's models"
    far = "" if audit.ended else f" of {total}; run it again to continue"
    yield f"checked {photos(audit.photos)}{far}: {in_words(counts) or 'all as they were published'}"


def in_all_of(audit: Pass, in_all: int) -> int:
    """Return how many photos the audit is over; those that came while it was at work are for the next."""
    return audit.photos if audit.ended is not None else max(in_all, audit.photos)

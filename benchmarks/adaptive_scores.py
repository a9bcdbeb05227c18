"""What an adversary gets of a set of copies: links to the own original and to other photos, by recogniser.

Two thresholds. *As calibrated* is that of the recogniser's card, at FAR 1e-3 of clean pairs. *Tuned* is the adversary's
own, who knows that the probes are cloaked: it links 1 of 1,000 pairs of such a probe and a stranger's clean photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Codes, Judge, closeness
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

FAR: Final = 1e-3
COLUMNS: Final = (
    "own",
    "any judge",
    "cross",
    "cc",
    "rank 1",
    "own, tuned",
    "any, tuned",
    "cross, tuned",
    "strangers",
    "cc, strangers",
)
NO_CLOAK: Final = ("own", "cross", "cc")  # and of the same files without a cloak
HEAD: Final = f"| | {' | '.join(COLUMNS)} | no cloak: {' | '.join(NO_CLOAK)} |\n|" + "---|" * (
    1 + len(COLUMNS) + len(NO_CLOAK)
)
TOGETHER: Final = "all together"
WITH_INTERVAL: Final = ("own", "any judge", "cross", "cc", "cross, tuned")
PER_MILLE: Final = ("strangers", "cc, strangers")


Rates = Mapping[str, Rate]
"""By column, the mean of the judges."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What recognisers see in clean photos, by name."""

    judges: tuple[Judge, ...]
    people: Codes  # (N,): whose each photo is
    judged: Codes  # (n,): which of the N are published, cloaked or not
    photos: Mapping[str, Embeddings]  # (N, D)
    strangers: Mapping[str, Embeddings]  # (M, D), one photo each


def line_of(name: str, copies: Rates, files: Rates) -> str:
    """Return a line of the table: what an adversary gets of copies, and of the same files without a cloak."""
    cells = [_text(column, copies[column]) for column in COLUMNS]
    return f"| {' | '.join([name, *cells, *(files[column].brief for column in NO_CLOAK)])} |"


def rates_of(known: Known, probes: Mapping[str, Embeddings]) -> Rates:
    """Return what all judges get of `probes`, by judge (n, D): what they see in the photos that are `judged`."""
    shares: dict[str, list[Floats]] = {}
    for judge in known.judges:
        for column, own in _shares(judge, known, probes[judge.name]):
            shares.setdefault(column, []).append(own)
    means = {
        column: np.max(own, axis=0) if column.startswith("any") else np.mean(own, axis=0)
        for column, own in shares.items()
    }
    return {column: rate(own, known.people) for column, own in means.items()}


def tuned(judge: Judge, probes: Embeddings, strangers: Embeddings, far: float = FAR) -> Judge:
    """Return the judge with the threshold that links a share of `far` of all pairs of probes and strangers."""
    alike = np.sort(closeness(judge.metric, probes, strangers).ravel())[::-1]
    least = float(alike[max(int(far * len(alike)), 1) - 1])
    return replace(judge, threshold=least if judge.metric == "cosine" else -least)


def calibrated(name: str, strangers: Embeddings, far: float = FAR) -> Judge:
    """Return a recogniser that compares by cosine, at the threshold that `far` of all pairs of strangers reach."""
    alike = closeness("cosine", strangers, strangers)[np.triu_indices(len(strangers), 1)]
    falling = np.sort(alike)[::-1]
    return Judge(name, "cosine", float(falling[max(int(far * len(falling)), 1) - 1]))


def together(known: Known, probes: Mapping[str, Embeddings]) -> tuple[Known, dict[str, Embeddings]]:
    """Return what somebody sees who asks all judges at once: one recogniser, whose cosine is the mean of theirs.

    Embeddings are taken from the strangers' mean first, which makes cosines of different networks alike in size.
    """
    middles = {judge.name: known.strangers[judge.name].mean(axis=0) for judge in known.judges}

    def joined(seen: Mapping[str, Embeddings]) -> Embeddings:
        parts = [adversaries.unit((seen[name] - middle).astype(np.float64)) for name, middle in middles.items()]
        return np.asarray(np.concatenate(parts, axis=1), np.float32)

    photos, strangers = joined(known.photos), joined(known.strangers)
    judge = calibrated(TOGETHER, strangers)
    fused = replace(known, judges=(judge,), photos={TOGETHER: photos}, strangers={TOGETHER: strangers})
    return fused, {TOGETHER: joined(probes)}


def _shares(judge: Judge, known: Known, probes: Embeddings) -> Iterator[tuple[str, Floats]]:
    """Yield each column and what the judge gets of each photo, (N,); NaN of photos that are not judged."""
    photos, people, strangers = known.photos[judge.name], known.people, known.strangers[judge.name]
    cloaked = np.full_like(photos, np.nan)
    cloaked[known.judged] = probes
    ready = tuned(judge, probes, strangers)
    own = adversaries.own_photo(judge, cloaked, photos)
    own_tuned = adversaries.own_photo(ready, cloaked, photos)
    yield "own", own
    yield "any judge", own
    yield "cross", adversaries.verification(judge, cloaked, photos, people)
    yield "cc", adversaries.verification(judge, cloaked, cloaked, people)
    yield "rank 1", adversaries.identification(judge, cloaked, photos, people, strangers)
    yield "own, tuned", own_tuned
    yield "any, tuned", own_tuned
    yield "cross, tuned", adversaries.verification(ready, cloaked, photos, people)
    yield "strangers", _linked(judge, cloaked, strangers)
    yield "cc, strangers", adversaries.strangers_linked(judge, cloaked, people)


def _linked(judge: Judge, cloaked: Embeddings, strangers: Embeddings) -> Floats:
    """Return the share of strangers, (N,), that each photo is wrongly linked to."""
    alike = closeness(judge.metric, cloaked, strangers)
    return np.where(np.isnan(alike).any(axis=1), np.nan, (alike >= judge.least).mean(axis=1))


def _text(column: str, value: Rate) -> str:
    if column in PER_MILLE:
        return f"{1000 * value.value:.1f} ‰" if value.photos else "-"
    return str(value) if column in WITH_INTERVAL else value.brief


def judges_of(cards: Sequence[object]) -> tuple[Judge, ...]:
    """Return the judges of recognisers' cards, at FAR 1e-3."""
    return tuple(Judge(card.name, card.metric, card.threshold(FAR)) for card in cards)  # type: ignore[attr-defined]

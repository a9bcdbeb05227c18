"""The findings on each judge, strength and view, over all photos and over those of each size of face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Codes, Curve, Judge
from uncnn.daemon.evaluate.albums import GROWN, growing, majority
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.daemon.evaluate.mixed import SHARES, mixed_galleries
from uncnn.daemon.evaluate.plan import UNCLOAKED, Plan
from uncnn.daemon.evaluate.probe import linear_probe
from uncnn.daemon.evaluate.sizes import ALL, members
from uncnn.daemon.evaluate.synthetic import drawn
from uncnn.daemon.evaluate.values import Session
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings


@dataclass(frozen=True, slots=True)
class Finding:
    """The rates of one judge, strength and view: the share of photos that still speak for their person."""

    judge: str
    strength: str
    view: str
    size: str  # of the faces that are asked about, as in `sizes`; the galleries hold all
    match: Rate  # cloaked probe, clean gallery: linked to another photo of the person
    own_photo: Rate  # the stricter question: linked to its own original
    rank1: Rate  # cloaked probe found first in the clean gallery, among all others and the distractors
    rank50: Rate  # found among the first fifty
    rank1_synthetic: Rate  # the same with synthetic distractors too; of no photo where none were asked for
    rank50_synthetic: Rate
    gallery_match: Rate  # clean probe, cloaked gallery: the same pairs, counted by clean photo
    gallery_rank1: Rate  # clean probe found first in the cloaked gallery
    linear_probe: Rate  # clean photos named by a classifier that was trained on cloaked ones
    cloaked_match: Rate  # cloaked probe, cloaked gallery: linked to another cloaked photo of the person
    mixed_25: Rate  # cloaked probe, a quarter of the person's gallery cloaked: linked to any photo of it
    mixed_50: Rate
    mixed_75: Rate
    mixed_rank1_25: Rate  # the same: found first by the mean of the person's gallery
    mixed_rank1_50: Rate
    mixed_rank1_75: Rate
    growing_2: Rate  # cloaked probe, two cloaked photos of the person in the gallery: linked to any of them
    growing_4: Rate
    growing_8: Rate
    majority: Rate  # all cloaked photos of a person together, in the clean gallery: most name the person
    curve: Curve | None  # cloaked probe, clean gallery; over all sizes alone


RATES: Final = tuple(
    name for name in Finding.__dataclass_fields__ if name not in {"judge", "strength", "view", "size", "curve"}
)
"""The fields of a finding that are rates."""


def findings_of(session: Session, plan: Plan, judges: Iterable[Judge]) -> Iterator[Finding]:
    """Yield the finding on each judge, strength and view, where the judge was asked about it."""
    _, people = np.unique([shot.person for shot in session.shots], return_inverse=True)
    sizes = members(shot.face_px for shot in session.shots)
    judges = list(judges)
    clean = {judge.name: np.stack([shot.clean[judge.name] for shot in session.shots]) for judge in judges}
    for strength in (UNCLOAKED, *plan.strengths):
        for view in plan.views:
            for judge in judges:
                cloaked = released(session, judge.name, strength, view)
                if cloaked is None:
                    continue
                others = session.distractors.get(judge.name)
                shares = dict(_shares(judge, clean[judge.name], cloaked, people, others))
                shares |= _ranks(judge, clean[judge.name], cloaked, people, others, plan.synthetic)
                curve = adversaries.curve(judge, cloaked, clean[judge.name], people, others)
                for size, inside in sizes.items():
                    rates = {name: rate(own[inside], people[inside]) for name, own in shares.items()}
                    yield _finding((judge.name, strength, view, size), rates, curve if size == ALL else None)


def released(session: Session, judge: str, strength: str, view: str) -> Embeddings | None:
    """Return the embeddings of the published photos, (N, D), NaN of those held; None: not asked in this view."""
    embeddings = [shot.takes[strength].embeddings.get(judge, {}).get(view) for shot in session.shots]
    rows = [row for row in embeddings if row is not None]
    if len(rows) < len(embeddings):
        return None
    held = [bool(shot.takes[strength].held) for shot in session.shots]
    return np.where(np.array(held)[:, None], np.float32(np.nan), np.stack(rows))


def _shares(
    judge: Judge, clean: Embeddings, cloaked: Embeddings, people: Codes, distractors: Embeddings | None
) -> Iterator[tuple[str, Floats]]:
    """Yield each rate's name and the shares, (N,), that it is the mean of."""
    yield "match", adversaries.verification(judge, cloaked, clean, people)
    yield "own_photo", adversaries.own_photo(judge, cloaked, clean)
    yield "gallery_match", adversaries.verification(judge, clean, cloaked, people)
    yield "gallery_rank1", adversaries.identification(judge, clean, cloaked, people, distractors)
    yield "linear_probe", linear_probe(cloaked, clean, people)
    yield "cloaked_match", adversaries.verification(judge, cloaked, cloaked, people)
    for share in SHARES:
        linked, found = mixed_galleries(judge, cloaked, clean, people, distractors, share)
        yield f"mixed_{share * 100:.0f}", linked
        yield f"mixed_rank1_{share * 100:.0f}", found
    for photos in GROWN:
        yield f"growing_{photos}", growing(judge, cloaked, people, photos)
    yield "majority", majority(judge, cloaked, clean, people, distractors)


def _ranks(
    judge: Judge, clean: Embeddings, cloaked: Embeddings, people: Codes, distractors: Embeddings | None, number: int
) -> dict[str, Floats]:
    """Return for each rank whether it is reached, (N,): among real distractors, and with `number` synthetic ones."""
    real = [] if distractors is None else [distractors]
    before = adversaries.ahead(judge, cloaked, clean, people, real)
    more = np.full(len(people), np.nan)
    if number and distractors is not None:
        more = adversaries.ahead(judge, cloaked, clean, people, chain(real, drawn(judge, distractors, number)))
    found = {"": before, "_synthetic": more}
    return {f"rank{rank}{end}": adversaries.within(ahead, rank) for rank in (1, 50) for end, ahead in found.items()}


def _finding(what: tuple[str, str, str, str], rates: Mapping[str, Rate], curve: Curve | None) -> Finding:
    return Finding(*what, **rates, curve=curve)  # type: ignore[arg-type] # its fields of this type are those rates

"""Groups of people, by sex, age, tone of skin or whatever a file says: whether cloaks protect one less than another.

The difference between the best and the worst protected group is set beside what chance makes of groups of that size:
people are dealt to them anew, many times (a permutation test; Phipson and Smyth, "Permutation p-values should never be
zero", 2010, for how its result is counted).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Codes, Judge
from uncnn.daemon.evaluate.findings import released
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.daemon.evaluate.plan import UNCLOAKED, EvaluationError, Plan
from uncnn.daemon.evaluate.values import Session
from uncnn.daemon.text import printable
from uncnn.plugins.geometry import Floats

PERSON: Final = "person"
DEALS: Final = 2000
SEED: Final = 20261201
ONE_PERCENT: Final = 0.01

Groups: TypeAlias = Mapping[str, Mapping[str, str]]
"""By category (`sex`), the group (`female`) of each person by name; who is in none is missing."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the groups of a category are apart in one rate."""

    value: float  # the highest of the groups' rates less the lowest, 0..1
    chance: float  # how often groups of these sizes, dealt at random, are as far apart, 0..1; never 0

    @property
    def chance_words(self) -> str:
        """Return how often in percent."""
        return "<1%" if self.chance < ONE_PERCENT else f"{self.chance:.0%}"


@dataclass(frozen=True, slots=True)
class Group:
    """What became of the photos of the people of one group at one strength, in the first view."""

    name: str
    people: int
    rates: Mapping[str, Rate]  # by adversary; of the mean of the judges, except `any_judge`


@dataclass(frozen=True, slots=True)
class Category:
    """The groups of one category at one strength, and how far they are apart."""

    strength: str
    name: str
    groups: tuple[Group, ...]
    gaps: Mapping[str, Gap]  # by adversary


def read_groups(file: Path, people: Iterable[str]) -> Groups:
    """Return what a CSV file says of `people`: a column `person`, and one for each category; empty: in no group.

    Cells are parted by commas, semicolons or tabs, as the first line has them; blank lines count for nothing.

    Raises EvaluationError: it cannot be read, is not such a file, or says nothing of these people.
    """
    lead, asked = f"--groups {printable(file)}", set(people)
    rows = _rows(file, lead)
    titles = next(rows, (1, []))[1]
    while titles and not titles[-1]:
        titles.pop()
    categories = [title for title in titles if title != PERSON]
    if titles.count(PERSON) != 1 or not categories or "" in titles:
        raise EvaluationError(
            f"{lead}: its first line has to name a column {PERSON} and one for each way to group people, as in: "
            f"{PERSON},sex,age"
        )
    if len(set(titles)) < len(titles):
        raise EvaluationError(f"{lead}: two of its columns have the same name: name each another way")
    found: dict[str, dict[str, str]] = {}
    for line, cells in rows:
        if len(cells) < len(titles) or any(cells[len(titles) :]):
            raise EvaluationError(f"{lead}: line {line} has more or fewer cells than the first line")
        row = dict(zip(titles, cells, strict=False))
        if row[PERSON] in found:
            raise EvaluationError(f"{lead}: {printable(row[PERSON])} is in it twice: leave one line")
        found[row[PERSON]] = row
    if not found.keys() & asked:
        raise EvaluationError(
            f"{lead}: none of the {len(asked)} people that are evaluated is in its column {PERSON}: give the names of "
            f"their folders, as in {printable(min(asked))}"
        )
    own = [row for name, row in found.items() if name in asked]
    return {name: {row[PERSON]: row[name] for row in own if row[name]} for name in categories}


def _rows(file: Path, lead: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that has some, and its number. Raises EvaluationError: it is no CSV file."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield reader.line_num, cells
    except OSError as error:
        raise EvaluationError(f"{lead}: cannot be read ({error.strerror}): name a CSV file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise EvaluationError(f"{lead}: it is no CSV file in UTF-8 ({error})") from error


def categories_of(session: Session, plan: Plan, judges: Sequence[Judge]) -> Iterator[Category]:
    """Yield each category of the plan's groups at each strength, UNCLOAKED first."""
    if not plan.groups:
        return
    names = [shot.person for shot in session.shots]
    _, people = np.unique(names, return_inverse=True)
    for strength in (UNCLOAKED, *plan.strengths):
        shares = shares_of(session, plan, judges, strength, people)
        for category, whose in plan.groups.items():
            if not any(name in whose for name in names):
                continue
            yield category_of(strength, category, [whose.get(name, "") for name in names], people, shares)


def shares_of(session: Session, plan: Plan, judges: Sequence[Judge], strength: str, people: Codes) -> dict[str, Floats]:
    """Return what adversaries get of each photo, (N,): in the mean of the judges; whether it is held."""
    by_judge: dict[str, list[Floats]] = {"match": [], "own_photo": [], "cloaked_match": []}
    for judge in judges:
        cloaked = released(session, judge.name, strength, plan.views[0])
        if cloaked is not None:
            clean = np.stack([shot.clean[judge.name] for shot in session.shots])
            by_judge["match"].append(adversaries.verification(judge, cloaked, clean, people))
            by_judge["own_photo"].append(adversaries.own_photo(judge, cloaked, clean))
            by_judge["cloaked_match"].append(adversaries.verification(judge, cloaked, cloaked, people))
    shares = {name: mean_of(np.stack(own)) for name, own in by_judge.items() if own}
    if by_judge["own_photo"]:
        shares["any_judge"] = np.fmax.reduce(by_judge["own_photo"])  # NaN where it is held
    held = np.array([bool(shot.takes[strength].held) for shot in session.shots], dtype=float)
    return {**shares, "held": held}


def mean_of(shares: Floats) -> Floats:
    """Return the mean over judges, (N,), of `shares` (J, N) with those left out that were not asked (NaN)."""
    asked = ~np.isnan(shares)
    total: Floats = np.where(asked, shares, 0).sum(axis=0)
    return np.where(asked.any(axis=0), total / np.maximum(asked.sum(axis=0), 1), np.nan)


def category_of(
    strength: str, category: str, groups: Sequence[str], people: Codes, shares: Mapping[str, Floats]
) -> Category:
    """Return the groups of a category; `groups` ("": in none), `people` and `shares` are of the same N photos."""
    whose = np.array(groups)
    found = tuple(
        Group(
            name,
            len(np.unique(people[whose == name])),
            {adversary: rate(own[whose == name], people[whose == name]) for adversary, own in shares.items()},
        )
        for name in sorted(set(groups) - {""})
    )
    gaps = {adversary: gap_of(own, people, whose) for adversary, own in shares.items()}
    return Category(strength, category, found, {name: gap for name, gap in gaps.items() if gap is not None})


def gap_of(shares: Floats, people: Codes, groups: np.ndarray[tuple[int, ...], np.dtype[np.str_]]) -> Gap | None:
    """Return how far the groups are apart in `shares`, (N,); None: there are not two of which anything is known.

    A person's photos stay together when people are dealt anew, and the groups keep their number of people.
    """
    asked = ~np.isnan(shares) & (groups != "")
    _, first, codes = np.unique(people[asked], return_index=True, return_inverse=True)
    if not len(first):
        return None
    _, dealt = np.unique(groups[asked][first], return_inverse=True)
    if dealt.max() == 0:
        return None
    sums = np.bincount(codes, weights=shares[asked]).astype(np.float64)
    counts = np.bincount(codes).astype(np.float64)
    seen = _apart(dealt, sums, counts)
    random = np.random.default_rng(SEED)
    as_far = sum(_apart(random.permutation(dealt), sums, counts) >= seen - 1e-12 for _ in range(DEALS))
    return Gap(seen, (1 + as_far) / (1 + DEALS))


def _apart(groups: Codes, sums: Floats, counts: Floats) -> float:
    """Return the highest group's mean less the lowest's; `sums` and `counts` are of each person's photos."""
    means = np.bincount(groups, weights=sums) / np.bincount(groups, weights=counts)
    return float(means.max() - means.min())

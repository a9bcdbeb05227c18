"""How often a recogniser is right about two faces: the protocol of Labeled Faces in the Wild.

Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face Recognition in
Unconstrained Environments", University of Massachusetts 07-49, 2007, view 2: ten sets of people, in each 300 pairs of
one person and 300 of two; the threshold for a set is the best one of the nine others. A pair of one person is two
photos of a person drawn from all who have several, so that nobody counts more for having many photos; a pair of two
people is two people drawn from all, and a photo of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Card, Embeddings, compare

FOLDS = 10
EACH = 300  # pairs of one person in a set, and as many of two

Pairs = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """One set of people: as many pairs of one person as of two, each (P, 2) numbers of faces."""

    genuine: Pairs
    impostor: Pairs


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of right answers, each kind of pair counting half."""

    value: float  # 0..1, the mean over the folds
    error: float  # its standard error over the folds, as LFW reports it
    pairs: int


def draw_pairs(people: Sequence[str], seed: int = 0, each: int = EACH) -> list[Fold]:
    """Return ten folds of pairs by LFW's protocol among faces of `people`, (N,), or none where these are too few.

    There have to be ten people with several photos, and two people in each fold. A fold has `each` pairs of either
    kind, fewer where there are not as many.
    """
    faces: dict[str, list[int]] = {}
    for number, person in enumerate(people):
        faces.setdefault(person, []).append(number)
    generator = np.random.default_rng(seed)
    several = _shuffled([person for person in sorted(faces) if len(faces[person]) > 1], generator)
    single = _shuffled([person for person in sorted(faces) if len(faces[person]) == 1], generator)
    if len(several) < FOLDS or len(faces) < 2 * FOLDS:
        return []
    dealt = [*several, *single]
    return [_fold([faces[person] for person in dealt[fold::FOLDS]], generator, each) for fold in range(FOLDS)]


def accuracy(card: Card, embeddings: Embeddings, folds: Sequence[Fold]) -> Accuracy:
    """Return the accuracy of a recogniser that gave `embeddings`, (N, D), on `folds`.

    Raises:
        UncnnError: an embedding is not finite, or zero.
    """
    sign = 1 if card.metric == "cosine" else -1
    scored = [
        [
            sign * compare(card, embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
            for pairs in (fold.genuine, fold.impostor)
        ]
        for fold in folds
    ]
    shares = []
    for number, (genuine, impostor) in enumerate(scored):
        others = [scored[other] for other in range(len(folds)) if other != number]
        limit = best_threshold(*(np.concatenate(part) for part in zip(*others, strict=True)))
        shares.append(((genuine >= limit).mean() + (impostor < limit).mean()) / 2)
    error = float(np.std(shares, ddof=1) / len(shares) ** 0.5)
    return Accuracy(float(np.mean(shares)), error, 2 * sum(len(fold.genuine) for fold in folds))


def best_threshold(genuine: Floats, impostor: Floats) -> float:
    """Return the closeness that parts `genuine` from `impostor` with the fewest errors, the middle one of the best."""
    values = np.concatenate([genuine, impostor])
    order = np.argsort(-values, kind="stable")
    gained = np.concatenate([np.full(len(genuine), 1 / len(genuine)), np.full(len(impostor), -1 / len(impostor))])
    gains = np.concatenate([[0.0], np.cumsum(gained[order])])  # having accepted the 0, 1, 2, ... closest
    best = np.flatnonzero(gains >= gains.max() - 1e-12)
    accepted = int(best[len(best) // 2])
    edges = np.concatenate([[values.max() + 1], values[order], [values.min() - 1]])
    return float((edges[accepted] + edges[accepted + 1]) / 2)


def _shuffled(names: list[str], generator: np.random.Generator) -> list[str]:
    return [names[place] for place in generator.permutation(len(names))]


def _fold(people: list[list[int]], generator: np.random.Generator, each: int) -> Fold:
    """Return the pairs of one fold; `people` are the faces of each of its people."""
    several = [faces for faces in people if len(faces) > 1]
    total = sum(map(len, people))
    genuine = sum(comb(len(faces), 2) for faces in several)
    number = min(each, genuine, comb(total, 2) - genuine)
    if number == genuine:
        same = [pair for faces in several for pair in combinations(faces, 2)]
    else:
        same = _same(several, generator, number)
    return Fold(np.array(same, np.intp), np.array(_different(people, generator, number), np.intp))


def _same(people: list[list[int]], generator: np.random.Generator, number: int) -> list[tuple[int, int]]:
    """Return `number` different pairs of one person each: a person, then two of the photos, anew where it was drawn."""
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < number:
        faces = people[generator.integers(len(people))]
        first, second = sorted(generator.choice(len(faces), 2, replace=False).tolist())
        drawn[faces[first], faces[second]] = None
    return list(drawn)


def _different(people: list[list[int]], generator: np.random.Generator, number: int) -> list[tuple[int, int]]:
    """Return `number` different pairs of two people each: two people, then a photo of each, anew where it was drawn."""
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < number:
        one, other = (people[place] for place in sorted(generator.choice(len(people), 2, replace=False).tolist()))
        drawn[one[generator.integers(len(one))], other[generator.integers(len(other))]] = None
    return list(drawn)

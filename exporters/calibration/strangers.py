"""People who do not exist: embeddings drawn from what many people's have in common, so that nobody real is named.

The largest directions in which the embeddings of many people differ, one photo each, a mixture of a few normal
distributions along them, and one spread along all others (probabilistic principal components; Tipping and Bishop,
Journal of the Royal Statistical Society B 1999). The file holds such sums over thousands of faces, and no face. The
mixture has the groups in which people are alike; what it misses, lookalikes, is put right in the scores, see
`Strangers.as_real`.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from uncnn.exporters.calibration.mixture import Mixture, fit_mixture
from uncnn.plugins.api import UncnnError
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Card
from uncnn.plugins.recognisers.cohort import Cohort
from uncnn.plugins.recognisers.confidence import Strangers, rounded
from uncnn.plugins.recognisers.reading import read_file

FILE: Final = "strangers.npz"
LARGEST_BYTES: Final = 1_000_000
NUMBER: Final = 1000
DIRECTIONS: Final = 64
PARTS: Final = 16
FOLDS: Final = 5
LEAST_PEOPLE: Final = 1000  # of whom the statistics are: each is then a small part of every sum
SEED: Final = 0
COHORT_SEED: Final = 1  # other people
SHARES: Final = (0.9, 0.5, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4)
"""Of comparisons: there the leads of those who are drawn are given the values of real people's."""

_NAMES: Final = ("mean", "directions", "weights", "centres", "spreads", "rest")


class StrangersError(UncnnError):
    """The statistics of strangers are missing, damaged, or of too few people."""

    fault = "model"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the embeddings of many people have in common."""

    mean: Floats  # (D,)
    directions: Floats  # (R, D), of length 1
    along: Mixture  # of R coordinates
    rest: float  # standard deviation along every other direction

    def drawn(self, seed: int = SEED) -> Floats:
        """Return the embeddings of `NUMBER` people who do not exist, (NUMBER, D): the same ones for the same seed."""
        generator = np.random.default_rng(seed)
        along = self.along.drawn(NUMBER, generator)
        noise = self.rest * generator.standard_normal((NUMBER, len(self.mean)))
        noise -= noise @ self.directions.T @ self.directions
        people: Floats = self.mean + along @ self.directions + noise
        return people

    def packed(self) -> bytes:
        """Return them as the content of a file: half precision, plain arrays."""
        stream = io.BytesIO()
        np.savez(
            stream,
            mean=self.mean.astype(np.float16),
            directions=self.directions.astype(np.float16),
            weights=self.along.weights.astype(np.float16),
            centres=self.along.centres.astype(np.float16),
            spreads=self.along.spreads.astype(np.float16),
            rest=np.float16(self.rest),
        )
        return stream.getvalue()


def statistics_of(embeddings: Floats, *, euclidean: bool) -> Statistics:
    """Return what `embeddings`, (N, D), one of each of many people, have in common.

    Raises StrangersError: they are so few that one person's face might be told from it.
    """
    if len(embeddings) < LEAST_PEOPLE:
        raise StrangersError(f"{len(embeddings)} people are too few for strangers: give photos of {LEAST_PEOPLE}")
    rows = embeddings if euclidean else embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    mean = rows.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(rows.T))
    kept = min(DIRECTIONS, len(variances) - 1)
    directions = axes[:, : -kept - 1 : -1].T
    rest = max(float(variances[:-kept].mean()), 0.0) ** 0.5
    return Statistics(mean, directions, fit_mixture((rows - mean) @ directions.T, PARTS), rest)


def held_out_levels(embeddings: Floats, *, euclidean: bool) -> Floats:
    """Return the level of each of `embeddings`, (N,), to a cohort drawn from others of them.

    A face is nearer to what it helped to make: such levels would promise fewer false names than there are.

    Raises StrangersError: they are too few.
    """
    levels = np.empty(len(embeddings))
    folds = np.arange(len(embeddings)) % FOLDS
    for fold in range(FOLDS):
        statistics = statistics_of(embeddings[folds != fold], euclidean=euclidean)
        levels[folds == fold] = Cohort(statistics.drawn(COHORT_SEED), euclidean).levels(embeddings[folds == fold])
    return levels


def matched(content: bytes, faces: Floats, people: Floats, *, euclidean: bool) -> Strangers:
    """Return what a card says of the strangers that the file `content` makes.

    Their leads for `faces`, (N, D), are compared with those of `people`, (M, D), who are others. The faces are nobody's
    of whom the statistics are: these are nearer to what they themselves make.
    """
    statistics, shares = unpacked(content), 1 - np.array(SHARES)
    cohort = Cohort(statistics.drawn(COHORT_SEED), euclidean)
    drawn, real = (np.quantile(cohort.leads(faces, each), shares) for each in (statistics.drawn(), people))
    return Strangers(
        sha256=hashlib.sha256(content).hexdigest(), drawn=tuple(map(rounded, drawn)), real=tuple(map(rounded, real))
    )


def read_statistics(folder: Path, card: Card) -> Statistics | None:
    """Return the statistics beside a card; None: it says nothing of confidence.

    Raises StrangersError: the file is missing, or is not the one that the card was written for.
    """
    if card.confidence is None:
        return None
    file, wanted = folder / FILE, card.confidence.strangers.sha256
    try:
        content = read_file(file, LARGEST_BYTES)
    except OSError as error:
        raise StrangersError(f"{file}: cannot be read ({error.strerror}); install {card.name} again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise StrangersError(
            f"{file}: its sha256 is {found}, but the card beside it says {wanted}: install {card.name} again"
        )
    return unpacked(content)


def unpacked(content: bytes) -> Statistics:
    """Return what `Statistics.packed` made a file of. Raises StrangersError: it is none of these."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            values = {name: stored[name].astype(np.float64) for name in _NAMES}
    except (OSError, ValueError, KeyError, AttributeError, BadZipFile) as error:
        raise StrangersError(f"{FILE} is none that uncnn wrote ({error}): fit it again") from error
    along = Mixture(values["weights"], values["centres"], values["spreads"])
    return Statistics(values["mean"], values["directions"], along, float(values["rest"]))

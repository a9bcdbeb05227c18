"""Who trains on what was published: a linear classifier on embeddings of cloaked photos, asked about clean ones.

Shan, Wenger, Zhang, Li, Zheng and Zhao, "Fawkes: Protecting Privacy against Unauthorized Deep Learning Models", USENIX
Security 2020, section 5: a tracker who trains on cloaked photos of a person meets a clean one. The classifier is
multinomial logistic regression, which is what trackers put on a feature extractor.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from uncnn.daemon.evaluate.adversaries import Codes, unit
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

FOLDS: Final = 5
STRENGTH: Final = 10.0  # C of scikit-learn's LogisticRegression: a photo's weight against that of small weights
ROUNDS: Final = 100


def linear_probe(training: Embeddings, testing: Embeddings, people: Codes) -> Floats:
    """Return for each photo, (N,), 1 where a probe that has not seen it names its person, else 0.

    `training` and `testing`, (N, D), are the same photos: the first as the tracker has them, the second as they meet
    them. Photos are dealt to folds, at most `FOLDS`, each person's evenly; a photo's own fold is not trained on.
    Neither is one without a face, zeros, or that there is not, NaN; what is asked about it is 0 and NaN. So is NaN what
    a probe is asked that was trained on no photo of the person: all others of theirs are held.
    """
    folds = deal(people)
    right = np.where(np.isnan(testing).any(axis=1), np.nan, 0.0)
    seen = testing.any(axis=1) & ~np.isnan(right)
    trained = training.any(axis=1) & ~np.isnan(training).any(axis=1)
    faces = unit(np.where(seen[:, None], testing, 0).astype(np.float64))
    for fold in range(folds.max() + 1):
        inside, others = folds == fold, (folds != fold) & trained
        if len(np.unique(people[others])) > 1:
            named = _named(unit(training[others].astype(np.float64)), people[others], faces)
            known = np.isin(people, people[others])
            right[inside & seen] = np.where(known, named == people, np.nan)[inside & seen]
    return right


def deal(people: Codes) -> Codes:
    """Return the fold of each photo, (N,): every person is in the training photos of every fold."""
    folds = np.zeros_like(people)
    for person in np.unique(people):
        own = np.flatnonzero(people == person)
        folds[own] = np.arange(len(own)) % min(FOLDS, len(own))
    return folds


def _named(training: Floats, people: Codes, testing: Floats) -> Codes:
    """Return whose photo each of `testing` is, (M,), to logistic regression on `training` (N, D) of `people` (N,)."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the matrices are small: more threads wait for each other
    try:
        return _descend(training, people, testing)
    finally:
        torch.set_num_threads(threads)


def _descend(training: Floats, people: Codes, testing: Floats) -> Codes:
    import torch

    names, codes = np.unique(people, return_inverse=True)
    faces, labels = torch.from_numpy(training), torch.from_numpy(codes)
    weights = torch.zeros(training.shape[1], len(names), dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    decay = 1 / (2 * STRENGTH * len(training))
    search = torch.optim.LBFGS([weights, offsets], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = torch.nn.functional.cross_entropy(faces @ weights + offsets, labels) + decay * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call] # torch's own
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        best = (torch.from_numpy(testing) @ weights + offsets).argmax(dim=1)
    named: Codes = names[best.numpy()]
    return named

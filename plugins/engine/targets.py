"""Targets of attacks: away from oneself (untargeted), or toward an identity that it does nobody harm to be taken for.

Allowed targets are synthetic identities, the mean of many people, and a person who is enrolled and consented. Never a
stranger: an attack must not frame anyone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import UncnnError, parameter
from uncnn.plugins.engine import objectives
from uncnn.plugins.engine.batch import FaceBatch
from uncnn.plugins.engine.loss import EnsembleLoss, closed_set, untargeted
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

SYNTHETIC = 8  # identities on offer to an attack that chooses among targets
CROWD = Path(__file__).with_name("crowd.png")
CROWD_MARGIN = 16  # pixels around the ArcFace template


class TargetError(UncnnError):
    """A target or an objective that is not to be had."""

    fault = "policy"


@dataclass(frozen=True, slots=True)
class Gallery:
    """A closed set of enrolled people, as each recogniser sees them."""

    names: tuple[str, ...] = ()
    prototypes: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)  # by a model's sha256: (I, D), unit
    consenting: frozenset[str] = frozenset()  # who may be a target

    def of(self, surrogates: Sequence[Recogniser]) -> list[Tensor]:
        """Return the prototypes of each surrogate, (I, D). Raises TargetError: it is newer than they are."""
        if not self.names:
            raise TargetError("no one is enrolled: uncnn-daemon people enroll NAME PHOTOS...")
        for surrogate in surrogates:
            if surrogate.card.sha256 not in self.prototypes:
                name = surrogate.card.name
                raise TargetError(f"the enrolled people are not known to {name}, which came later: enroll them again")
        return [torch.from_numpy(self.prototypes[each.card.sha256]).to(each.mean.device) for each in surrogates]


@dataclass(frozen=True, slots=True)
class AttackTarget:
    """Whom an attack moves faces toward, if anybody, and the objective by which it does."""

    target: str = parameter(
        "none",
        "away from oneself, or toward somebody: none | synthetic (whom nobody is) | crowd (the mean of many people) | "
        "the name of an enrolled person who consented",
    )
    objective: Literal["embeddings", "gallery"] = parameter(
        "embeddings", "embeddings (cosines) | gallery (cross-entropy over the enrolled people)"
    )
    gallery: Gallery = Gallery()

    def check(self) -> None:
        """Refuse a target that is not allowed. Raises TargetError."""
        if self.target not in {"none", "synthetic", "crowd"}:
            self._consenting()

    def loss(self, surrogates: Sequence[Recogniser], faces: FaceBatch) -> EnsembleLoss:
        """Return the loss for a batch; each face's seed draws its synthetic targets. Raises TargetError."""
        candidates = self._candidates(surrogates, faces.seeds)
        if self.objective == "gallery":
            gallery = self.gallery.of(surrogates)
            return closed_set(surrogates, faces, gallery, self._label(), candidates)
        loss = untargeted(surrogates, faces, candidates)
        return loss if self.target == "none" else loss.toward(0)

    def _label(self) -> int | None:
        if self.target == "none":
            return None
        if self.target in {"synthetic", "crowd"}:
            raise TargetError(f"target {self.target!r} is not among the enrolled people: use objective embeddings")
        return self.gallery.names.index(self._consenting())

    def _candidates(self, surrogates: Sequence[Recogniser], identities: Sequence[int]) -> list[Tensor]:
        """Return what the faces may be moved to, a surrogate each: (N, K, D), unit."""
        if self.target in {"none", "synthetic"}:
            return [_synthetic(number, surrogate, identities) for number, surrogate in enumerate(surrogates)]
        if self.target == "crowd":
            known = [_crowd(surrogate) for surrogate in surrogates]
        else:
            label = self.gallery.names.index(self._consenting())
            known = [prototypes[label] for prototypes in self.gallery.of(surrogates)]
        return [one.expand(len(identities), 1, -1) for one in known]

    def _consenting(self) -> str:
        """Return the target, an enrolled person who consented. Raises TargetError."""
        if self.target not in self.gallery.names:
            allowed = "none, synthetic, crowd, or a person who is enrolled and consented"
            raise TargetError(f"target {self.target!r}: choose {allowed}; nobody else is ever a target")
        if self.target not in self.gallery.consenting:
            remedy = f"uncnn-daemon people enroll {self.target} --consent PHOTOS..."
            raise TargetError(f"target {self.target!r}: there is no record that this person consented: {remedy}")
        return self.target


def _synthetic(number: int, surrogate: Recogniser, identities: Sequence[int]) -> Tensor:
    length = surrogate.card.embedding
    drawn = [
        torch.stack([objectives.synthetic(identity + other, number, length) for other in range(SYNTHETIC)])
        for identity in identities
    ]
    return torch.stack(drawn).to(surrogate.mean.device)


@torch.no_grad()
def _crowd(surrogate: Recogniser) -> Tensor:
    """Return a surrogate's embedding of the mean of many faces, (D,)."""
    picture = _crowd_picture().to(surrogate.mean.device)
    return functional.normalize(surrogate.embed(picture, ARCFACE_112[None] + CROWD_MARGIN), dim=1)[0]


@functools.cache
def _crowd_picture() -> Tensor:
    with Image.open(CROWD) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()

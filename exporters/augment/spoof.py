"""A batch of aligned faces, some of them with an attack's change in them: to train recognisers that withstand it.

A transform in the form of torchvision's `transforms.v2`: images and labels in, images and labels out, so that it goes
into a `Compose`. It belongs behind the loader, on the device that trains: inside a loader's workers each would load
every model for itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from uncnn.exporters.augment.networks import AugmentError, recognisers_of, standing_still
from uncnn.plugins import geometry
from uncnn.plugins.engine.batch import FaceBatch, bounded_batch, together
from uncnn.plugins.engine.host import held
from uncnn.plugins.engine.loss import CHUNK, EnsembleLoss, embeddings
from uncnn.plugins.engine.objectives import RIGHT_ANGLE, Cosine, CrossEntropy, Objective
from uncnn.plugins.engine.oracle import Oracle
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import TARGET_PARAMETERS, make_attack, make_budget

Labels = TypeVar("Labels")


class Spoof:
    """Put an attack's change into a share of the images of a batch."""

    def __init__(
        self,
        models: Sequence[str | Path | nn.Module],
        *,
        attack: str = "veil",
        p: float = 0.5,
        strength: str = "balanced",
        closed_set: bool = False,
        landmarks: geometry.Floats | None = None,
        seed: int = 0,
        **parameters: Any,
    ) -> None:
        """Make ready; recognisers are loaded with the first batch, onto its device.

        Args:
            models: whom the changes are to mislead: names of recognisers that come with uncnn, folders of others, or
                networks in training, which take the images as they are, in 0..1 (`nn.Sequential` puts a normalisation
                before one that wants it).
            attack: the name of a registered attack.
            p: the share of images that are changed.
            strength: how far: subtle, balanced, strong, utmost.
            closed_set: the networks give a logit for each label, and are to miss it; else they give embeddings.
            landmarks: the five points in the images, (5, 2) x, y in pixels; by default ArcFace's at the images' width.
            seed: of what is drawn.
            parameters: of the attack and of its budget, such as `steps=4`.

        Raises:
            AugmentError: there is no such model, or `p` is no share. UnknownAttack: there is no such attack, strength
            or parameter.
        """
        if not 0 <= p <= 1:
            raise AugmentError(f"p {p}: give a share from 0 to 1")
        if not models:
            raise AugmentError("models: name one at least")
        aimed = sorted(set(TARGET_PARAMETERS) & parameters.keys())
        if aimed:
            raise AugmentError(f"{', '.join(aimed)}: spoofs lead away from the own identity, and to no other one")
        self._networks = [model for model in models if isinstance(model, nn.Module)]
        if closed_set and len(self._networks) < len(models):
            raise AugmentError(
                "closed_set: recognisers give embeddings; give networks that have a logit for each label"
            )
        self.budget = make_budget(strength, parameters)
        self._attack, self._name = make_attack(attack, parameters), attack
        self._models, self._p, self._landmarks, self.closed_set = list(models), p, landmarks, closed_set
        self._random = np.random.default_rng(seed)
        self._loaded: dict[tuple[str, int, int], list[Recogniser]] = {}

    @overload
    def __call__(self, images: Tensor) -> Tensor: ...
    @overload
    def __call__(self, images: Tensor, labels: Labels) -> tuple[Tensor, Labels]: ...
    def __call__(self, images: Tensor, labels: Any = None) -> Any:
        """Return the images with changes in some of them, and the labels as they are where they are given.

        Args:
            images: (N, 3, H, W) RGB, floats in 0..1 or uint8; aligned faces, on any device.
            labels: (N,) whole numbers where the set is closed; else anything.

        Raises:
            AugmentError: the images or the labels have another form, or this is a worker of a loader.
            PluginError: the attack broke its contract.
        """
        scale = _check(images)
        chosen = torch.from_numpy(self._random.random(len(images)) < self._p)
        seeds = self._random.integers(2**32, size=int(chosen.sum())).tolist()
        result = images.clone()
        if seeds:
            chosen = chosen.to(images.device)
            known = self._labels(labels, chosen) if self.closed_set else None
            changed = self._changed(images[chosen].detach().float() * scale, known, seeds)
            result[chosen] = (changed / scale).to(images.dtype)
        return result if labels is None else (result, labels)

    def _changed(self, pixels: Tensor, labels: Tensor | None, seeds: list[int]) -> Tensor:
        """Return faces, (N, 3, H, W) in 0..255, with the change in them, in whole grey levels."""
        surrogates = self._surrogates(pixels)
        parts = [slice(start, start + CHUNK) for start in range(0, len(pixels), CHUNK)]
        with standing_still(self._networks):

            def one(part: slice) -> Tensor:
                return self._part(surrogates, pixels[part], None if labels is None else labels[part], seeds[part])

            if pixels.is_cuda or len(parts) == 1:
                return torch.cat([one(part) for part in parts])
            with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # one network keeps one core busy
                return torch.cat(list(threads.map(one, parts)))

    def _part(
        self, surrogates: Sequence[Recogniser], pixels: Tensor, labels: Tensor | None, seeds: list[int]
    ) -> Tensor:
        with torch.no_grad():
            batch = self._batch(pixels, seeds)
            inputs = together([batch])  # a copy: the attack may write into it
            loss = EnsembleLoss(surrogates, inputs, self._objectives(surrogates, inputs, labels), self._oracle(batch))
            change = held(self._attack.perturb(inputs, loss, self.budget), batch, self._name)
            moved = batch if change.flow is None else batch.moved(change.flow)
            return (moved.patches + change.pixels).clamp(0, 255).round()

    def _objectives(
        self, surrogates: Sequence[Recogniser], faces: FaceBatch, labels: Tensor | None
    ) -> Sequence[Objective]:
        if not self.closed_set:
            return [Cosine(own, floor=RIGHT_ANGLE) for own in embeddings(surrogates, faces)]
        if labels is None or self.budget.steps == 1:
            # one step away from the true label tells which it was (label leaking: Kurakin, Goodfellow and Bengio,
            # "Adversarial machine learning at scale", ICLR 2017, section 4.2): away from what the network says
            return [CrossEntropy(each.outputs(faces.patches).argmax(dim=1)) for each in surrogates]
        return [CrossEntropy(labels)] * len(surrogates)

    def _batch(self, pixels: Tensor, seeds: list[int]) -> FaceBatch:
        number, _, height, width = pixels.shape
        points = np.repeat(self._points(width)[None], number, axis=0)
        inside = pixels.new_ones(number, 1, height, width)
        return bounded_batch(pixels, inside, points, [1.0] * number, (height, width), self.budget, seeds)

    def _points(self, width: int) -> geometry.Floats:
        if self._landmarks is not None:
            return np.asarray(self._landmarks, dtype=np.float64)
        scaled: geometry.Floats = (geometry.ARCFACE_112 + 0.5) * (width / 112) - 0.5
        return scaled

    def _surrogates(self, pixels: Tensor) -> list[Recogniser]:
        key = (str(pixels.device), *pixels.shape[2:])
        if key not in self._loaded:
            size = (pixels.shape[2], pixels.shape[3])
            self._loaded[key] = recognisers_of(self._models, self._points(size[1]), size, pixels.device)
        return self._loaded[key]

    def _oracle(self, faces: FaceBatch) -> Any:
        def ask() -> Oracle:
            if self._networks:
                raise AugmentError(f"attack {self._name} asks for decisions: give recognisers by name, no network")
            return Oracle(self._surrogates(faces.patches), faces)

        return ask

    @staticmethod
    def _labels(labels: Any, chosen: Tensor) -> Tensor | None:
        if labels is None:
            return None
        if not isinstance(labels, Tensor) or labels.shape != chosen.shape or labels.is_floating_point():
            told = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise AugmentError(f"labels {told}: give a whole number for each image, ({len(chosen)},)")
        return labels[chosen.to(labels.device)].to(chosen.device)


def _check(images: Tensor) -> float:
    """Return what the images are to be multiplied by to be grey levels. Raises AugmentError."""
    if get_worker_info() is not None:
        raise AugmentError("a worker of a loader: spoof each batch in the loop that trains, on its device")
    if images.ndim != 4 or images.shape[1] != 3:
        raise AugmentError(f"images {tuple(images.shape)}: give (N, 3, H, W)")
    if images.dtype == torch.uint8:
        return 1.0
    if not images.is_floating_point():
        raise AugmentError(f"images of {images.dtype}: give floats in 0..1, or uint8")
    if len(images) and not 0 <= float(images.min()) <= float(images.max()) <= 1:
        low, high = float(images.min()), float(images.max())
        raise AugmentError(f"images in {low:.2f}..{high:.2f}: give floats in 0..1; normalise them afterwards")
    return 255.0

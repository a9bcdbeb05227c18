"""Attacks as strangers may write them. They are installed for the tests alone."""

import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from uncnn.plugins.api import Change
from uncnn.plugins.detectors.retinaface import RetinaFace


def install(folder: Path, attacks: Mapping[str, str]) -> Path:
    """Make `folder` an installed distribution with these attacks, name to `module:class`, and return it."""
    information = folder / "bad_attacks-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(__file__, folder)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-attacks\nVersion: 1.0\n")
    entries = "\n".join(f"{name} = {place}" for name, place in attacks.items())
    (information / "entry_points.txt").write_text(f"[uncnn.attacks]\n{entries}\n")
    return folder


@dataclass(frozen=True)
class Hangs:
    def perturb(self, faces, loss, budget):
        time.sleep(3600)


@dataclass(frozen=True)
class NotFinite:
    def perturb(self, faces, loss, budget):
        return Change(faces.patches * float("nan"))


@dataclass(frozen=True)
class WrongShape:
    def perturb(self, faces, loss, budget):
        return Change(faces.patches[:, :, :7])


@dataclass(frozen=True)
class Greedy:
    """Takes memory until the system ends it: the test does what the system would, before others suffer."""

    def perturb(self, faces, loss, budget):
        held = []
        while len(held) < 20:
            held.append(np.ones((1 << 24,), np.float32))
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Meddler:
    """Writes outside of its patch, and into the bounds."""

    def perturb(self, faces, loss, budget):
        faces.patches.zero_()
        faces.luma_limits.fill_(255)
        return Change(torch.full_like(faces.patches, 255))


@dataclass(frozen=True)
class Liar:
    """Changes nothing, and lets the worker's detector find no face from then on."""

    def perturb(self, faces, loss, budget):
        RetinaFace.detect_batch = lambda _, photos: [[] for _ in photos]
        return Change(torch.zeros_like(faces.patches))

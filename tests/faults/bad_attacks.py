"""Attacks as strangers may write them. They are installed for the tests alone."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np
import torch

from uncnn.plugins.api import Change


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

"""LPIPS, where a person has brought its weights: uncnn neither depends on the package nor fetches them.

Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric", CVPR
2018. The weights are one file, the state of ``lpips.LPIPS(net="alex")``: at `$UNCNN_LPIPS`, or `lpips-alex.pth` in the
user's data directory.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import platformdirs
import torch
from torch import Tensor

from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.checkpoints import LARGEST_CHECKPOINT, CheckpointError, load_checkpoint
from uncnn.plugins.recognisers.reading import read_file

VARIABLE = "UNCNN_LPIPS"
FILE = "lpips-alex.pth"


class LpipsError(UncnnError):
    """The weights that were named are not there, or are none."""


def lpips_weights() -> Path | None:
    """Return the file of LPIPS's weights, or None: there is none, or no package `lpips` that could read it.

    Raises:
        LpipsError: the variable names a file that is not there.
    """
    named = os.environ.get(VARIABLE)
    try:
        path = Path(named) if named else platformdirs.user_data_path("uncnn", appauthor=False) / FILE
    except RuntimeError:  # a user without a home
        return None
    if named and not path.is_file():
        raise LpipsError(f"{VARIABLE} {named!r} is no file: name the weights of LPIPS, or unset it")
    return path if path.is_file() and importlib.util.find_spec("lpips") is not None else None


def lpips_distance(weights: Path, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function of two batches of pictures, (N, 3, P, P) in 0..255, that returns their LPIPS, (N,).

    Raises:
        LpipsError: the file is not the state of ``lpips.LPIPS(net="alex")``.
    """
    network = _network(weights, str(device))
    return lambda first, second: network(first / 127.5 - 1, second / 127.5 - 1).flatten()


@functools.lru_cache(maxsize=2)
def _network(weights: Path, device: str) -> torch.nn.Module:
    import lpips

    network: torch.nn.Module = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)  # no download
    try:
        state: Any = load_checkpoint(read_file(weights, LARGEST_CHECKPOINT))
        network.load_state_dict(state)
    except (OSError, RuntimeError, TypeError, CheckpointError, BadZipFile, pickle.UnpicklingError) as error:
        remedy = 'save the state of lpips.LPIPS(net="alex") there, or remove it'
        raise LpipsError(f"{weights} does not hold the weights of LPIPS ({error}): {remedy}") from error
    return network.eval().requires_grad_(False).to(device)

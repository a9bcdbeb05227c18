"""JPEG on the device against libjpeg."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uncnn.plugins.engine.jpeg import recompressed
from uncnn.plugins.engine.views import compressed


def pictures(photo: np.ndarray) -> torch.Tensor:
    parts = [photo[40:200, 140:300], photo[200:360, 20:180]]
    return torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_it_is_libjpeg_to_what_integers_round(photo: np.ndarray, quality: int) -> None:
    whole = pictures(photo)
    real = compressed(whole, [quality] * 2)
    error = (recompressed(whole, [quality] * 2) - real).abs()
    assert float(error.mean()) < 0.8
    assert float(error.mean()) < 0.4 * float((real - whole).abs().mean())
    grey = whole.mean(dim=1, keepdim=True).round().expand(-1, 3, -1, -1)
    assert float((recompressed(grey, [quality] * 2) - compressed(grey, [quality] * 2)).abs().mean()) < 0.35


def test_each_picture_has_its_own_quality_and_any_size(photo: np.ndarray) -> None:
    whole = pictures(photo)[..., :97, :61]
    both = recompressed(whole, [50, 95])
    assert both.shape == whole.shape
    assert torch.equal(both[1:], recompressed(whole[1:], [95]))
    assert float((both[0] - whole[0]).abs().mean()) > float((recompressed(whole[:1], [95])[0] - whole[0]).abs().mean())

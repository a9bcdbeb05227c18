"""A change in the photo, by numpy: as torch moves pixels, and where it may."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uncnn.plugins.engine import flow as torch_flow
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.engine.rendering import compose, displaced
from uncnn.plugins.geometry import Region


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.floats(0, 60))
def test_pixels_are_taken_from_where_torch_takes_them(seed: int, height: int, width: int, far: float) -> None:
    chance = np.random.default_rng(seed)
    picture = chance.integers(0, 256, (height, width, 3), np.uint8)
    flow = chance.uniform(-far, far, (2, height, width)).astype(np.float32)
    here = displaced(picture, flow)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    there = torch_flow.displaced(tensor, torch.from_numpy(flow)[None].double())[0].permute(1, 2, 0).numpy()
    assert np.abs(here - there).max() < 0.02


def test_a_change_is_cut_where_its_bound_and_the_range_of_pixels_end() -> None:
    photo = np.full((50, 60, 3), 250, np.uint8)
    change = np.full((3, 8, 8), 20, np.float32)
    change[0] = -20
    limits = np.full((1, 8, 8), 10, np.float32)
    result, (norms,) = compose(photo, [Patch(Region(-4, 46, 8), change, limits)])
    changed = result != photo
    assert changed[46:, :4].all()
    changed[46:, :4] = False
    assert not changed.any(), "what reaches over the photo's border is left out"
    assert result[49, 0].tolist() == [240, 255, 255]
    assert norms.largest_255 == 10
    assert norms.flow == 0

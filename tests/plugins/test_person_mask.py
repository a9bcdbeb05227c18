"""A person's mask: what is kept of it, what is refused, and that what it draws keeps to the budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of

from uncnn.plugins.api import Budget, PluginError
from uncnn.plugins.generator.network import HEADS, SIDE
from uncnn.plugins.perception.pixel_bounds import luma_of
from uncnn.plugins.person_mask import MOST_BYTES, SIDES, MaskError, PersonMask
from uncnn.plugins.registry import STRENGTHS


@pytest.fixture(scope="module")
def mask() -> PersonMask:
    """Return a mask of values that nobody chose."""
    random = np.random.default_rng(5)
    heads = tuple(random.uniform(-1, 1, (3, side, side)).astype(np.float32) for side in SIDES)
    return PersonMask(heads, ("a" * 64, "b" * 64))


def test_a_mask_lies_in_the_frame_of_the_generator() -> None:
    assert tuple(SIDE >> head for head in range(HEADS)) == SIDES


def test_a_mask_is_read_as_it_was_written(mask: PersonMask, tmp_path: Path) -> None:
    mask.save(tmp_path / "mask.npz")
    read = PersonMask.load(tmp_path / "mask.npz")
    assert read.surrogates == mask.surrogates
    for one, other in zip(read.heads, mask.heads, strict=True):
        assert np.abs(one - other).max() < 0.004
    assert (tmp_path / "mask.npz").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", bytes(MOST_BYTES + 1)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mask.npz").write_bytes(content)
    with pytest.raises(MaskError, match=r"mask\.npz"):
        PersonMask.load(tmp_path / "mask.npz")


def test_arrays_that_are_no_mask_are_refused(mask: PersonMask, tmp_path: Path) -> None:
    file = tmp_path / "mask.npz"
    mask.save(file)
    with np.load(file) as arrays:
        kept = dict(arrays)
    for name, value in (("form", np.int64(9)), ("values_8", np.zeros((3, 9, 9), np.int8)), ("values_128", "no")):
        np.savez(file, **{**kept, name: value})
        with pytest.raises(MaskError):
            PersonMask.load(file)
    np.savez(file, **{**kept, "surrogates": np.array([object()])})  # would be unpickled
    with pytest.raises(MaskError):
        PersonMask.load(file)


def test_values_out_of_range_are_refused(mask: PersonMask) -> None:
    for wrong in (1.5, np.nan):
        heads = (*mask.heads[:-1], np.full_like(mask.heads[-1], wrong))
        with pytest.raises(MaskError, match=r"not in -1\.\.1"):
            PersonMask(heads)


@pytest.mark.parametrize("strength", ["subtle", "utmost"])
def test_what_is_drawn_keeps_to_the_budget(photo: np.ndarray, mask: PersonMask, strength: str) -> None:
    faces = batch_of(photo, [FACE, BESIDE], STRENGTHS[strength])
    pixels = mask.change(faces).pixels
    assert float(pixels.abs().amax(dim=(1, 2, 3)).min()) > 3
    assert float((luma_of(pixels).abs() - faces.luma_limits).max()) < 0.01
    assert torch.equal(mask.change(faces).pixels, pixels)


def test_a_budget_that_bounds_no_bands_is_refused(photo: np.ndarray, mask: PersonMask) -> None:
    with pytest.raises(PluginError, match="visibility above 0"):
        mask.change(batch_of(photo, [FACE], Budget(epsilon_255=8.0)))

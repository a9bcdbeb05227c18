"""The generator: where its values land on a patch, what it is read from, and that one pass keeps to the budget."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of

from uncnn.exporters.train.ship import ship_generator
from uncnn.plugins import geometry
from uncnn.plugins.api import Budget, PluginError
from uncnn.plugins.engine import host
from uncnn.plugins.generator.frame import read_off
from uncnn.plugins.generator.generated import CARD_FILE, FILE, Generator, GeneratorError, read_generator
from uncnn.plugins.generator.network import HEADS, SIDE, GeneratorNetwork
from uncnn.plugins.generator.one_pass import OnePass
from uncnn.plugins.perception.pixel_bounds import luma_of
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import STRENGTHS


class Silent:
    """A loss that nobody may ask."""

    targets = 0

    def __call__(self, inputs: torch.Tensor, step: int) -> torch.Tensor:
        raise AssertionError("one pass asks no recogniser")

    gradient = toward = linked = __call__


@pytest.mark.parametrize("size", [1.0, 1.8, 0.3])
def test_each_band_reads_the_frame_where_the_face_is(size: float) -> None:
    turned = size * np.array([[0.96, -0.28], [0.28, 0.96]])
    points = (geometry.ARCFACE_112 - 56) @ turned.T + 112
    to_frame = geometry.similarities(points[None], geometry.ARCFACE_112 + 8)
    drawn = [along_x(head) for head in range(HEADS)]  # what a place is given is where it is, across
    octaves = -np.log2(np.array([size]))
    for level in range(HEADS):
        side = 224 >> level
        band = read_off(drawn, torch.from_numpy(to_frame).float(), octaves + level, level, (side, side))
        ys, xs = np.mgrid[0:side, 0:side] * 2**level
        expected = geometry.transform(to_frame, np.stack([xs, ys], -1).reshape(1, -1, 2))[0, :, 0].reshape(side, side)
        inside = (expected > 16) & (expected < SIDE - 17)
        assert inside.any()
        assert np.abs(band[0, 0].numpy() - expected)[inside & within(to_frame, xs, ys)].max() < 0.02


def along_x(head: int) -> torch.Tensor:
    """Return a head's values that say, in frame pixels, how far to the right each is."""
    side = SIDE >> head
    return (torch.arange(side) * 2.0**head).expand(1, 3, side, side)


def within(to_frame: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Return which places lie where every head has values on all sides."""
    places = geometry.transform(to_frame, np.stack([xs, ys], -1).reshape(1, -1, 2))[0].reshape(*xs.shape, 2)
    return ((places >= 0) & (places <= SIDE - 16)).all(axis=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a generator that was taught nothing, and draws something all the same."""
    torch.manual_seed(3)
    network = GeneratorNetwork()
    for head in network.heads:
        torch.nn.init.normal_(head.weight, 0, 0.5)
    made = tmp_path_factory.mktemp("generator")
    ship_generator(network.eval(), [], 0, 0, made)
    return made


@pytest.mark.parametrize("strength", ["subtle", "utmost"])
def test_one_pass_keeps_to_the_budget_and_asks_nobody(photo: np.ndarray, folder: Path, strength: str) -> None:
    budget = STRENGTHS[strength]
    faces = batch_of(photo, [FACE, BESIDE], budget)
    pixels = OnePass(Generator.load(folder)).perturb(faces, Silent(), budget).pixels
    assert float(pixels.abs().max()) > 3
    assert float((luma_of(pixels).abs() - faces.luma_limits).max()) < 0.01
    other = batch_of(photo, [FACE], budget, seed=8)
    assert not torch.equal(OnePass(Generator.load(folder)).perturb(other, Silent(), budget).pixels[0], pixels[0])


def test_a_budget_that_bounds_no_bands_is_refused(photo: np.ndarray, folder: Path) -> None:
    budget = Budget(epsilon_255=8.0)
    with pytest.raises(PluginError, match=r"visibility 0\.0: give more than 0"):
        OnePass(Generator.load(folder)).perturb(batch_of(photo, [FACE], budget), Silent(), budget)


def test_a_grey_photo_is_drawn_on_in_grey(photo: np.ndarray, folder: Path, surrogates: list[Recogniser]) -> None:
    grey = np.repeat(photo.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    attack = OnePass(Generator.load(folder))
    (patch,) = host.perturb(grey, [FACE], attack, surrogates, STRENGTHS["balanced"], seed=1)
    assert float(np.abs(patch.change).max()) > 3
    assert float(np.abs(patch.change - patch.change.mean(axis=0)).max()) < 0.01


def test_another_file_than_its_card_names_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in (FILE, CARD_FILE):
        shutil.copyfile(folder / name, tmp_path / name)
    content = read_generator(tmp_path)
    assert len(content) < 3_000_000
    (tmp_path / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(GeneratorError, match=r"onepass\.onnx: has the sha256 .* train it anew"):
        read_generator(tmp_path)
    (tmp_path / CARD_FILE).unlink()
    with pytest.raises(GeneratorError, match="cannot be read"):
        read_generator(tmp_path)

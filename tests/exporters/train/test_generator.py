"""The recipe of the generator, in small: a few steps on pictures that are no faces, and what is shipped of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.exporters.train.generator import Course, teach
from uncnn.exporters.train.ship import ship_generator
from uncnn.plugins.generator.generated import INPUT, OUTPUTS, read_generator
from uncnn.plugins.generator.network import SIDE, GeneratorNetwork, bounded
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

COURSE = Course(samples=100, people=2)
pytestmark = pytest.mark.slow

PEOPLE = ["a", "a", "b", "b", "c"]  # the last one has no second photo


@pytest.fixture(scope="module")
def surrogates() -> list[Recogniser]:
    return [load_recogniser(EMBEDDED / name) for name in ("mobileface-v2", "esp-mfn")]


@pytest.fixture(scope="module")
def taught(surrogates: list[Recogniser]) -> tuple[GeneratorNetwork, list[tuple[int, dict[str, float]]]]:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3), np.uint8)
    pictures = np.stack([np.asarray(Image.fromarray(each).resize((144, 144))) for each in coarse])
    reports: list[tuple[int, dict[str, float]]] = []
    network = teach(
        surrogates, pictures, PEOPLE, COURSE, report=lambda done, losses: reports.append((done, dict(losses)))
    )
    return network, reports


def test_it_learns_to_get_away_and_says_how_far_it_is(
    taught: tuple[GeneratorNetwork, list[tuple[int, dict[str, float]]]],
) -> None:
    _, reports = taught
    assert [done for done, _ in reports] == list(range(4, COURSE.samples + 1, 4))
    first, last = reports[0][1], reports[-1][1]
    assert set(last) == {"own", "other", "together", "people", "saturation"}
    assert last["own"] < first["own"] - 0.01


def test_surrogates_are_as_they_were(surrogates: list[Recogniser], taught: object) -> None:
    assert taught is not None
    for surrogate in surrogates:
        fresh = load_recogniser(surrogate.folder)
        pairs = zip(surrogate.network.state_dict().values(), fresh.network.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_what_is_shipped_is_what_was_taught(
    tmp_path: Path, surrogates: list[Recogniser], taught: tuple[GeneratorNetwork, object]
) -> None:
    network, _ = taught
    file = ship_generator(network, surrogates, COURSE.samples, 0, tmp_path)
    assert b"/site-packages/" not in file.read_bytes()
    card = yaml.safe_load((tmp_path / "card.yaml").read_text())
    assert card["taught_against"] == ["mobileface-v2", "esp-mfn"]
    assert card["faces_shown"] == COURSE.samples
    faces = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 255
    session = onnxruntime.InferenceSession(read_generator(tmp_path), providers=["CPUExecutionProvider"])
    found = session.run(OUTPUTS, {INPUT: faces.numpy()})
    with torch.no_grad():
        expected = bounded(network(faces))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == tuple(other.shape)
        assert np.abs(one - other.numpy()).max() < 0.02

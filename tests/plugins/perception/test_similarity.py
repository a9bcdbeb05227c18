"""SSIM and MS-SSIM against scikit-image's, and LPIPS only where a person brought it."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from uncnn.plugins.perception.learned_similarity import VARIABLE, LpipsError, lpips_distance, lpips_weights
from uncnn.plugins.perception.similarity import SCALE_WEIGHTS, dssim, ms_ssim, ssim


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Two pictures and two changed ones, (2, 224, 224, 3)."""
    photo = np.asarray(pytest.importorskip("skimage").data.astronaut())
    clean = np.stack([photo[20:244, 120:344], photo[200:424, 100:324]]).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, [[[[6]]], [[[25]]]], clean.shape)
    return clean, np.clip(clean + noise, 0, 255).astype(np.float32)


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array).permute(0, 3, 1, 2) for array in arrays]


def reference(first: np.ndarray, second: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(first, second, channel_axis=2, data_range=255, **gaussian))


def test_ssim_is_that_of_scikit_image(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    expected = [reference(*pair) for pair in zip(*pictures, strict=True)]
    assert ssim(*tensors(*pictures)).tolist() == pytest.approx(expected, abs=2e-4)
    assert dssim(*tensors(*pictures)).tolist() == pytest.approx([(1 - each) / 2 for each in expected], abs=2e-4)


def test_ms_ssim_of_one_scale_is_ssim_and_of_equal_pictures_1(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    clean, changed = tensors(*pictures)
    assert ms_ssim(clean, clean).tolist() == pytest.approx([1, 1], abs=1e-5)
    small, small_changed = (picture[..., 100:116, 100:116] for picture in (clean, changed))
    assert ms_ssim(small, small_changed).tolist() == pytest.approx(ssim(small, small_changed).tolist(), abs=1e-5)


def test_ms_ssim_forgives_fine_noise_more_than_coarse(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    """What the scales are for: the eye's sensitivity, highest at the third of five."""
    clean = tensors(pictures[0])[0]
    fine = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * 8
    coarse = torch.nn.functional.avg_pool2d(fine, 4) * 4  # of the same size
    coarse = torch.nn.functional.interpolate(coarse, scale_factor=4)
    assert bool((ms_ssim(clean, clean + fine) > ms_ssim(clean, clean + coarse) + 0.01).all())
    assert sum(SCALE_WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_each_picture_of_a_batch_is_measured_on_its_own(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    clean, changed = tensors(*pictures)
    for measure in (ssim, ms_ssim):
        alone = [float(measure(clean[i : i + 1], changed[i : i + 1])) for i in range(2)]
        assert measure(clean, changed).tolist() == pytest.approx(alone, abs=1e-6)


class FakeLpips(torch.nn.Module):
    """Stands in for lpips.LPIPS: one weight, times the mean squared difference."""

    def __init__(self, net: str, pretrained: bool, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        assert (net, pretrained, pnet_rand) == ("alex", False, True), "nothing is downloaded"
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.weight * (first - second).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def fake_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("lpips")
    module.__spec__ = ModuleSpec("lpips", None)
    module.LPIPS = FakeLpips  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", module)


@pytest.mark.usefixtures("fake_lpips")
def test_lpips_is_read_from_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save({"weight": torch.full((1,), 3.0)}, weights)
    monkeypatch.setenv(VARIABLE, str(weights))
    assert lpips_weights() == weights
    distance = lpips_distance(weights, torch.device("cpu"))
    black, white = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), 255.0)
    assert distance(black, white).tolist() == [12, 12], "3 x 2 squared: pictures in -1..1"
    (tmp_path / "other.pth").write_bytes(b"no weights")
    with pytest.raises(LpipsError, match="does not hold"):
        lpips_distance(tmp_path / "other.pth", torch.device("cpu"))


def test_weights_that_are_named_and_missing_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.pth"))
    with pytest.raises(LpipsError, match=r"none\.pth"):
        lpips_weights()


@pytest.mark.usefixtures("fake_lpips")
def test_without_weights_there_is_no_lpips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert lpips_weights() is None
    (tmp_path / "uncnn").mkdir()
    (tmp_path / "uncnn" / "lpips-alex.pth").touch()
    assert lpips_weights() == tmp_path / "uncnn" / "lpips-alex.pth"

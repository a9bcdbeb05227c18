"""A training that was stopped goes on as if it had not been."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from uncnn.exporters.train.descent import Descent

BATCHES = torch.randn(6, 4, 3, 5, 5, generator=torch.Generator().manual_seed(1))


def begun(steps: int = 6) -> Descent[nn.Sequential]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 2))
    return Descent(network, torch.device("cpu"), steps, 0.01, 0.1, 0.9)


def gone(descent: Descent[nn.Sequential], batches: torch.Tensor) -> None:
    for images in batches:
        descent.step({"size": descent.network(images).square().mean()})


def test_what_was_stopped_ends_where_it_would_have(tmp_path: Path) -> None:
    whole = begun()
    gone(whole, BATCHES)
    first = begun()
    gone(first, BATCHES[:4])
    torch.save(first.state(), tmp_path / "part.pt")
    second = begun()
    assert second.take_up(torch.load(tmp_path / "part.pt", weights_only=True)) == 4
    gone(second, BATCHES[4:])
    for one, other in ((whole.network, second.network), (whole.kept, second.kept)):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert whole.running == second.running


def test_what_was_begun_for_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="begun for 6 steps, not for 7"):
        begun(7).take_up(begun().state())

"""What several tests share: the real models and photos that lie beside the checkout, where they do."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _beside(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}: real {name} that may not be committed")
    return folder


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Return ../shared/models, or skip the test."""
    return _beside("models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return ../shared/data, or skip the test."""
    return _beside("data")

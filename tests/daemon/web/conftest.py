"""A page that is served, with processes that do what a photo says in words instead of networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clock import Clock
from served_page import ServedPage
from stub_engine import stub_for

from uncnn.daemon.config import Config, Policy


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[ServedPage]:
    with _served(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def standing_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """Return one page for all tests of a module: for those that leave nothing behind."""
    with _served(tmp_path_factory.mktemp("page")) as served:
        yield served


@pytest.fixture
def cleared_page(standing_page: ServedPage) -> Iterator[ServedPage]:
    """Return that page, whose photos are forgotten after the test: their processes stay for the next one."""
    yield standing_page
    standing_page.ask("POST", "/photos/forget", b"")


@pytest.fixture
def strict_page(tmp_path: Path) -> Iterator[ServedPage]:
    """Return a page whose policy skips what shows no face, and holds what may be one."""
    policy = Policy(no_face="skip", uncertain="hold")
    with _served(tmp_path, Config(version=1, policies={"everyday": policy})) as served:
        yield served


@contextmanager
def _served(root: Path, config: Config | None = None) -> Iterator[ServedPage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCNN_STATE", str(root / "state"))
        patch.setenv("XDG_DATA_HOME", str(root / "data"))
        patch.setattr("uncnn.daemon.web.engines.engine_for", stub_for)
        served = ServedPage(root / "dropped", config or Config())
        try:
            yield served
        finally:
            served.close()

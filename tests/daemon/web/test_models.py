"""The page of models, and pulls by it: from a real server, in a real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mirror import Mirror, mirror_of
from served_page import ServedPage

from uncnn.daemon.config import Config, Models

CASIA = "mobilefacenet-casia"
Y1 = "mobilefacenet-y1"  # the one that is converted fastest
RESEARCH = Config(models=Models(licences=("permissive", "research")))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    (tmp_path / "mirror").mkdir()
    with mirror_of(tmp_path / "mirror") as made:
        yield made


@pytest.fixture
def research_page(page: ServedPage, mirror: Mirror) -> ServedPage:
    """Return a page whose configuration accepts models for research, and that pulls from the mirror."""
    page.site.configured.config = RESEARCH
    page.site.pulls.mirror = mirror.url
    return page


def models(page: ServedPage) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in page.ask("GET", "/models.json").json()["models"]}


def pull(page: ServedPage, name: str = CASIA) -> int:
    return page.ask("POST", f"/models/{name}/pull", b"").status


def last(page: ServedPage) -> dict[str, Any]:
    return dict(page.ask("GET", "/models.json").json()["pull"])


def test_it_says_what_there_is_and_what_for(page: ServedPage) -> None:
    found = models(page)
    judge, other = found["dlib-resnet"], found[CASIA]
    assert (judge["role"], judge["whence"], judge["pull"], judge["licence"]["use"]) == (
        *("judge", "with-uncnn", None, "permissive"),
    )
    assert (other["role"], other["whence"], other["installed"], other["bytes"]) == ("surrogate", None, None, 4130855)
    assert other["sha256"] == "e839247cdbdfc023fb7cadeaf53a4549d50c8fc24ad154c02e35920ea8910d99"
    assert other["from"] == ["raw.githubusercontent.com"]
    names = list(found)
    assert names.index("openvino-0095") < names.index("retinaface-resnet50"), "what is installed comes first"
    shown = page.ask("GET", "/models").body.decode()
    assert all(f'id="model-{name}"' in shown for name in names)
    assert str(judge["sha256"]) in shown


def test_what_the_configuration_does_not_accept_is_not_pulled(page: ServedPage) -> None:
    assert models(page)[CASIA]["pull"] == "licence"
    assert pull(page) == 404
    assert f"uncnn-daemon models pull {CASIA} --licence research" in page.ask("GET", "/models").body.decode()


def test_a_page_without_a_network_shows_the_command_instead(research_page: ServedPage) -> None:
    research_page.site.pulls.possible = False
    assert models(research_page)[CASIA]["pull"] == "no-network"
    assert pull(research_page) == 404
    shown = research_page.ask("GET", "/models").body.decode()
    assert f"<code>uncnn-daemon models pull {CASIA}</code>" in shown
    assert "/pull" not in shown


@pytest.mark.parametrize("name", ["dlib-resnet", "nobody", "..%2F..%2Fetc"])
def test_nothing_else_is_pulled(research_page: ServedPage, name: str) -> None:
    assert pull(research_page, name) == 404
    assert research_page.site.pulls.last is None


def test_a_pull_is_followed_and_its_fault_is_said(research_page: ServedPage, mirror: Mirror) -> None:
    (mirror.folder / "mobilefacenet-casia.ckpt").write_bytes(bytes(4130855))
    assert models(research_page)[CASIA]["from"] == ["127.0.0.1"]
    assert "from 127.0.0.1." in research_page.ask("GET", "/models").body.decode()
    assert mirror.asked == [], "nothing is asked for before a person wants it"
    assert pull(research_page) == 303
    research_page.until(lambda: (last(research_page)["stage"] or {}).get("of") == 4130855)
    assert pull(research_page, "edgeface-xxs") == 409, "one at a time"
    shown = research_page.ask("GET", "/models").body.decode()
    assert "downloading" in shown
    assert 'max="4130855' in shown
    mirror.let.set()
    research_page.until(lambda: last(research_page)["state"] != "working")
    assert last(research_page)["state"] == "failed"
    assert "sha256" in last(research_page)["message"]
    assert "That failed: mobilefacenet-casia.ckpt" in research_page.ask("GET", "/models").body.decode()
    assert models(research_page)[CASIA]["pull"] == "possible", "it can be tried again"


def test_a_pull_ends_with_the_page(research_page: ServedPage, mirror: Mirror) -> None:
    (mirror.folder / "mobilefacenet-casia.ckpt").write_bytes(bytes(4130855))
    assert pull(research_page) == 303
    research_page.until(lambda: (last(research_page)["stage"] or {}).get("of") == 4130855)
    child = research_page.site.pulls._child
    assert child is not None
    assert child.alive
    research_page.close()
    research_page.until(lambda: not child.alive)


@pytest.mark.slow
def test_a_model_is_pulled_and_can_be_used(research_page: ServedPage, mirror: Mirror, shared_models: Path) -> None:
    mirror.folder = shared_models / "upstream"
    mirror.let.set()
    assert pull(research_page, Y1) == 303
    research_page.until(lambda: last(research_page)["state"] != "working")
    assert (last(research_page)["state"], last(research_page)["message"]) == ("installed", "converted and proven")
    found = models(research_page)[Y1]
    assert (found["whence"], found["pull"]) == ("pulled", None)
    assert Path(found["installed"], "model.onnx").is_file()

"""The page of settings, on a real page and a real file; a real service takes them up."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlencode

import pytest
from running import Running, is_reachable
from scene import Scene
from served_page import Answer, ServedPage

from uncnn.daemon.config import load

STRENGTH = "policies.everyday.attack.strength"


class Configuration:
    """The file that a page goes by, and its form."""

    def __init__(self, page: ServedPage, file: Path) -> None:
        self.page, self.file = page, file
        page.site.configured.file = file
        page.site.configured.read_again()

    def send(self, **chosen: str) -> Answer:
        fields = {"seen": hashlib.sha256(self.file.read_bytes()).hexdigest(), **chosen}
        return self.page.ask("POST", "/settings", urlencode(fields).encode())


@pytest.fixture
def configuration(page: ServedPage, tmp_path: Path) -> Configuration:
    file = tmp_path / "config.yaml"
    file.write_text(f"version: 1  # kept\nfolders: [{{watch: {tmp_path}/in, publish: {tmp_path}/<out>}}]\n")
    return Configuration(page, file)


def test_what_is_chosen_is_written_and_the_page_works_by_it(configuration: Configuration) -> None:
    answer = configuration.send(**{STRENGTH: "strong", "policies.everyday.unprotected": "hold", "service.notify": "on"})
    assert (answer.status, answer.headers["location"]) == (303, "/settings?outcome=saved")
    config = load(configuration.file)
    assert (config.policies["everyday"].attack.strength, config.service.notify) == ("strong", True)
    text = configuration.file.read_text()
    assert "# kept" in text
    assert "unprotected" not in text, "what was not changed is not written"
    assert configuration.page.put("a.jpg", b"a photo")["strength"] == "strong"
    shown = configuration.page.ask("GET", "/settings").body.decode()
    assert '<option value="strong" selected>' in shown
    assert "&lt;out&gt;" in shown
    again = configuration.send(**{STRENGTH: "strong"})
    assert again.headers["location"] == "/settings?outcome=unchanged"


@pytest.mark.parametrize(
    "chosen",
    [
        {STRENGTH: "enormous"},
        {"policies.everyday.protect.far": "0.01"},
        {"folders[0].watch": "/etc"},
        {"folders[9].policy": "everyday"},
        {"service.apprise": "/etc/passwd"},
    ],
)
def test_nothing_else_of_the_file_can_be_reached(configuration: Configuration, chosen: dict[str, str]) -> None:
    before = configuration.file.read_bytes()
    assert configuration.send(**chosen).status == 400
    assert configuration.file.read_bytes() == before


def test_a_file_that_was_changed_meanwhile_is_not_written(configuration: Configuration) -> None:
    configuration.file.write_text("version: 1\n# another editor\n")
    before = configuration.file.read_bytes()
    answer = configuration.send(**{STRENGTH: "strong", "seen": "0" * 64})
    assert answer.status == 422
    assert b"changed by something else meanwhile" in answer.body
    assert configuration.file.read_bytes() == before


def test_without_a_file_the_page_says_how_to_make_one(page: ServedPage) -> None:
    shown = page.ask("GET", "/settings").body.decode()
    assert 'id="no-configuration"' in shown
    assert "uncnn-daemon config init" in shown
    assert page.ask("POST", "/settings", urlencode({STRENGTH: "strong"}).encode()).status == 422
    assert not page.site.configured.file.exists()


def test_a_running_service_takes_them_up(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.configure()
    service = Running(scene)
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    service.until(is_reachable)
    configuration = Configuration(page, scene.root / "config.yaml")
    answer = configuration.send(**{STRENGTH: "strong"})
    assert answer.headers["location"] == "/settings?outcome=taken"
    service.until_said("reloaded")

"""Folders that are added on the page: into a real file, and taken up by a real service."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from running import Running, is_reachable
from scene import Scene
from served_page import Answer, ServedPage

from uncnn.daemon.config import load


@pytest.fixture
def home(page: ServedPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's home, with a configuration that the page goes by."""
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    configure(page, made / "config.yaml", f"version: 1  # kept\nfolders: [{{watch: {tmp_path}/disk, publish: out}}]\n")
    return made


def configure(page: ServedPage, file: Path, text: str) -> None:
    file.write_text(text)
    page.site.configured.file = file
    page.site.configured.read_again()


def add(page: ServedPage, watch: str, publish: str, policy: str = "everyday", **more: str) -> Answer:
    seen = hashlib.sha256(page.site.configured.file.read_bytes()).hexdigest()
    fields = {"watch": watch, "publish": publish, "policy": policy, "seen": seen, **more}
    return page.ask("POST", "/today", urlencode(fields).encode())


def test_a_folder_is_written_as_it_was_typed_and_not_touched(page: ServedPage, home: Path) -> None:
    answer = add(page, " ~/Pictures/Outgoing ", str(home / "it's <out>: #1"))
    assert answer.status == 200
    assert b'id="outcome"' in answer.body
    assert b"Saved." in answer.body
    text = (home / "config.yaml").read_text()
    assert "# kept" in text
    assert "~/Pictures/Outgoing" in text
    folder = load(home / "config.yaml").folders[-1]
    assert (folder.watch, folder.publish) == (home / "Pictures" / "Outgoing", home / "it's <out>: #1")
    assert folder.policy == "everyday"
    assert [each.name for each in home.iterdir()] == ["config.yaml"], "no folder is made or looked for by the page"
    assert len(page.site.config.folders) == 2


REFUSED: dict[str, tuple[str, str]] = {
    "relative": ("Pictures", "must begin with ~/ or /"),
    "another's home": ("~root/x", "must begin with ~/ or /"),
    "nothing": ("", "type its path"),
    "elsewhere": ("/etc", "lies neither in your home folder"),
    "the home itself": ("~/", "lies neither in your home folder"),
    "out of the home": ("~/a/../../etc", "is no path that can be used"),
    "a line break": ("~/a\nversion: 2", "is no path that can be used"),
    "a mark that turns text": ("~/a\u202eb", "is no path that can be used"),
    "nul": ("~/a\0", "is no path that can be used"),
    "too long": ("~/" + "a" * 5000, "is no path that can be used"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_no_path_of_the_users_is_not_written(page: ServedPage, home: Path, which: str) -> None:
    typed, words = REFUSED[which]
    before = page.site.configured.file.read_bytes()
    for watch, publish in ((typed, "~/out"), ("~/in", typed)):
        answer = add(page, watch, publish)
        assert answer.status == 422
        assert b"Nothing was saved" in answer.body
        assert words in answer.body.decode()
    assert page.site.configured.file.read_bytes() == before


def test_a_folder_below_one_that_the_configuration_names_may_be_added(
    page: ServedPage, home: Path, tmp_path: Path
) -> None:
    answer = add(page, f"{tmp_path}/disk/below", "~/other")
    assert answer.status == 422
    assert b"overlap: watch each photo once" in answer.body, "the validator's own words"
    assert add(page, "~/in", f"{tmp_path}/disk/below").status == 422
    assert add(page, "~/in", f"{home}/out/below").status == 200


@pytest.mark.parametrize(
    "send",
    [
        lambda page: add(page, "~/in", "~/copies", policy="nobody"),
        lambda page: add(page, "~/in", "~/copies", policy=""),
    ],
)
def test_there_must_be_such_a_policy(page: ServedPage, home: Path, send: Callable[[ServedPage], Answer]) -> None:
    assert send(page).status == 400


def test_what_was_typed_stays_and_a_file_that_was_changed_meanwhile_is_not_written(
    page: ServedPage, home: Path
) -> None:
    answer = add(page, "~/<in>", "~/copies", seen="0" * 64)
    assert answer.status == 422
    assert b"changed by something else meanwhile" in answer.body
    assert b'value="~/&lt;in&gt;"' in answer.body


def test_without_a_file_the_page_says_how_to_make_one(page: ServedPage) -> None:
    assert b"uncnn-daemon config init" in page.ask("GET", "/today").body


def test_the_services_answer_is_shown(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    monkeypatch.setenv("HOME", str(scene.root))
    service = Running(scene)
    service.until(is_reachable)
    configure(page, scene.root / "config.yaml", (scene.root / "config.yaml").read_text())
    answer = add(page, "~/more", "~/more-out")
    assert answer.status == 200
    assert b"the service cannot use the folder yet" in answer.body
    assert str(scene.root / "more") in answer.body.decode()
    (scene.root / "others").mkdir()
    assert b"The service works by it now" in add(page, "~/others", "~/others-out").body
    service.until_said(f"watching {scene.root}/others")

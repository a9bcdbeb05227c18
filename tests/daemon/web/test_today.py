"""What became of the photos of watched folders, listed, filtered and searched; never by a path of the browser's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import Scene
from served_page import ServedPage
from stub_engine import stub_for

PHOTOS = {"a beach.jpg": "a photo", "Beach 2.jpg": "unprotected", "sub/c.jpg": "damaged", "Fête <b>.jpg": "b photo"}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return a scene whose photos have been taken."""
    scene = Scene(tmp_path_factory.mktemp("scene"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCNN_STATE", str(scene.state))
        patch.setenv("XDG_DATA_HOME", str(scene.root / "data"))
        patch.setattr("uncnn.daemon.commands.run_once.engine_for", stub_for)
        for name, content in PHOTOS.items():
            scene.put(name, content)
        scene.put("notes.txt", "no photo")
        scene.put(".hidden.jpg", "hidden")
        scene.run()
    yield scene
    scene.close()


@pytest.fixture
def page(taken: Scene, standing_page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> ServedPage:
    monkeypatch.setenv("UNCNN_STATE", str(taken.state))
    return standing_page


def names(page: ServedPage, query: str) -> list[str]:
    return sorted(photo["name"] for photo in page.ask("GET", f"/today.json{query}").json()["photos"])


def test_the_folders_say_what_came_and_went(page: ServedPage, taken: Scene) -> None:
    today = page.ask("GET", "/today.json").json()
    (folder,) = today["folders"]
    assert (folder["watch"], folder["publish"], folder["found"]) == (str(taken.watch), str(taken.publish), 4)
    assert (folder["counts"]["published"], folder["counts"]["held"], folder["counts"]["quarantined"]) == (2, 1, 1)
    ignored = {each["reason"]: (each["number"], each["words"]) for each in folder["ignored"]}
    assert ignored == {"other": (1, "not a photo"), "hidden": (1, "hidden")}
    assert today["photos_in_all"] == 4
    held = next(photo for photo in today["photos"] if photo["state"] == "held")
    assert held["photo"] == str(taken.watch / "Beach 2.jpg")
    assert "not protected" in held["reason"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?name=BEACH", ["Beach 2.jpg", "a beach.jpg"]),
        ("?name=sub/", ["c.jpg"]),
        ("?name=%25", []),
        ("?state=held", ["Beach 2.jpg"]),
        ("?state=held&state=quarantined", ["Beach 2.jpg", "c.jpg"]),
        ("?state=published&name=beach", ["a beach.jpg"]),
        ("?state=&name=", sorted(Path(name).name for name in PHOTOS)),
    ],
)
def test_photos_are_found_by_state_and_name(page: ServedPage, query: str, found: list[str]) -> None:
    assert names(page, query) == found


def test_so_many_are_listed_and_all_are_counted(page: ServedPage) -> None:
    today = page.ask("GET", "/today.json?newest=2").json()
    assert (len(today["photos"]), today["photos_in_all"]) == (2, 4)
    since = [photo["since"] for photo in today["photos"]]
    assert since == sorted(since, reverse=True)


@pytest.mark.parametrize("query", ["?state=gone", "?newest=many"])
def test_what_there_is_not_is_refused(page: ServedPage, query: str) -> None:
    assert page.ask("GET", f"/today.json{query}").status == 400


def test_the_page_shows_the_same(page: ServedPage) -> None:
    shown = page.ask("GET", "/today?state=held", Accept="text/html").body.decode()
    assert re.findall(r'id="number-\d+" data-state="(\w+)"', shown) == ["held"]
    assert '<option value="held" selected>' in shown
    whole = page.ask("GET", "/today").body.decode()
    assert "Fête &lt;b&gt;.jpg" in whole
    assert "<b>" not in whole


def test_without_a_ledger_nothing_is_listed(page: ServedPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "another"))
    today = page.ask("GET", "/today.json").json()
    assert (today["service"], today["folders"], today["photos"]) == ({"state": "not-run"}, [], [])
    assert (
        page.ask("GET", "/today").status == page.ask("GET", "/health").status == page.ask("GET", "/held").status == 200
    )
    assert not (tmp_path / "another" / "ledger.sqlite3").exists()

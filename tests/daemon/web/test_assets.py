"""The style sheet and the scripts: everybody's, and asked for again only where they are others."""

from __future__ import annotations

import json

import pytest
from served_page import ServedPage

from uncnn.daemon.web.assets import FOLDER, assets


@pytest.fixture
def page(standing_page: ServedPage) -> ServedPage:
    return standing_page


def test_every_file_is_given_as_what_it_is_without_a_session(page: ServedPage) -> None:
    assert set(assets()) == {file.name for file in FOLDER.iterdir()}
    for name, asset in assets().items():
        answer = page.ask("GET", f"/static/{name}", Cookie="")
        assert (answer.status, answer.body) == (200, (FOLDER / name).read_bytes())
        assert answer.headers["content-type"] == asset.kind


def test_what_a_browser_has_is_not_sent_again(page: ServedPage) -> None:
    tag = page.ask("GET", "/static/page.css").headers["etag"]
    again = page.ask("GET", "/static/page.css", If_None_Match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert page.ask("GET", "/static/page.css", If_None_Match='"another"').status == 200


@pytest.mark.parametrize("name", ["none.css", "..%2Fserver.py", "%2e%2e", "page.css%00", ""])
def test_no_name_from_a_browser_is_a_path(page: ServedPage, name: str) -> None:
    assert page.ask("GET", f"/static/{name}").status == 404


def test_the_manifest_names_pictures_that_there_are() -> None:
    manifest = json.loads(assets()["manifest.webmanifest"].content)
    assert manifest["start_url"] == "/"
    for icon in manifest["icons"]:
        name = icon["src"].removeprefix("/static/")
        assert assets()[name].kind == icon["type"]

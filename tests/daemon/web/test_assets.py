"""What everybody's page has: every file of the folder is sent as what it is, and nothing else."""

from __future__ import annotations

import json

import pytest
from served_page import ServedPage

from uncnn.daemon.web.assets import FOLDER, assets


@pytest.fixture
def page(standing_page: ServedPage) -> ServedPage:
    return standing_page


def test_every_file_is_sent_once(page: ServedPage) -> None:
    assert {file.name for file in FOLDER.iterdir()} == assets().keys()
    for name, asset in assets().items():
        answer = page.ask("GET", f"/static/{name}")
        assert (answer.status, answer.body) == (200, asset.content)
        assert answer.headers["content-type"].partition(";")[0] == asset.kind.partition(";")[0]
        again = page.ask("GET", f"/static/{name}", If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["none.css", "..%2Fserver.py", "%2e%2e", "page.css%00", ""])
def test_no_name_from_a_browser_is_a_path(page: ServedPage, name: str) -> None:
    assert page.ask("GET", f"/static/{name}").status == 404


def test_the_manifest_names_pictures_that_there_are() -> None:
    manifest = json.loads(assets()["manifest.webmanifest"].content)
    assert manifest["start_url"] == "/"
    for icon in manifest["icons"]:
        name = icon["src"].removeprefix("/static/")
        assert assets()[name].kind == icon["type"]

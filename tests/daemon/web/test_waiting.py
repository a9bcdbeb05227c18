"""How many photos wait for a person stands on every page."""

from __future__ import annotations

import pytest
from scene import Scene
from served_page import ServedPage

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.web.rendering import PAGES


def test_every_page_says_how_many_photos_wait(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    paths = ["/", *(f"/{name}" for name in PAGES if name != "drop")]
    assert all(b'data-number="0"></span>' in page.ask("GET", path).body for path in paths)
    for name in ("a", "b"):
        scene.put(f"{name}.jpg", f"unprotected {name}")
    scene.put("c.jpg", "good")
    scene.run()
    assert all(b'data-number="2"> (2)</span>' in page.ask("GET", path).body for path in paths)
    assert page.state()["waiting"] == 2
    assert page.ask("POST", "/held/1/drop", b"").status == 200
    assert page.state()["waiting"] == 1


def test_a_ledger_that_cannot_be_read_takes_no_other_page_away(page: ServedPage) -> None:
    ledger_file().write_text("no ledger")
    assert b'data-number="0"' in page.ask("GET", "/people").body
    assert page.state()["waiting"] == 0

"""A folder is added in a browser, by its form."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Visitor, follow
from playwright.sync_api import expect
from served_page import ServedPage

from uncnn.daemon.config import load

pytestmark = pytest.mark.slow


def test_a_folder_is_added_by_hand(
    page: ServedPage, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "config.yaml"
    file.write_text("version: 1\npolicies: {everyday: {}, careful: {attack: {strength: strong}, no_face: hold}}\n")
    page.site.configured.file = file
    page.site.configured.read_again()
    seen = visitor.open(page)
    follow(seen, "Folders")
    seen.get_by_text("Watch another folder").click()
    seen.get_by_label("Folder with your photos").fill("Pictures")
    seen.get_by_label("Folder for the copies").fill("~/Cloaked")
    seen.get_by_role("radio", name="careful").check()
    seen.get_by_role("button", name="Watch it").click()
    expect(seen.locator("#outcome")).to_contain_text("Folder with your photos: Pictures must begin with ~/ or /")
    visitor.forgive("422")
    expect(seen.get_by_role("radio", name="careful")).to_be_checked()
    assert load(file).folders == ()
    seen.get_by_label("Folder with your photos").fill("~/Pictures")
    seen.get_by_role("button", name="Watch it").click()
    expect(seen.locator("#outcome")).to_contain_text("Saved.")
    (folder,) = load(file).folders
    assert (folder.watch, folder.publish, folder.policy) == (tmp_path / "Pictures", tmp_path / "Cloaked", "careful")

"""The page of models in a browser: a pull is asked about, begun, followed and ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import PATIENCE_MS, Visitor, follow
from mirror import mirror_of
from playwright.sync_api import expect
from served_page import ServedPage

from uncnn.daemon.config import Config, Models

pytestmark = pytest.mark.slow


def test_a_model_is_pulled_when_a_person_says_so_twice(page: ServedPage, visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "mobilefacenet-casia.ckpt").write_bytes(bytes(4130855))
    page.site.configured.config = Config(models=Models(licences=("permissive", "research")))
    with mirror_of(tmp_path) as mirror:
        page.site.pulls.mirror = mirror.url
        seen = visitor.open(page)
        follow(seen, "Models")
        model = seen.locator("#model-mobilefacenet-casia")
        expect(model).to_contain_text("Pulls 4.1 MB from 127.0.0.1.")
        dialog = seen.get_by_role("dialog")
        model.get_by_role("button", name="Pull it").click()
        expect(dialog).to_contain_text("Pull mobilefacenet-casia?")
        expect(dialog).to_contain_text("4.1 MB from 127.0.0.1")
        dialog.get_by_role("button", name="Cancel").click()
        assert mirror.asked == []
        model.get_by_role("button", name="Pull it").click()
        dialog.get_by_role("button", name="Pull it").click()
        expect(model.get_by_role("progressbar")).to_have_attribute("max", "4130855", timeout=PATIENCE_MS)
        expect(model.get_by_role("status")).to_contain_text("downloading")
        expect(model.get_by_role("button")).to_have_count(0)
        mirror.let.set()
        outcome = model.locator(".outcome")
        expect(outcome).to_contain_text("That failed: mobilefacenet-casia.ckpt", timeout=PATIENCE_MS)
        expect(model.get_by_role("button", name="Pull it")).to_be_visible()
    assert mirror.asked == ["mobilefacenet-casia.ckpt"]

"""What fails is said on the terminal, and to the browser that it failed."""

from __future__ import annotations

import logging

import pytest
from served_page import ServedPage

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.web.doors import BORNE


def test_of_a_fault_nothing_is_said_but_on_the_terminal(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger_file().write_text("no ledger, and a secret")
    with caplog.at_level(logging.ERROR):
        answer = page.ask("GET", "/today", Accept="text/html")
    assert answer.status == 500
    assert b"That failed" in answer.body
    assert b"ledger" not in answer.body
    assert b"/" + page.folder.name.encode() not in answer.body
    assert {name: answer.headers[name.lower()] for name in BORNE} == BORNE
    assert "ledger" in caplog.text


def test_the_page_goes_on_after_a_fault(page: ServedPage) -> None:
    ledger_file().write_text("no ledger")
    assert page.ask("GET", "/held.json").status == 500
    assert page.ask("GET", "/").status == 200

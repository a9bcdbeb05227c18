"""What is filled into a page is escaped, and nothing is missing without a word."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from uncnn.daemon.web.doors import Refusal
from uncnn.daemon.web.rendering import refused, render


def test_what_is_filled_in_is_escaped() -> None:
    session = {"number": 1, "browser": "<script>alert(1)</script>", "began": '"><b>', "here": True}
    shown = bytes(render("sessions", sessions=[session], link=None).body).decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<b>" not in shown


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("sessions")


def test_a_refusal_is_said_to_a_person_as_a_page_and_to_a_program_as_json() -> None:
    page, data = (refused(Refusal(401, "session"), for_person) for for_person in (True, False))
    assert page.status_code == data.status_code == 401
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert bytes(data.body).startswith(b'{"refused":"This browser')
    assert b"This browser" in page.body

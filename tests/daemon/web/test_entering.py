"""A link lets one browser in; browsers are listed, and can be shown out."""

from __future__ import annotations

import re

from served_page import ServedPage


def test_a_link_becomes_a_cookie_that_no_script_reads(page: ServedPage) -> None:
    answer = page.ask("GET", f"/enter?code={page.site.sessions.new_code()}", Cookie="")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == f"uncnn-{page.port}"
    assert {part.strip() for part in rest.split(";")[1:]} == {"HttpOnly", "SameSite=Strict", "Path=/"}


def test_a_code_lets_nobody_else_in(page: ServedPage) -> None:
    code = page.site.sessions.new_code()
    page.enter(code)
    for used in (code, "", "guess"):
        answer = page.ask("GET", f"/enter?code={used}", Cookie="", Accept="text/html")
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
        assert b"uncnn-daemon web printed" in answer.body


def test_who_guesses_waits(page: ServedPage) -> None:
    statuses = [page.ask("GET", f"/enter?code={number}").status for number in range(8)]
    assert statuses == [401] * 5 + [429] * 3


def test_a_browser_that_looks_ahead_does_not_use_a_link_up(page: ServedPage) -> None:
    code = page.site.sessions.new_code()
    assert page.ask("HEAD", f"/enter?code={code}").status in {401, 405}
    assert page.ask("GET", f"/enter?code={code}", Sec_Purpose="prefetch").status == 401
    page.enter(code)


def test_sessions_are_listed_and_ended(page: ServedPage) -> None:
    other = page.enter(page.site.sessions.new_code())
    listed = page.ask("GET", "/sessions").body.decode()
    assert re.findall(r'id="session-(\d+)"', listed) == ["1", "2"]
    assert listed.count("this browser") == 1
    assert page.ask("POST", "/sessions/2/end", b"").status == 303
    assert page.ask("GET", "/", Cookie=other).status == 401
    assert page.ask("GET", "/").status == 200
    assert page.ask("POST", "/sessions/2/end", b"").status == 404


def test_a_link_for_another_browser_is_made(page: ServedPage) -> None:
    made = page.ask("POST", "/sessions/link", b"").body.decode()
    found = re.search(rf"http://{page.host}/enter\?code=([\w-]+)", made)
    assert found is not None
    page.enter(found[1])

"""The doors, as a real browser comes to them: other pages on this machine, or under a name that resolves to it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from browsing import ELSEWHERE, Visitor
from playwright.sync_api import expect
from served_page import ServedPage

pytestmark = pytest.mark.slow


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """Return the port of another server on this machine, with an empty page."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><link rel=icon href=data:,>")

        def log_message(self, *_words: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_name_that_was_made_to_resolve_to_this_machine_shows_nothing(page: ServedPage, visitor: Visitor) -> None:
    code = page.site.sessions.new_code()
    seen = visitor.enter(f"{ELSEWHERE}:{page.port}", code)
    expect(seen.locator("body")).to_contain_text("not reached under that address")
    expect(visitor.enter(page.host, code).locator("#drop-zone")).to_be_visible()  # under its own, with the same code
    visitor.forgive("421", ELSEWHERE, "Cross-Origin-Opener-Policy")  # heeded only where the address is trusted


@pytest.mark.parametrize("host", ["127.0.0.1", ELSEWHERE])
def test_a_page_elsewhere_changes_and_shows_nothing(
    page: ServedPage, visitor: Visitor, elsewhere: int, host: str
) -> None:
    """On the same address with another port the browser sends the cookie along: the doors keep it out all the same."""
    photo = page.until_done(page.put("a.jpg", b"unprotected")["id"])
    seen = visitor.open(page)
    seen.goto(f"http://{host}:{elsewhere}/")
    own = f"http://{page.host}"
    tried = [
        f"fetch('{own}/photos/forget', {{method: 'POST', mode: 'no-cors', credentials: 'include'}})",
        f"fetch('{own}/photos/b.jpg', {{method: 'PUT', credentials: 'include', body: 'b'}})",
        f"fetch('{own}/state.json', {{credentials: 'include'}}).then(answer => answer.text())",
    ]
    for script in tried:
        assert "a.jpg" not in seen.evaluate(f"{script}.then(String, String)")
    show = f"const i = new Image(); i.onload = () => done('shown'); i.onerror = () => done('not'); i.src = '{own}"
    assert seen.evaluate(f"new Promise(done => {{ {show}/static/icon.svg'; }})") == "not"
    with seen.expect_navigation():
        seen.evaluate(
            f"(() => {{ const f = document.createElement('form'); f.method = 'post'; f.action = '{own}/photos/forget';"
            " document.body.append(f); f.submit(); })()"
        )
    expect(seen.locator("body")).to_contain_text("A change must come from the page itself")
    assert [each["id"] for each in page.state()["photos"]] == [photo["id"]]
    visitor.faults.clear()  # that all of this failed is what the browser says

"""The doors, as a real browser comes to them: its own page is let through, other pages are not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_driver import Chromium, is_there
from served_page import ServedPage

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_there(), reason="needs chromium")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile", "--host-resolver-rules=MAP evil.example 127.0.0.1") as started:
        yield started


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """Return the port of another server on this machine, with an empty page."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_words: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def enter(browser: Chromium, page: ServedPage, host: str = "127.0.0.1") -> None:
    browser.go(f"http://{host}:{page.port}/enter?code={page.site.sessions.new_code()}")


def test_a_form_of_the_page_itself_is_taken_without_a_script(browser: Chromium, page: ServedPage) -> None:
    page.until_done(page.put("a.jpg", b"a photo")["id"])
    enter(browser, page)
    browser.until("document.querySelectorAll('#photos > li[data-status]').length === 1")
    browser.run("document.querySelector('#forget-all').submit()")
    page.until(lambda: page.state()["photos"] == [])
    browser.until("document.readyState === 'complete' && document.querySelectorAll('li[data-status]').length === 0")


def test_a_script_of_the_page_itself_drops_photos_and_hears_of_them(browser: Chromium, page: ServedPage) -> None:
    enter(browser, page)
    status = browser.run("fetch('/photos/a.jpg', {method: 'PUT', body: new Blob(['a photo'])}).then(a => a.status)")
    assert status == 201
    heard = "new Promise(done => { new EventSource('/events').addEventListener('changed', e => done(e.data)); })"
    assert '"version"' in browser.run(heard)


def test_every_page_keeps_to_its_policy(browser: Chromium, page: ServedPage) -> None:
    enter(browser, page)
    for path in ("/", "/today", "/held", "/health", "/sessions"):
        browser.go(f"http://{page.host}{path}")
    assert browser.logged == []
    browser.run("(() => { const i = new Image(); i.src = 'http://evil.example/'; document.body.append(i); })()")
    page.until(lambda: bool(browser.run("1")) and any("Content Security Policy" in each for each in browser.logged))


def test_a_name_that_was_made_to_resolve_to_this_machine_shows_nothing(browser: Chromium, page: ServedPage) -> None:
    enter(browser, page, "evil.example")
    assert "not reached under that address" in browser.run("document.body.textContent")


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
def test_a_page_elsewhere_changes_and_shows_nothing(
    browser: Chromium, page: ServedPage, elsewhere: int, host: str
) -> None:
    """On the same address with another port the browser sends the cookie along: the doors keep it out all the same."""
    photo = page.until_done(page.put("a.jpg", b"unprotected")["id"])
    own = f"http://{page.host}"
    show = f"const i = new Image(); i.onload = () => done('shown'); i.onerror = () => done('not'); i.src = '{own}"
    shows = f"new Promise(done => {{ {show}/static/icon.svg'; }})"
    enter(browser, page)
    assert browser.run(shows) == "shown"
    browser.go(f"http://{host}:{elsewhere}/")
    tried = [
        f"fetch('{own}/photos/forget', {{method: 'POST', mode: 'no-cors', credentials: 'include'}})",
        f"fetch('{own}/photos/b.jpg', {{method: 'PUT', credentials: 'include', body: 'b'}})",
        f"fetch('{own}/state.json', {{credentials: 'include'}}).then(answer => answer.text())",
    ]
    for script in tried:
        assert "a.jpg" not in str(browser.run(f"{script}.then(String, String)"))
    assert browser.run(shows) == "not"
    browser.run(
        f"(() => {{ const f = document.createElement('form'); f.method = 'post'; f.action = '{own}/photos/forget';"
        " document.body.append(f); f.submit(); })()"
    )
    browser.until(f"location.href.startsWith('{own}') && document.readyState === 'complete'")
    assert "A change must come from the page itself" in browser.run("document.body.textContent")
    assert [each["id"] for each in page.state()["photos"]] == [photo["id"]]

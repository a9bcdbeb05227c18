"""The stream of changes: every version is told, and it ends with its session."""

from __future__ import annotations

import http.client
import json

import pytest
from served_page import ServedPage

from uncnn.daemon.web import events


class Listener:
    """A browser that listens."""

    def __init__(self, page: ServedPage, cookie: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
        self.connection.request("GET", "/events", headers={"Host": page.host, "Cookie": cookie or page.cookie})
        self.answer = self.connection.getresponse()

    def next(self) -> int | None:
        """Return the next version, None once the stream ends."""
        while line := self.answer.readline():
            if line.startswith(b"data: "):
                return int(json.loads(line[6:])["version"])
        return None


def test_a_change_is_heard_and_the_state_is_of_that_version(page: ServedPage) -> None:
    listener = Listener(page)
    assert listener.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    version = listener.next()
    assert version is not None
    photo = page.put("a.jpg", b"a photo")
    while page.photo(photo["id"])["status"] != "protected":
        newer = listener.next()
        assert newer is not None
        assert newer > version
        version = newer
        assert page.state()["version"] >= version
    listener.connection.close()


def test_the_stream_ends_with_its_session(page: ServedPage) -> None:
    other = page.enter(page.site.sessions.new_code())
    listener = Listener(page, other)
    listener.next()
    assert page.ask("POST", "/sessions/2/end", b"").status == 303
    page.site.changes.tell()
    assert listener.next() is None


def test_a_ping_notices_that_a_session_ended(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.1)
    listener = Listener(page, page.enter(page.site.sessions.new_code()))
    listener.next()
    page.site.sessions.end(2)
    assert listener.next() is None


def test_there_are_so_many_streams(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 2)
    listeners = [Listener(page) for _ in range(2)]
    page.until(lambda: page.site.changes.listeners == 2)
    assert Listener(page).answer.status == 429
    for listener in listeners:
        listener.connection.close()

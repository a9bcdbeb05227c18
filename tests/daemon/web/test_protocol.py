"""A request whose head does not come in time is not waited for."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import suppress

import pytest
from served_page import PATIENCE_SECONDS, ServedPage

from uncnn.daemon.web import protocol


@pytest.fixture
def page(standing_page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> ServedPage:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    return standing_page


@pytest.mark.parametrize("raw", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(page: ServedPage, raw: bytes) -> None:
    assert page.say(raw) == b""


def test_the_next_head_of_a_connection_is_no_exception(page: ServedPage) -> None:
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE_SECONDS) as opened:
        opened.sendall(f"GET /static/icon.svg HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
        said = b""
        while not said.endswith(b"</svg>\n"):
            said += opened.recv(65536)
        began = time.monotonic()
        opened.sendall(b"GET / HTTP/1.1\r\nX: ")
        with suppress(ConnectionError):
            assert opened.recv(65536) == b""
    assert time.monotonic() - began >= 0.2, "it was waited for a little"


def test_a_connection_whose_request_is_being_answered_stays(page: ServedPage) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    connection.request("GET", "/events", headers={"Host": page.host, "Cookie": page.cookie})
    answer = connection.getresponse()
    assert answer.readline() == b"retry: 1000\n"
    time.sleep(3 * protocol.HEAD_SECONDS)
    page.site.changes.tell()
    lines = [answer.readline() for _ in range(8)]
    assert lines.count(b"event: changed\n") == 2
    connection.close()


def test_a_browser_that_takes_nothing_of_an_answer_is_let_go_of(
    standing_page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = standing_page
    monkeypatch.setattr(protocol, "SEND_SECONDS", 0.3)
    photo = page.until_done(page.put("a.jpg", b"a photo" + bytes(30_000_000))["id"])
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE_SECONDS) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = f"GET /photos/{photo['id']}/cloaked HTTP/1.1\r\nHost: {page.host}\r\nCookie: {page.cookie}\r\n\r\n"
        opened.sendall(head.encode())
        got = 0
        with suppress(ConnectionError):
            got += len(opened.recv(1))  # the answer has begun: before that, the server may not know of the connection
            page.until(lambda: not page.server.server_state.connections)
            while part := opened.recv(1 << 20):
                got += len(part)
    assert got < 30_000_000
    page.ask("POST", f"/photos/{photo['id']}/forget", b"")

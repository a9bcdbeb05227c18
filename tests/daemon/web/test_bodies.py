"""What comes too slowly, or is no form, is ended by the real server."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from served_page import PATIENCE_SECONDS, ServedPage

from uncnn.daemon.web import bodies


def head(page: ServedPage, length: int, target: str = "PUT /photos/a.jpg") -> bytes:
    return (
        f"{target} HTTP/1.1\r\nHost: {page.host}\r\nOrigin: http://{page.host}\r\nCookie: {page.cookie}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir())


@pytest.mark.parametrize("target", ["PUT /photos/a.jpg", "POST /photos/{}/retry"])
def test_a_body_that_stops_is_not_waited_for(page: ServedPage, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    photo = page.put("b.jpg", b"a photo")["id"]
    page.until_done(photo)
    monkeypatch.setattr(bodies, "PIECE_SECONDS", 0.2)
    assert page.say(head(page, 1000, target.format(photo)) + b"abc").split(b" ")[1] == b"408"
    assert not list(page.folder.glob("*.part"))


def test_a_body_that_drips_is_ended(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, and all of them together never would."""
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(bodies, "LEAST_BYTES_A_SECOND", 1e6)
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE_SECONDS) as opened:
        opened.sendall(head(page, 10**6))
        deadline, said = time.monotonic() + PATIENCE_SECONDS, b""
        opened.settimeout(0.05)
        while not said and time.monotonic() < deadline:
            try:
                opened.sendall(b"a")
                said = opened.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:  # it was closed between the two
                break
    assert said.split(b" ")[1] == b"408"
    page.until(lambda: nothing_left(page.folder))


def test_a_browser_that_goes_away_leaves_nothing(page: ServedPage) -> None:
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE_SECONDS) as opened:
        opened.sendall(head(page, 10**6) + b"abc")
        page.until(lambda: not nothing_left(page.folder))
    page.until(lambda: nothing_left(page.folder))
    assert page.state()["photos"] == []


def test_what_is_no_form_is_refused(page: ServedPage) -> None:
    photo = f"/photos/{page.put('a.jpg', b'a photo')['id']}/retry"
    assert page.ask("POST", photo, b"{}", Content_Type="application/json").status == 415
    assert page.ask("POST", photo, b"\xff\xfe=1").status == 400
    assert page.ask("POST", photo, b"&".join([b"a=1"] * 500)).status == 400

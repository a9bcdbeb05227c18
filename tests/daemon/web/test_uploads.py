"""Photos come in raw, whole, in number and size that there is room for, under names that are no paths."""

from __future__ import annotations

import hashlib
import stat
from urllib.parse import quote

import pytest
from served_page import ServedPage

from uncnn.daemon.web import dropped, uploads
from uncnn.daemon.web.uploads import plain_name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\me.png", "me.png"),
        ("", "photo"),
        ("..", "photo"),
        ("a/", "photo"),
        ("a\nb\x00.jpg", "ab.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("Fête 🎉.jpg", "Fête 🎉.jpg"),
        (" .hidden.jpg ", ".hidden.jpg"),
    ],
)
def test_a_name_is_for_people_alone(said: str, name: str) -> None:
    assert plain_name(said) == name


def test_a_long_name_keeps_its_ending() -> None:
    name = plain_name("ü" * 500 + ".jpeg")
    assert name.startswith("ü")
    assert name.endswith("ü.jpeg")
    assert len(name.encode()) <= 200
    assert plain_name("a." + "b" * 500) == "photo"


def test_a_photo_lies_in_a_private_file(page: ServedPage) -> None:
    content = b"slow photo" + bytes(3_000_000)
    known = page.put(quote("../Fête 🎉.jpg", safe=""), content)
    assert (known["name"], known["size"]) == ("Fête 🎉.jpg", len(content))
    assert known["sha256"] == hashlib.sha256(content).hexdigest()
    (file,) = page.folder.iterdir()
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Fête" not in file.name


def test_an_empty_photo_is_refused(page: ServedPage) -> None:
    assert page.ask("PUT", "/photos/a.jpg", b"").status == 400
    assert page.state()["photos"] == []


def test_a_photo_that_is_too_large_is_cut_off(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SIZE_LIMIT", 100_000)
    assert page.ask("PUT", "/photos/a.jpg", bytes(100_001)).status == 413
    chunked = b"".join(b"%x\r\n" % 50_000 + bytes(50_000) + b"\r\n" for _ in range(3))
    raw = (
        f"PUT /photos/a.jpg HTTP/1.1\r\nHost: {page.host}\r\nOrigin: http://{page.host}\r\nCookie: {page.cookie}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    assert page.status(raw.encode() + chunked) in {413, 0}
    page.until(lambda: not list(page.folder.iterdir()))
    assert page.state()["photos"] == []


def test_so_many_photos_are_taken(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "MOST_PHOTOS", 2)
    first = page.put("a.jpg", b"a photo")
    page.put("b.jpg", b"b photo")
    answer = page.ask("PUT", "/photos/c.jpg", b"c photo")
    assert answer.status == 507
    assert "too many photos" in answer.json()["refused"]
    page.ask("POST", f"/photos/{first['id']}/forget", b"")
    page.put("c.jpg", b"c photo")


def test_so_many_bytes_are_taken(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "MOST_BYTES", 1000)
    page.put("a.jpg", b"slow" + bytes(600))
    assert page.ask("PUT", "/photos/b.jpg", bytes(600)).status == 507
    assert len(list(page.folder.iterdir())) == 1


def test_the_disk_is_not_filled(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LEAST_FREE", 1 << 62)
    assert page.ask("PUT", "/photos/a.jpg", b"a photo").status == 507
    assert not list(page.folder.iterdir())


@pytest.mark.parametrize("query", ["?policy=unknown", "?strength=unknown", "?policy=everyday&strength=%00"])
def test_a_choice_that_there_is_not_is_refused(page: ServedPage, query: str) -> None:
    assert page.ask("PUT", f"/photos/a.jpg{query}", b"a photo").status == 400
    assert not list(page.folder.iterdir())

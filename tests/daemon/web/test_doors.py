"""Forged requests: every one is refused by the real server, and says nothing of the file system."""

from __future__ import annotations

import http.client
import os
from pathlib import Path

import pytest
from served_page import Answer, ServedPage

from uncnn.daemon.web.doors import BORNE, LONGEST_BODY, LONGEST_PATH
from uncnn.daemon.web.protocol import LONGEST_HEAD

EVERY_PAGE = ("/", "/today", "/held", "/health", "/sessions", "/state.json", "/events", "/photos.zip")

FORGED_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1.evil.example:{port}",
    "user@127.0.0.1:{port}",
    "127.1:{port}",
    "0.0.0.0:{port}",
    "[::1]:{port}",
    "localhost",
    "localhost.:{port}",
    "127.0.0.1:{port},evil.example",
)

FORGED_ORIGINS: tuple[dict[str, str], ...] = (
    {"Origin": "", "Sec_Fetch_Site": ""},
    {"Origin": "null", "Sec_Fetch_Site": ""},
    {"Origin": "http://evil.example", "Sec_Fetch_Site": ""},
    {"Origin": "https://127.0.0.1:{port}", "Sec_Fetch_Site": ""},
    {"Origin": "http://127.0.0.1", "Sec_Fetch_Site": ""},
    {"Origin": "http://127.0.0.1:{port}.evil.example", "Sec_Fetch_Site": ""},
    {"Origin": "http://127.0.0.1:{port}/", "Sec_Fetch_Site": ""},
    {"Origin": "http://127.0.0.1:1", "Sec_Fetch_Site": "same-site"},
    {"Origin": "", "Sec_Fetch_Site": "same-site"},
    {"Origin": "", "Sec_Fetch_Site": "cross-site"},
    {"Origin": "", "Sec_Fetch_Site": "none"},
    {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"},
    {"Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
    {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    {"Origin": "null", "Sec_Fetch_Site": "same-site"},
    {"Origin": "", "Sec_Fetch_Site": "", "Referer": "http://127.0.0.1:{port}/"},
)

FORGED_COOKIES = (
    "",
    "uncnn-{port}=",
    "uncnn-{port}=guess",
    "uncnn={token}",
    "uncnn-1={token}",
    "other=1; uncnn-{port}x={token}",
    "uncnn-{port}={token}; uncnn-{port}=guess",
    "uncnn-{port}={token}x",
)

FORGED_PATHS = (
    "/../../etc/passwd",
    "/static/../server.py",
    "/static/..%2fserver.py",
    "/static/%2e%2e/server.py",
    "/static//etc/passwd",
    "/static/page.css%00.js",
    "/static/",
    "/photos/../../etc/passwd",
    "/photos/..%2f..%2fetc%2fpasswd/original/small.jpg",
    "/photos/aaaaaaaaaaaaaaaaaaaaaaaa/original/small.jpg",
    "/photos/aaaaaaaaaaaaaaaaaaaaaaaa/cloaked",
    "/nowhere",
    "//evil.example/",
)


@pytest.fixture
def page(standing_page: ServedPage) -> ServedPage:
    return standing_page


def refused(answer: Answer, *statuses: int) -> None:
    """Check that a request was refused as all are."""
    assert answer.status in statuses, answer
    for name, value in BORNE.items():
        assert answer.headers[name.lower()] == value
    said = answer.body.decode()
    assert not [part for part in (os.fspath(Path.cwd()), "Traceback", ".py", "/tmp", "/home") if part in said], said


@pytest.mark.parametrize("host", FORGED_HOSTS)
def test_another_host_is_refused(page: ServedPage, host: str) -> None:
    refused(page.ask("GET", "/state.json", Host=host.format(port=page.port)), 421)


def test_a_request_without_a_host_or_with_two_is_refused(page: ServedPage) -> None:
    cookie = page.cookie.encode()
    own = page.host.encode()
    for raw in (
        b"GET / HTTP/1.0\r\nCookie: " + cookie + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + cookie + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + own + b"\r\nHost: evil.example\r\nCookie: " + cookie + b"\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: " + own + b"\r\nCookie: " + cookie + b"\r\n\r\n",
    ):
        assert page.status(raw) in {400, 404, 421}, raw


@pytest.mark.parametrize("origin", FORGED_ORIGINS)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/photos/a.jpg"), ("POST", "/photos/forget")])
def test_a_change_from_elsewhere_is_refused(page: ServedPage, origin: dict[str, str], method: str, path: str) -> None:
    named = {name: value.format(port=page.port) for name, value in origin.items()}
    refused(page.ask(method, path, b"photo", **named), 403)
    assert page.state()["photos"] == []


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": ""},
        {"Origin": "http://localhost:{port}", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_a_change_from_the_page_itself_is_taken(page: ServedPage, origin: dict[str, str]) -> None:
    named = {name: value.format(port=page.port) for name, value in origin.items()}
    assert page.ask("POST", "/photos/forget", b"", **named).status == 204


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_shows_nothing_of_this_one(page: ServedPage, site: str) -> None:
    """As a picture, a script or a style sheet; it may lead here, where the cookie of a stranger's link is not sent."""
    refused(page.ask("GET", "/state.json", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors"), 403)
    assert page.ask("GET", "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 200


@pytest.mark.parametrize("cookie", FORGED_COOKIES)
def test_without_a_session_nothing_is_answered(page: ServedPage, cookie: str) -> None:
    forged = cookie.format(port=page.port, token=page.cookie.partition("=")[2])
    for path in EVERY_PAGE:
        refused(page.ask("GET", path, Cookie=forged), 401)
    refused(page.ask("PUT", "/photos/a.jpg", b"photo", Cookie=forged), 401)
    refused(page.ask("POST", "/sessions/link", b"", Cookie=forged), 401)


@pytest.mark.parametrize("path", FORGED_PATHS)
def test_no_path_of_a_browser_is_opened(page: ServedPage, path: str) -> None:
    answer = page.ask("GET", path)
    refused(answer, 404, 405)


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods_are_refused(page: ServedPage, method: str) -> None:
    refused(page.ask(method, "/", Origin=f"http://{page.host}"), 405)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/enter"),
        ("POST", "/static/page.css"),
        ("PUT", "/state.json"),
        ("DELETE", "/photos/forget"),
        ("GET", "/photos/forget"),
        ("GET", "/sessions/link"),
        ("GET", "/sessions/1/end"),
    ],
)
def test_a_method_is_taken_only_where_it_belongs(page: ServedPage, method: str, path: str) -> None:
    refused(page.ask(method, path, b"" if method != "GET" else None), 404, 405)


def test_a_reading_request_with_a_body_is_refused(page: ServedPage) -> None:
    refused(page.ask("GET", "/", b"body"), 413)
    refused(page.ask("HEAD", "/", Transfer_Encoding="chunked"), 413)


def test_what_is_too_large_is_refused_before_it_is_read(page: ServedPage) -> None:
    refused(page.ask("POST", "/photos/forget", Content_Length=str(LONGEST_BODY + 1)), 413)
    refused(page.ask("PUT", "/photos/a.jpg", Content_Length=str(10**12)), 413)
    refused(page.ask("GET", "/" + "a" * LONGEST_PATH), 404)
    start = f"GET / HTTP/1.1\r\nHost: {page.host}\r\n".encode()
    assert page.status(start + b"X: " + b"a" * (2 * LONGEST_HEAD)) in {400, 0}
    assert page.status(b"GET /" + b"a" * (2 * LONGEST_HEAD)) in {400, 0}


def test_a_body_of_unsaid_length_is_cut_off(page: ServedPage) -> None:
    head = (
        f"POST /photos/forget HTTP/1.1\r\nHost: {page.host}\r\nOrigin: http://{page.host}\r\nCookie: {page.cookie}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n" % LONGEST_BODY + b"a" * LONGEST_BODY + b"\r\n"
    photo = f"/photos/{page.put('a.jpg', b'a photo')['id']}"
    raw = head.replace("/photos/forget", f"{photo}/retry").encode() + 2 * chunk
    assert page.status(raw) in {413, 0}
    page.ask("POST", f"{photo}/forget", b"")


def test_two_lengths_are_refused(page: ServedPage) -> None:
    raw = (
        f"POST /photos/forget HTTP/1.1\r\nHost: {page.host}\r\nOrigin: http://{page.host}\r\nCookie: {page.cookie}\r\n"
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"
    )
    assert page.status(raw.encode()) in {400, 0}


def test_every_answer_bears_what_keeps_it_in(page: ServedPage) -> None:
    for path in (*EVERY_PAGE[:-2], "/static/page.css", "/nowhere"):
        answer = page.ask("GET", path)
        for name, value in BORNE.items():
            assert answer.headers[name.lower()] == value, path
        assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_the_policy_lets_in_nothing_but_the_page_itself() -> None:
    policy = dict(each.strip().partition(" ")[::2] for each in BORNE["Content-Security-Policy"].split(";"))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy.values()) == {"'self'", "'none'"}


def test_a_refused_request_ends_its_connection(page: ServedPage) -> None:
    """Whatever it would still send is not read."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    connection.putrequest("PUT", "/photos/a.jpg", skip_host=True)
    connection.putheader("Host", "evil.example")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (421, "close")
    connection.close()

"""The page on a socket that somebody else listens on: systemd's own activator, the real command, real requests."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uncnn.daemon.web.activation import handed_over

ACTIVATE = shutil.which("systemd-socket-activate")
PROGRAM = Path(sys.executable).with_name("uncnn-daemon")


def answer(port: int, path: str) -> http.client.HTTPResponse:
    deadline = time.monotonic() + 120
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request("GET", path, headers={"Sec-Fetch-Site": "none"})
            return connection.getresponse()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed: apt install systemd")
def test_the_page_is_started_by_the_first_browser_and_let_in_by_a_link_of_another_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "HOME": str(tmp_path), "UNCNN_STATE": str(tmp_path / "state")}
    command = [str(ACTIVATE), f"--listen=127.0.0.1:{port}", *(f"--setenv={each}" for each in environment)]
    page = subprocess.Popen([*command, PROGRAM, "web"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert answer(port, "/").status == 401
        said = subprocess.run(
            [PROGRAM, "web", "--link", "--port", str(port)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(rf"http://127\.0\.0\.1:{port}(/enter\?code=\S+)", said)
        assert found, said
        assert answer(port, found[1]).status == 303
        assert answer(port, found[1]).status == 401
    finally:
        page.send_signal(signal.SIGTERM)
        out, _ = page.communicate(timeout=60)
    assert out == b"", "nobody reads a link in a log"


@pytest.mark.parametrize(
    ("pid", "count"), [("", ""), ("", "1"), ("1", "1"), ("{own}", "2"), ("{own}", "0"), ("{own}", "x")]
)
def test_what_is_handed_to_another_process_is_not_taken(monkeypatch: pytest.MonkeyPatch, pid: str, count: str) -> None:
    monkeypatch.setenv("LISTEN_PID", pid.format(own=os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    assert handed_over() is None
    assert "LISTEN_FDS" not in os.environ

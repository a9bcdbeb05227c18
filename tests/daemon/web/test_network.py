"""The page in a network: another address, another link, and whoever names neither is refused."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.network import NetworkError, own_address

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")


def address() -> str:
    try:
        return own_address()
    except NetworkError as error:
        pytest.skip(str(error))


@contextmanager
def serving(home: Path, *options: str) -> Iterator[str]:
    """Serve a page, and yield what it says."""
    environment = {**os.environ, "HOME": str(home), "UNCNN_STATE": str(home / "state")}
    command = [PROGRAM, "web", "--port", "0", *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        said = ""
        while "127.0.0.1" not in said:
            line = page.stdout.readline()
            assert line, "it ended"
            said += line
        try:
            yield said
        finally:
            page.send_signal(signal.SIGTERM)


def status(to: str, port: int, path: str, host: str) -> int:
    connection = http.client.HTTPConnection(to, port, timeout=60)
    connection.request("GET", path, headers={"Host": host})
    return connection.getresponse().status


def test_each_address_has_a_link_and_a_host_of_its_own(tmp_path: Path) -> None:
    lan = address()
    with serving(tmp_path, "--lan") as said:
        ((port, link),) = re.findall(rf"http://{re.escape(lan)}:(\d+)(/enter\?code=\S+)", said)
        ((same, own),) = re.findall(r"http://127\.0\.0\.1:(\d+)(/enter\?code=\S+)", said)
        assert port == same
        assert "not encrypted" in said
        assert status(lan, int(port), "/", f"{lan}:{port}") == 401
        assert status(lan, int(port), "/", f"rebound.example:{port}") == 421
        assert status(lan, int(port), link, f"{lan}:{port}") == 303
        assert status("127.0.0.1", int(port), own, f"127.0.0.1:{port}") == 303


def test_without_lan_no_other_address_is_listened_on(tmp_path: Path) -> None:
    lan = address()
    with serving(tmp_path) as said:
        (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", said)
        assert lan not in said
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((lan, int(port)), timeout=60)


def test_a_machine_in_no_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    with pytest.raises(NetworkError, match="--lan: this machine is in no network"):
        own_address()


def test_its_address_is_one_of_the_hosts_and_the_one_for_others() -> None:
    found = Addresses.of(8487, (), "192.0.2.7")
    assert "192.0.2.7:8487" in found.hosts
    assert "http://192.0.2.7:8487" in found.origins
    assert (found.shown, found.elsewhere) == ("http://192.0.2.7:8487", True)
    assert found.also == "http://127.0.0.1:8487"

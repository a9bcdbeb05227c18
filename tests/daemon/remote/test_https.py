"""Servers reached by https://: real TLS on the loopback, real processes behind it."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from running import descendants

from uncnn.daemon.commands.server_access import listen_for_clients
from uncnn.daemon.config.servers import Address
from uncnn.daemon.output import ERROR, OK
from uncnn.daemon.remote import listening, tls
from uncnn.daemon.remote import servers as servers_module
from uncnn.daemon.remote.access import AccessError, AccessKey, keep_key, known_key
from uncnn.daemon.remote.certificate import identity
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.hello import Hello
from uncnn.daemon.remote.listening import listen
from uncnn.daemon.remote.packing import pack_faces, unpack_patches
from uncnn.daemon.remote.servers import Answer, Servers, ServersUnavailable
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.engine.patches import FaceInPhoto, cut_faces
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.registry import make_budget

pytest.importorskip("cryptography")

SERVER = Path(__file__).parents[1] / "spawned" / "https_server.py"
PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
NAME = "mobilefacenet-foamliu"
FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
SENT = Frame({"change": {}}, b"faces" * 100_000)
PATIENCE_SECONDS = 120


class Listening:
    """A process that listens, and what it says."""

    def __init__(self, *command: object) -> None:
        self.process = subprocess.Popen([str(each) for each in command], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.until(r"listening on port (\d+)")[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)
        return found

    def alone(self) -> bool:
        """Return whether it has no process of a client."""
        return not descendants(self.process.pid)


@contextmanager
def listening_as(name: str, data: Path, at_once: int = 2) -> Iterator[Listening]:
    served = Listening(sys.executable, SERVER, data, name, at_once)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.wait()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a server."""
    return tmp_path_factory.mktemp("there")


@contextmanager
def connected(port: int, here: Path, key: AccessKey | None, also: tuple[int, ...] = ()) -> Iterator[Servers]:
    addresses = [Address.parse(f"https://127.0.0.1:{each}") for each in (port, *also)]
    for address in addresses:
        if key is not None:
            keep_key(here, address, key)
    known = Servers(addresses, Hello(surrogates=(("one", "0"),)), here)
    try:
        yield known
    finally:
        known.close()


def ask(known: Servers) -> Answer:
    return known.changed(SENT, lambda *_step: None, PATIENCE_SECONDS)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_access_key_says_the_certificate_and_the_token(there: Path, tmp_path: Path) -> None:
    key = identity(there).key
    assert AccessKey.parse(f" {key.text}\r\n") == key
    assert AccessKey.parse(f"{key.text[:40]}\n  {key.text[40:80]} {key.text[80:]}") == key, "pasted from broken lines"
    assert identity(there).key == key, "made once"
    folder = there / "serve"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    other = identity(tmp_path).key
    assert other.certificate != key.certificate
    assert other.token != key.token
    new = identity(tmp_path, new=True).key
    assert new.certificate != other.certificate
    assert new.token != other.token


@pytest.mark.parametrize("text", ["", "uncnn1-", "secret", "uncnn1-secret", "uncnn1-" + "A" * 85, "A" * 86, "uncnn1-ä"])
def test_what_is_no_access_key_is_not_repeated(text: str) -> None:
    with pytest.raises(AccessError, match="serve --access-key") as failure:
        AccessKey.parse(text)
    assert "secret" not in str(failure.value)


def test_keys_are_kept_for_each_server_and_for_the_owner_alone(tmp_path: Path) -> None:
    one, other = Address.parse("https://Box"), Address.parse("https://box:1")
    key, second = AccessKey(b"a" * 32, b"b" * 32), AccessKey(b"c" * 32, b"d" * 32)
    assert known_key(tmp_path, one) is None
    keep_key(tmp_path, one, key)
    keep_key(tmp_path, other, second)
    assert known_key(tmp_path, Address.parse("https://box:8488/")) == key, "the usual port"
    assert known_key(tmp_path, other) == second
    keep_key(tmp_path, other, key)
    assert known_key(tmp_path, other) == key
    assert (tmp_path / "servers.json").stat().st_mode & 0o777 == 0o600
    for content in (b"{", b"[]", b'{"box:8488": 3}', b"[" * 100_000):
        (tmp_path / "servers.json").write_bytes(content)
        with pytest.raises(AccessError, match=r"servers\.json"):
            known_key(tmp_path, one)


@pytest.mark.parametrize("part", ["identity.pem", "token"])
def test_a_broken_identity_is_said_and_not_replaced(part: str, tmp_path: Path) -> None:
    identity(tmp_path)
    (tmp_path / "serve" / part).write_bytes(b"broken")
    with pytest.raises(AccessError, match=f"{part} is of no use .*--new-access-key"):
        identity(tmp_path).context()
    assert (tmp_path / "serve" / part).read_bytes() == b"broken"
    identity(tmp_path, new=True).context()


def test_faces_go_there_and_back_and_the_connection_stays(there: Path, tmp_path: Path) -> None:
    with listening_as("echo-load-10", there) as served, connected(served.port, tmp_path, identity(there).key) as known:
        answer = ask(known)
        assert answer.frame.content == SENT.content
        assert answer.notes == ("a note",)
        link = answer.server.link
        assert ask(known).server.link is link
        served.until("client 1 of 2")
        known.close()
        served.until("it ended")
        until(served.alone)


def test_who_has_another_token_is_let_in_by_nobody(there: Path, tmp_path: Path) -> None:
    key = identity(there).key
    with listening_as("echo", there) as served:
        with (
            connected(served.port, tmp_path, AccessKey(key.certificate, b"x" * 32)) as known,
            pytest.raises(ServersUnavailable, match="another access key than the one that is kept here"),
        ):
            ask(known)
        served.until("401 another access key")
        assert served.alone(), "no process was begun"
        with connected(served.port, tmp_path / "new", None) as known:
            (tmp_path / "new").mkdir()
            with pytest.raises(ServersUnavailable, match="not kept on this machine: uncnn-daemon config add-server"):
                ask(known)


def test_another_machine_is_told_nothing(there: Path, tmp_path: Path) -> None:
    """A machine that answers in the server's place, with a certificate of its own, gets no byte of what is said."""
    got, context = bytearray(), identity(tmp_path / "impostor-data").context()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            met, _ = listener.accept()
            with suppress(OSError), context.wrap_socket(met, server_side=True) as opened:
                while part := opened.recv(1000):
                    got.extend(part)

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            connected(listener.getsockname()[1], tmp_path, identity(there).key) as known,
            pytest.raises(ServersUnavailable, match="another machine answers there"),
        ):
            ask(known)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    assert got == b""


def test_what_is_no_server_is_said(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = identity(there).key
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(tls, "CONNECT_SECONDS", 1.0)
        with connected(port, tmp_path, key) as known, pytest.raises(ServersUnavailable, match="no answer in 1 s"):
            ask(known)
        monkeypatch.setattr(tls, "CONNECT_SECONDS", 60.0)
        thread = threading.Thread(target=_talk, args=(listener, b"SSH-2.0-OpenSSH_9.2\r\n"))
        thread.start()
        with connected(port, tmp_path, key) as known, pytest.raises(ServersUnavailable, match=r"TLS 1\.3"):
            ask(known)
        thread.join(PATIENCE_SECONDS)
    with (
        connected(port, tmp_path, key) as known,
        pytest.raises(
            ServersUnavailable, match=rf":{port}: not reached \(Connection refused\): .*serve --listen {port} does"
        ),
    ):
        ask(known)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(111, "Connect call failed ('127.0.0.1', 8488)"), "Connection refused"),
        (
            OSError("Multiple exceptions: [Errno 101] Connect call failed ('::1', 1), [Errno 111] Connect call failed"),
            "Connection refused",
        ),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words(error: OSError, words: str) -> None:
    assert tls.plain_words(error) == words


def test_a_port_that_is_taken_is_said_with_the_remedy(there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert listen(identity(there), ["127.0.0.1"], port, "cpu", 1) == ERROR
    words = f"uncnn-daemon: port {port} of 127.0.0.1 cannot be listened at: Address already in use; end what listens "
    assert capfd.readouterr().err.startswith(words)


def test_the_access_key_is_shown_on_a_terminal_once_it_listens(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert listen_for_clients(there, f"127.0.0.1:{taken.getsockname()[1]}", "cpu", 1) == ERROR
    assert capsys.readouterr().out == "", "of a server that there is not"

    async def stopped(_event: object) -> None:
        return

    monkeypatch.setattr("asyncio.Event.wait", stopped)
    assert listen_for_clients(there, "127.0.0.1:0", "cpu", 1) == OK
    said = capsys.readouterr()
    (port,) = re.findall(r"listening on port (\d+)", said.err)
    assert f":{port}\nIt asks for this access key, which is a secret: {identity(there).key.text}\n" in said.out


def _talk(listener: socket.socket, words: bytes) -> None:
    for _ in range(2):  # the first one is who waited in vain
        met, _ = listener.accept()
        with met, suppress(OSError):
            met.sendall(words)
            met.recv(100)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("dies", "in the middle of a frame"), ("garbage", "no frame of uncnn's"), ("refuses", "it will not")],
)
def test_where_one_fails_another_is_asked(name: str, reason: str, there: Path, tmp_path: Path) -> None:
    key = identity(there).key
    with listening_as(f"{name}-load-0", there) as bad:
        with connected(bad.port, tmp_path, key) as known, pytest.raises(ServersUnavailable, match=reason):
            ask(known)
        with listening_as("echo-load-90", there) as good, connected(bad.port, tmp_path, key, (good.port,)) as known:
            assert ask(known).server.address.port == good.port


def test_one_that_stands_still_is_let_go(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers_module, "HEDGE_SECONDS", 0.5)
    key = identity(there).key
    with (
        listening_as("silent-load-0", there) as bad,
        listening_as("echo-load-90", there) as good,
        connected(bad.port, tmp_path, key, (good.port,)) as known,
    ):
        known.connect()
        until(lambda: all(each.link is not None for each in known._servers))
        assert ask(known).server.address.port == good.port
        bad.until("it ended")
        until(bad.alone)


@pytest.mark.slow
def test_a_link_that_is_lost_again_and_again_is_made_anew(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers_module, "REST_SECONDS", 0.0)
    with listening_as("echo", there) as served, connected(served.port, tmp_path, identity(there).key) as known:
        for _ in range(10):
            answer = ask(known)
            assert answer.frame.content == SENT.content
            (process,) = descendants(served.process.pid)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            link = answer.server.link
            assert link is not None
            with pytest.raises(ServersUnavailable):
                ask(known)
            until(served.alone)


def test_no_more_clients_than_there_is_room_for(there: Path, tmp_path: Path) -> None:
    key = identity(there).key
    with listening_as("echo", there, at_once=1) as served, connected(served.port, tmp_path, key) as first:
        ask(first)
        with connected(served.port, tmp_path, key) as second:
            with pytest.raises(ServersUnavailable, match="503 1 clients are served already"):
                ask(second)
            first.close()
            served.until("it ended")
        with connected(served.port, tmp_path, key) as third:
            assert ask(third).frame.content == SENT.content


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (b"POST /faces HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (b"GET /faces HTTP/1.1\r\nHost: x\r\nUpgrade: uncnn\r\nConnection: Upgrade\r\n\r\n", b"HTTP/1.1 401 "),
        (b"GET /faces HTTP/1.1\r\nAuthorization: Bearer \r\n\r\n", b"HTTP/1.1 401 "),
        (b"GET /faces HTTP/1.1\r\nAuthorization: Bearer \xc3\xa4\r\n\r\n", b"HTTP/1.1 401 "),
        (b"\r\n\r\n", b""),
        (b"\x00\xff\r\n\r\n", b""),
        (b"A" * 20_000, b""),
        (b"GET /faces HTTP/1.1\r\n" + b"a: b\r\n" * 2_000 + b"\r\n", b""),
        (b"GET /faces HTTP/1.1\r\n" + b"a: b\r\n" * 120 + b"\r\n", b""),
    ],
)
def test_a_stranger_gets_an_answer_of_one_line_or_none(request_: bytes, answer: bytes, stranger: Listening) -> None:
    got = b""
    with (
        socket.create_connection(("127.0.0.1", stranger.port), PATIENCE_SECONDS) as opened,
        tls.client_context().wrap_socket(opened, server_hostname="x") as secured,
    ):
        with suppress(OSError):
            secured.sendall(request_)
        with suppress(OSError):
            while part := secured.recv(10_000):
                got += part
    assert got.startswith(answer)
    assert len(got) < 200
    assert answer or not got
    assert stranger.alone()
    assert "Traceback" not in stranger.said


@pytest.fixture(scope="module")
def stranger(there: Path) -> Iterator[Listening]:
    with listening_as("echo", there) as served:
        yield served


def test_who_says_nothing_is_waited_for_a_while_only(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listening.HEAD_SECONDS == 10.0
    with listening_as("echo", there) as served, socket.create_connection(("127.0.0.1", served.port), 60) as silent:
        with socket.create_connection(("127.0.0.1", served.port), 60) as slow:
            secured = tls.client_context().wrap_socket(slow, server_hostname="x")
            secured.sendall(b"GET /faces")
            with connected(served.port, tmp_path, identity(there).key) as known:
                assert ask(known).frame.content == SENT.content, "others are served meanwhile"
            assert secured.recv(100) == b""
        with suppress(ConnectionError):
            assert silent.recv(100) == b""


def test_an_older_tls_is_refused(stranger: Listening) -> None:
    context = tls.client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", stranger.port), PATIENCE_SECONDS) as opened,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(opened, server_hostname="x")


def test_sigterm_ends_it_and_the_processes_of_its_clients(there: Path, tmp_path: Path) -> None:
    with listening_as("echo", there) as served, connected(served.port, tmp_path, identity(there).key) as known:
        ask(known)
        (process,) = descendants(served.process.pid)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(PATIENCE_SECONDS) == 0
        until(lambda: not Path(f"/proc/{process}").exists())
        assert "Traceback" not in served.said
        assert "Exception" not in served.said


@pytest.mark.slow
def test_real_faces_are_changed_by_the_real_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skimage = pytest.importorskip("skimage")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    printed = subprocess.run([PROGRAM, "serve", "--access-key"], check=True, capture_output=True, text=True).stdout
    key = AccessKey.parse(printed)
    served = Listening(PROGRAM, "serve", "--listen", "127.0.0.1:0", "--device", "cpu")
    address = Address.parse(f"https://127.0.0.1:{served.port}")
    keep_key(tmp_path, address, key)
    sent = cut_faces([FaceInPhoto(skimage.data.astronaut(), FACE, 5)])
    work = {"attack": "pgd", "parameters": {"steps": 2}, "strength": "balanced"}
    known = Servers([address], Hello(surrogates=((NAME, read_card(EMBEDDED / NAME).sha256),)), tmp_path)
    steps = list[tuple[int, int]]()
    try:
        answer = known.changed(Frame({"change": work}, pack_faces(sent)), lambda *step: steps.append(step), 240)
        (patch,) = unpack_patches(answer.frame.content, sent, make_budget("balanced", work["parameters"]))  # type: ignore[arg-type]
        assert np.abs(patch.change).max() > 1
        assert steps[-1] == (2, 2)
    finally:
        known.close()
        served.process.terminate()
        assert served.process.wait(PATIENCE_SECONDS) == 0
    busy = subprocess.run(
        [PROGRAM, "serve", "--listen", "no such place:1"], check=False, capture_output=True, text=True
    )
    assert busy.returncode == 2
    assert "write it as PORT or HOST:PORT" in busy.stderr

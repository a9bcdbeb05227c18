"""The control socket: commands at a real service, with processes of words, and peers that say what no command says."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from running import Running, descendants, is_reachable
from scene import Scene
from stub_engine import StubEngine, stub_for

from uncnn.daemon.commands.cloak import cloak_photos
from uncnn.daemon.commands.requests import reload, scan
from uncnn.daemon.config import Config, Models, Policy
from uncnn.daemon.control import address, reception, service_engine
from uncnn.daemon.control.address import connected, socket_file
from uncnn.daemon.control.messages import ASKED_OF_PROCESSES, Footing, Join, exchanged
from uncnn.daemon.control.service_engine import ServiceEngine, ServiceLost
from uncnn.daemon.control.shared_engine import EngineUnavailable, SharedEngine, Turns
from uncnn.daemon.explain.members import Member
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.ledger import State
from uncnn.daemon.output import BAD_CONFIGURATION, DEGRADED, ERROR, NOT_RUNNING, OK
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import (
    AttackChoice,
    Change,
    CutFaces,
    Describe,
    Explain,
    Judge,
    Look,
    Next,
    Portray,
    Review,
    Show,
)
from uncnn.daemon.protect.pipeline import terms_of
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import pack
from uncnn.daemon.settings import Settings

HEAD = struct.Struct("!II")


class Unneeded(StubEngine):
    """A command's own processes, that are not to be started."""

    @property
    def worker(self) -> Any:
        raise AssertionError("the command started a worker of its own")

    verifier = roster = worker


@dataclass
class Commands:
    """Commands on a scene in this process; what the service does for them is found in its processes' log."""

    scene: Scene
    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def own_processes(self, made: type[StubEngine]) -> None:
        self.patch.setattr("uncnn.daemon.settings.engine_for", lambda *given: made(*given[:4]))

    def put(self, name: str, content: str) -> Path:
        photo = self.scene.root / name
        photo.write_text(content)
        return photo

    def cloak(self, *photos: Path, device: str = "auto", verbose: bool = False) -> tuple[int, dict[str, str], str]:
        self.capsys.readouterr()
        settings = Settings(Models(), device, Policy())
        status = cloak_photos(settings, photos, self.scene.root / "cloaked", False, True, verbose)
        said = self.capsys.readouterr()
        copies = {path.name: path.read_text() for path in (self.scene.root / "cloaked").iterdir()}
        assert [each["photo"] for each in json.loads(said.out)["photos"]] == [str(photo) for photo in photos]
        return status, copies, said.err


@pytest.fixture
def commands(scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands(scene, capsys, monkeypatch)
    made.own_processes(Unneeded)
    monkeypatch.setattr(service_engine, "JOIN_SECONDS", 60.0)  # a machine that does much else
    monkeypatch.setattr(address, "_CONNECT_SECONDS", 60.0)
    return made


@pytest.fixture
def service(scene: Scene) -> Running:
    return at_work(scene)


def at_work(scene: Scene, **environment: str) -> Running:
    running = Running(scene, **environment)
    running.until(is_reachable)
    return running


def footing() -> Footing:
    return Footing.of(Models(), "auto", data_dir())


def test_a_command_beside_the_service_has_its_photos_done_there(service: Running, commands: Commands) -> None:
    scene = service.scene
    first, second = commands.put("a.jpg", "one"), commands.put("b.jpg", "two")
    status, copies, said = commands.cloak(first, second, verbose=True)
    assert (status, copies) == (OK, {"a.jpg": "cloaked one", "b.jpg": "cloaked two"})
    assert said.startswith("device: stub, processes of the running service; ")
    assert scene.cloaked() == 2
    assert scene.states() == {"a.jpg": State.PUBLISHED, "b.jpg": State.PUBLISHED}
    scene.put("watched.jpg", "three")
    service.until_published("watched.jpg")
    assert service.said().count("models loaded") == 1
    assert service.stop() == 0
    assert list((scene.state / "spool").iterdir()) == []


def test_the_socket_is_its_users_alone_and_goes_with_the_service(service: Running) -> None:
    found = socket_file().stat()
    assert (stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode)) == (True, 0o600)
    assert stat.S_IMODE(socket_file().parent.stat().st_mode) == 0o700
    assert service.stop() == 0
    assert not socket_file().exists()


def test_a_killed_services_socket_is_passed_over_and_replaced(service: Running, commands: Commands) -> None:
    service.kill()
    assert socket_file().exists()
    commands.own_processes(StubEngine)
    status, copies, said = commands.cloak(commands.put("a.jpg", "one"), verbose=True)
    assert (status, copies) == (OK, {"a.jpg": "cloaked one"})
    assert said.startswith("device: stub, processes of this command; ")
    service.start()
    service.until(is_reachable)
    commands.own_processes(Unneeded)
    assert commands.cloak(commands.put("b.jpg", "two"))[0] == OK


@pytest.mark.parametrize("what", ["device", "models", "version", "folders"])
def test_a_command_of_other_settings_uses_processes_of_its_own(
    service: Running, commands: Commands, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.own_processes(StubEngine)
    device = "auto"
    if what == "device":
        device = "cpu"
    elif what == "models":
        service.scene.configure()
        text = (service.scene.root / "config.yaml").read_text()
        (service.scene.root / "config.yaml").write_text(f"{text}models: {{licences: [permissive, research]}}\n")
        service.process.send_signal(signal.SIGHUP)
        service.until_said("reloaded")
    elif what == "version":
        monkeypatch.setattr("uncnn.daemon.control.messages._version", lambda: "0.0.1")
    else:
        monkeypatch.setenv("UNCNN_MODELS", str(service.scene.root))
    status, copies, said = commands.cloak(commands.put("a.jpg", "one"), device=device, verbose=True)
    assert (status, copies) == (OK, {"a.jpg": "cloaked one"})
    assert "processes of this command" in said


def test_a_service_deep_below_long_names_is_reached(scene: Scene, commands: Commands) -> None:
    scene.state = scene.root / ("long " * 20) / ("longer " * 20) / "state"
    scene.state.mkdir(parents=True)
    commands.patch.setenv("UNCNN_STATE", str(scene.state))
    at_work(scene)
    assert commands.cloak(commands.put("a.jpg", "one"))[0] == OK


def test_a_photo_goes_on_in_processes_of_the_command_when_the_service_dies(
    service: Running, commands: Commands
) -> None:
    commands.own_processes(StubEngine)
    judging = service.scene.root / "data" / "uncnn" / "at work"

    def kill() -> None:
        service.until(lambda: judging.exists() and judging.read_text() != "")
        service.kill()
        os.kill(int(judging.read_text()), signal.SIGKILL)  # it would sleep on

    killer = threading.Thread(target=kill)
    killer.start()
    status, copies, _ = commands.cloak(commands.put("a.jpg", "judged for long"), commands.put("b.jpg", "two"))
    killer.join()
    assert (status, copies) == (OK, {"a.jpg": "cloaked judged for long", "b.jpg": "cloaked two"})
    assert {job.attempts for job in service.scene.jobs().values()} == {1}


def test_a_service_that_ends_lets_go_of_the_photo_at_once(service: Running, commands: Commands) -> None:
    commands.own_processes(StubEngine)
    judging = service.scene.root / "data" / "uncnn" / "at work"
    ended: list[int] = []

    def stop() -> None:
        service.until(judging.exists)
        ended.append(service.stop())

    stopper = threading.Thread(target=stop)
    stopper.start()
    status, copies, _ = commands.cloak(commands.put("a.jpg", "judged for long"))
    stopper.join()
    assert (status, copies, ended) == (OK, {"a.jpg": "cloaked judged for long"}, [0])
    assert list((service.scene.state / "spool").iterdir()) == []


def test_a_photo_that_kills_the_services_worker_costs_the_watched_ones_nothing(
    service: Running, commands: Commands
) -> None:
    commands.own_processes(StubEngine)
    for number in range(3):
        service.scene.put(f"watched {number}.jpg", f"good {number}")
    assert commands.cloak(commands.put("bad.jpg", "kills the worker"))[0] == ERROR
    for number in range(3, 6):
        service.scene.put(f"watched {number}.jpg", f"good {number}")
    service.until_published(*(f"watched {number}.jpg" for number in range(6)))
    jobs = service.scene.jobs()
    assert {jobs[f"watched {number}.jpg"].attempts for number in range(6)} == {1}
    assert service.stop() == 0


def test_what_a_photo_is_refused_for_is_said_as_without_a_service(service: Running, commands: Commands) -> None:
    assert commands.cloak(commands.put("a.jpg", "damaged"))[0] == ERROR
    assert service.scene.jobs()["a.jpg"].state is State.QUARANTINED
    assert commands.cloak(commands.put("b.jpg", "good"))[0] == OK  # the connection is as good as before


def test_the_processes_of_the_service_have_no_hold_of_the_socket(service: Running, commands: Commands) -> None:
    commands.cloak(commands.put("a.jpg", "one"))

    def sockets(process: int) -> set[str]:
        links = (str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir())
        return {link for link in links if link.startswith("socket:")}

    own = sockets(service.process.pid)
    children = descendants(service.process.pid)
    assert own
    assert len(children) >= 2
    assert not own & set().union(*map(sockets, children))


def hello(more: bytes = b"") -> bytes:
    document = pack(Join(footing()))
    return HEAD.pack(len(document), 0) + document + more


def framed(document: bytes, files: int = 0) -> bytes:
    return HEAD.pack(len(document), files) + document


LOOK = pack(Look(Content(Path("0")), "a.jpg", False))


def too_long(peer: socket.socket) -> None:
    peer.sendall(HEAD.pack(reception.LONGEST_QUESTION + 1, 0))


def no_json(peer: socket.socket) -> None:
    peer.sendall(hello(framed(b"\xff not JSON")))


def nested(peer: socket.socket) -> None:
    peer.sendall(hello(framed(b"[" * 100_000)))


def unknown(peer: socket.socket) -> None:
    peer.sendall(hello(framed(b'{"ask": "FindModels", "content": {}}')))


def other_fields(peer: socket.socket) -> None:
    peer.sendall(hello(framed(b'{"ask": "Look", "content": {"photo": 5}}')))


def uninvited(peer: socket.socket) -> None:
    peer.sendall(framed(LOOK))


def too_few(peer: socket.socket) -> None:
    peer.sendall(hello(framed(LOOK)))


def announced(peer: socket.socket) -> None:
    peer.sendall(hello(framed(LOOK, 1)))


def with_files(peer: socket.socket, *files: int, document: bytes = LOOK) -> None:
    peer.sendall(hello())
    socket.send_fds(peer, [HEAD.pack(len(document), len(files))], list(files))
    with suppress(BrokenPipeError, ConnectionResetError):
        peer.sendall(document)


def too_many(peer: socket.socket) -> None:
    with Path(os.devnull).open("rb") as file:
        with_files(peer, *[file.fileno()] * 40)


def one_too_many(peer: socket.socket) -> None:
    with Path(__file__).open("rb") as file:
        with_files(peer, file.fileno(), file.fileno())


def a_pipe(peer: socket.socket) -> None:
    reader, writer = os.pipe()
    with_files(peer, reader)
    os.close(reader)
    os.close(writer)


def a_device(peer: socket.socket) -> None:
    with Path("/dev/zero").open("rb") as file:
        with_files(peer, file.fileno())


def a_folder(peer: socket.socket) -> None:
    opened = os.open("/", os.O_RDONLY)
    with_files(peer, opened)
    os.close(opened)


def for_writing(peer: socket.socket) -> None:
    with socket_file().with_name("written").open("wb") as file:
        with_files(peer, file.fileno())


def a_giant(peer: socket.socket) -> None:
    with socket_file().with_name("giant").open("w+b") as file:
        file.truncate(1 << 40)
        with_files(peer, file.fileno())


def a_path(peer: socket.socket) -> None:
    with Path(__file__).open("rb") as file:
        with_files(peer, file.fileno(), document=pack(Look(Content(Path(__file__)), "a.jpg", False)))


def bytes_inside(peer: socket.socket) -> None:
    peer.sendall(hello(framed(pack(Look(Content(data=b"good"), "a.jpg", False)))))


REFUSED = {
    too_long: "was announced",
    no_json: "no message of this version",
    nested: "no message of this version",
    unknown: "nobody answers the message FindModels",
    other_fields: "no message of this version",
    uninvited: "the first message is Look",
    too_few: "without its descriptor",
    announced: "with 1 files came with 0",
    too_many: "more than 16 files",
    one_too_many: "came with 2 descriptors",
    a_pipe: "none of a plain file",
    a_device: "none of a plain file",
    a_folder: "none of a plain file",
    for_writing: "cannot be read",
    a_giant: "the limit is 500 MB",
    a_path: "without its descriptor",
    bytes_inside: "without its descriptor",
}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield one service that all the broken peers come to."""
    scene = Scene(tmp_path_factory.mktemp("scene"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCNN_STATE", str(scene.state))
        patch.setenv("XDG_DATA_HOME", str(scene.root / "data"))
        yield at_work(scene)
    scene.close()


def goes_on(running: Running, name: str) -> None:
    """See that both a command and a watched folder are served, and nothing was said of the peer."""
    photo = running.scene.root / "commanded.jpg"
    photo.write_text(f"good {name}")
    with closing(ServiceEngine.joined(footing())) as engine:
        assert engine.look(Look(Content(photo), "commanded.jpg", False)).format == "JPEG"
    running.scene.put(f"{name}.jpg", "good")
    running.until_published(f"{name}.jpg")
    assert running.said().count("socket") == 0


@pytest.mark.parametrize("broken", REFUSED, ids=lambda broken: broken.__name__)
def test_a_broken_peer_is_told_so_and_ends_its_own_connection_alone(
    lasting: Running, broken: Callable[[socket.socket], None]
) -> None:
    with connected() as peer:
        peer.settimeout(30)
        broken(peer)
        received = b""
        with suppress(ConnectionResetError):
            while part := peer.recv(65536):
                received += part
    assert REFUSED[broken] in received.decode(errors="replace")
    goes_on(lasting, broken.__name__)


def test_peers_that_say_nothing_are_sent_away_and_nobody_waits_for_them(lasting: Running) -> None:
    silent = [connected() for _ in range(reception.MOST_COMMANDS)]
    halves = silent[0]
    halves.sendall(hello()[:20])
    with connected() as fifth:
        assert b"4 commands use the service at present" in fifth.recv(1000)
    with pytest.raises(ServiceLost):
        ServiceEngine.joined(footing())
    for each in silent:
        each.settimeout(30)
        received = b""
        with suppress(ConnectionResetError):
            while part := each.recv(65536):
                received += part
        assert b"says nothing" in received
        each.close()
    goes_on(lasting, "silent")


def test_peers_that_vanish_in_the_middle_are_let_go_of(lasting: Running) -> None:
    for length in (1, 8, 20, len(hello()), len(hello(framed(LOOK)))):
        with connected() as peer:
            peer.sendall(hello(framed(LOOK))[:length])
    photo = lasting.scene.root / "left.jpg"
    photo.write_text("good, left")
    looked = lasting.scene.looked()
    with connected() as peer, photo.open("rb") as file:
        peer.sendall(hello())
        assert b"result" in peer.recv(1000)
        socket.send_fds(peer, [HEAD.pack(len(LOOK), 1)], [file.fileno()])
        peer.sendall(LOOK)  # it does not wait for the answer
    lasting.until(lambda: lasting.scene.looked() > looked)
    goes_on(lasting, "vanished")


def test_another_user_gets_nothing_even_where_the_folder_lets_them_in(lasting: Running) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    script = """
import os, socket
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect("control.sock")
    peer.settimeout(30)
    print(peer.recv(100))
"""
    folder, file = socket_file().parent, socket_file()
    try:
        folder.chmod(0o755)
        file.chmod(0o666)
        answer = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o700)
        file.chmod(0o600)
    assert answer.stdout == "b''\n", answer.stderr
    goes_on(lasting, "another user")


def test_another_users_service_is_none(scene: Scene, commands: Commands) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    script = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as server:
    server.bind("control.sock")
    server.listen()
    print("ready", flush=True)
    server.accept()
    sys.stdin.read()
"""
    scene.state.mkdir(exist_ok=True)
    folder = socket_file().parent
    folder.chmod(0o777)
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(PermissionError, match="another user, 65534"):
            connected()
        with pytest.raises(ServiceLost):
            ServiceEngine.joined(footing())
        commands.own_processes(StubEngine)
        assert commands.cloak(commands.put("a.jpg", "one"))[0] == OK
        other.communicate()


def _freeze(service: Running) -> None:
    """Stop the service while it holds neither the lock of the ledger nor that of releases, which would stay."""
    for _ in range(200):
        service.process.send_signal(signal.SIGSTOP)
        if _is_unlocked(service.scene.state):
            return
        service.process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("the service never leaves its locks alone")


def _is_unlocked(state: Path) -> bool:
    with closing(sqlite3.connect(state / "ledger.sqlite3", timeout=0.1)) as ledger:
        try:
            ledger.execute("BEGIN IMMEDIATE")
            ledger.rollback()
            with (state / "held" / ".lock").open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (sqlite3.OperationalError, BlockingIOError, FileNotFoundError):  # it writes, or has not begun
            return False
    return True


def test_a_service_that_does_not_answer_is_not_waited_for(service: Running, commands: Commands) -> None:
    commands.own_processes(StubEngine)
    commands.patch.setattr(service_engine, "JOIN_SECONDS", 5.0)
    _freeze(service)
    began = time.monotonic()
    try:
        assert commands.cloak(commands.put("a.jpg", "one"))[0] == OK
    finally:
        service.process.send_signal(signal.SIGCONT)
    assert time.monotonic() - began < 60


def test_a_reload_is_answered_when_it_is_done(service: Running, capsys: pytest.CaptureFixture[str]) -> None:
    other = service.scene.root / "other"
    other.mkdir()
    service.scene.configure(more=f", {{watch: {other}, publish: {service.scene.root / 'other-out'}}}")
    assert reload() == OK
    assert capsys.readouterr().out == "the service has reloaded its configuration\n"
    assert f"watching {other}" in service.said()
    (service.scene.root / "config.yaml").write_text("folders: [{wach: here}]\n")
    assert reload() == BAD_CONFIGURATION
    assert "did you mean 'watch'?" in capsys.readouterr().err
    service.scene.configure()
    assert reload() == OK


def test_a_scan_says_what_it_found_and_which_folder_is_blocked(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, other = service.scene, service.scene.root / "other"
    other.mkdir()
    scene.configure(settle=3600, more=f", {{watch: {other}, publish: {scene.root / 'other-out'}}}")
    assert reload() == OK
    scene.put("a.jpg", "one")
    scene.put("b.jpg", "two")
    capsys.readouterr()
    assert scan(again=False) == OK
    assert set(capsys.readouterr().out.splitlines()) == {
        f"{scene.watch}: 2 photos to cloak",
        f"{other}: 0 photos to cloak",
    }
    shutil.rmtree(other)
    assert scan(again=False) == DEGRADED
    said = capsys.readouterr()
    assert said.out == f"{scene.watch}: 2 photos to cloak\n"
    assert said.err.startswith(f"{other}: not scanned, it is blocked: ")
    assert service.stop() == OK
    assert scan(again=False) == NOT_RUNNING


def test_models_that_change_meanwhile_are_not_mixed(service: Running, scene: Scene) -> None:
    photo = scene.root / "a.jpg"
    photo.write_text("one")
    with closing(ServiceEngine.joined(footing())) as engine:
        engine.look(Look(Content(photo), "a.jpg", False))
        (scene.root / "data" / "uncnn" / "models-of-the-stub").write_text("others")
        with pytest.raises(ServiceLost, match="were changed meanwhile"):
            engine.look(Look(Content(photo), "a.jpg", False))


def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), list[int]()

    def take(number: int) -> None:
        with turns.taken():
            order.append(number)

    with turns.taken():
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=take, args=[number]))
            threads[-1].start()
            while turns.waiting <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


@pytest.fixture
def shared(scene: Scene) -> Iterator[tuple[SharedEngine, Path]]:
    def make(config: Config, spool: Path) -> StubEngine:
        return StubEngine(config.models, config.device, data_dir(), spool, config.service.deadline_seconds)

    spool = scene.root / "spool"
    spool.mkdir()
    (scene.root / "data" / "uncnn").mkdir(parents=True)
    engine = SharedEngine(Config, make, lambda _device, _engine: None)
    with engine.opened(spool):
        yield engine, spool


def test_another_configuration_has_other_processes_from_the_next_photo_on(scene: Scene) -> None:
    made: list[Config] = []
    config = Config()

    def make(wanted: Config, spool: Path) -> StubEngine:
        made.append(wanted)
        return stub_for(
            wanted.models, wanted.device, data_dir(), spool, wanted.servers, wanted.service.deadline_seconds
        )

    spool = scene.root / "spool"
    spool.mkdir()
    (scene.root / "data" / "uncnn").mkdir(parents=True)
    engine = SharedEngine(lambda: config, make, lambda _device, _engine: None)
    changes: list[dict[str, object]] = [{"servers": ("ssh://box",)}, {"device": "cpu"}, {"servers": ()}]
    with engine.opened(spool):
        for change in [{}, *changes]:
            config = config.model_copy(update=change)
            for _ in range(2):
                with engine.at_photo():
                    assert made[-1] is config
    assert len(made) == 1 + len(changes)


@pytest.mark.parametrize("lent", [False, True])
def test_a_call_is_made_once_more_where_a_command_had_the_process_that_died(
    shared: tuple[SharedEngine, Path], scene: Scene, lent: bool
) -> None:
    engine, spool = shared
    (spool / "good").write_text("good")
    (spool / "bad").write_text("kills")
    with engine.at_photo():
        engine.start()
        if lent:
            with engine.lent(footing()) as borrowed:
                borrowed.look(Look(Content(spool / "good"), "good", False))
        before = scene.looked()
        with pytest.raises(ProcessDied):
            engine.look(Look(Content(spool / "bad"), "bad", False))
        assert scene.looked() - before == (2 if lent else 1)
        with pytest.raises(ProcessDied):  # no command had it meanwhile
            engine.look(Look(Content(spool / "bad"), "bad", False))
        assert scene.looked() - before == (3 if lent else 2)
        assert engine.look(Look(Content(spool / "good"), "good", False)).format == "JPEG"


def test_a_command_waits_for_one_call_and_the_worker_threads_clock_stands_while_it_waits(
    shared: tuple[SharedEngine, Path],
) -> None:
    engine, spool = shared
    (spool / "good").write_text("good")
    look = Look(Content(spool / "good"), "good", False)
    with engine.at_photo():
        engine.start()
        with engine.lent(footing()):
            owner = threading.Thread(target=engine.look, args=[look])
            owner.start()
            while engine.waited() is not None:
                time.sleep(0.001)
            time.sleep(0.2)
        owner.join()
        waited = engine.waited()
    assert waited is not None
    assert waited >= 0.2


def test_an_engine_that_is_killed_or_not_open_is_lent_to_nobody(shared: tuple[SharedEngine, Path]) -> None:
    engine, _ = shared
    with pytest.raises(EngineUnavailable, match="other settings"), engine.lent(Footing.of(Models(), "cpu", data_dir())):
        pass
    engine.kill()
    with pytest.raises(EngineUnavailable, match="starting or ending"), engine.lent(footing()):
        pass
    closed = SharedEngine(Config, lambda _config, _spool: None, lambda _device, _engine: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(EngineUnavailable, match="starting or ending"):
        closed.spool_for(footing())


def test_the_only_paths_in_messages_are_those_of_photos() -> None:
    photo = Content(Path("/theirs/photo"))
    messages = (
        Look(photo, "a", False),
        Change(photo, "a", False, (), (), AttackChoice("veil", {}), "JPEG", "same", following=(Next(photo, "b"),)),
        Review(photo, "a", (), terms_of(Policy(), People())),
        Judge(photo, photo, terms_of(Policy(), People()), None, (), photo),
        Describe(photo, "a", False),
        Show(photo, "a", photo, "b", "png"),
        CutFaces(photo, "a", photo, "b"),
        Explain(photo, "a", photo, ("b",), False, 24.0, 8, (Member("Ada", {"a" * 64: [[0.5]]}),)),
        Portray(photo, "a", photo, "b", ()),
    )
    assert tuple(map(type, messages)) == tuple(sorted(ASKED_OF_PROCESSES, key=[*map(type, messages)].index))
    for message in messages:
        assert b"theirs" in pack(message)
        assert b"theirs" not in pack(exchanged(message, lambda _: Content(Path("0"))))
    assert "Path" not in str({each.type for kind in ASKED_OF_PROCESSES for each in fields(kind)})

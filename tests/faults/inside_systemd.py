"""What test_systemd.py tries inside a booted systemd: the units installed, started, killed, stopped and removed."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uncnn.daemon.sandbox import landlock
from uncnn.daemon.sandbox.entering import offered

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
SAMPLE = Path(__file__).resolve().parents[2] / "config.yaml"
PORTRAIT = next(Path(sys.prefix).glob("lib/python3*/site-packages/skimage/data/astronaut.png"))


def run(*command: str | Path, **named: object) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False, **named)  # type: ignore[call-overload]
    assert answer.returncode in {0, 3, 4}, f"{command}: {answer.stdout}{answer.stderr}"
    return str(answer.stdout)


def until(condition: Callable[[], object], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, run("journalctl", "--no-pager", "-n", "60")
        time.sleep(0.2)


def said(unit: str) -> str:
    return run("journalctl", "--no-pager", "-u", unit)


class Person:
    """A user of the machine with the sample's folders."""

    def __init__(self, name: str) -> None:
        run("useradd", "--create-home", name)
        self.name = name
        self.uid = pwd.getpwnam(name).pw_uid
        self.home = Path("/home") / name
        self.watch, self.publish = self.home / "Pictures" / "Outgoing", self.home / "Pictures" / "Cloaked"
        for folder in (self.watch.parent, self.watch, self.publish):
            folder.mkdir()
            os.chown(folder, self.uid, self.uid)

    def put(self, name: str) -> None:
        shutil.copy(PORTRAIT, self.watch / name)

    def out(self) -> set[str]:
        return {path.name for path in self.publish.iterdir()}


class Unit:
    """A unit at work."""

    def __init__(self, *systemctl: str) -> None:
        self.systemctl = systemctl

    def ask(self, verb: str) -> str:
        return run("systemctl", *self.systemctl[:-1], verb, self.systemctl[-1])

    def __getitem__(self, name: str) -> str:
        return run("systemctl", *self.systemctl[:-1], "show", "--value", "-p", name, self.systemctl[-1]).strip()

    @property
    def process(self) -> int:
        return int(self["MainPID"])


@pytest.fixture(scope="module")
def alice() -> Person:
    return Person("alice")


@pytest.fixture(scope="module")
def service(alice: Person) -> Unit:
    configuration = Path("/etc/uncnn/alice/config.yaml")
    configuration.parent.mkdir(parents=True)
    configuration.write_text(SAMPLE.read_text().replace("~/", f"{alice.home}/"))
    alice.publish.rmdir()
    with pytest.raises(AssertionError, match=f"sudo -u alice mkdir -p {alice.publish}"):
        run(PROGRAM, "service", "install", "--for", "alice")
    run("runuser", "-u", "alice", "--", "mkdir", "-p", alice.publish)
    run(PROGRAM, "service", "install", "--for", "alice")
    return Unit("uncnn@alice.service")


def test_the_systems_service_starts_and_releases_a_photo(alice: Person, service: Unit) -> None:
    assert service["ActiveState"] == "active"  # Type=notify: it has said so
    alice.put("a.png")
    until(lambda: alice.out() == {"a.png"})
    released = alice.publish / "a.png"
    assert (released.stat().st_uid, released.stat().st_mode & 0o777) == (alice.uid, 0o600)
    ledger = Path("/var/lib/uncnn/alice/ledger.sqlite3")
    assert (ledger.stat().st_uid, ledger.stat().st_mode & 0o777) == (alice.uid, 0o600)
    assert ledger.parent.stat().st_mode & 0o777 == 0o700


def test_its_status_is_there_for_its_user(service: Unit) -> None:
    answer = json.loads(run(PROGRAM, "status", "--json", env={**os.environ, "UNCNN_STATE": "/var/lib/uncnn/alice"}))
    assert answer["service"]["pid"] == service.process
    assert answer["service"]["protection"]["landlock"] == landlock.version()
    assert answer["service"]["protection"]["seccomp"]
    assert answer["service"]["protection"]["missing"] == list(offered().missing)
    assert service["StatusText"]


def test_the_monthly_audit_looks_at_what_was_released_and_may_change_nothing(alice: Person, service: Unit) -> None:
    assert Unit("uncnn-audit@alice.timer")["ActiveState"] == "active"
    audit = Unit("uncnn-audit@alice.service")
    audit.ask("start")  # it ends before this returns
    assert audit["Result"] == "success"
    assert "checked 1 photo: all as they were published" in said("uncnn-audit@alice")
    released = alice.publish / "a.png"
    hidden = released.rename(alice.home / "a.png")
    audit.ask("start")
    assert (audit["Result"], audit["ExecMainStatus"]) == ("success", "4")
    assert "checked 1 photo: 1 missing" in said("uncnn-audit@alice")
    hidden.rename(released)
    binds = Path("/etc/systemd/system/uncnn-audit@alice.service.d/folders.conf").read_text().splitlines()
    assert f"BindReadOnlyPaths={alice.publish}" in binds
    assert service["ActiveState"] == "active"


def test_it_sees_no_other_folders_and_no_network(alice: Person, service: Unit) -> None:
    (alice.home / "secret").touch()
    inside = ["nsenter", "--target", str(service.process), "--mount"]
    assert run(*inside, "ls", "-A", str(alice.home)).split() == ["Pictures"]
    assert set(run(*inside, "ls", "-A", str(alice.watch.parent)).split()) == {"Cloaked", "Outgoing"}
    with pytest.raises(AssertionError, match="Read-only file system"):
        run(*inside, "touch", str(alice.watch / "x.png"))
    links = run("nsenter", "--target", str(service.process), "--net", "ls", "/proc/self/net/dev_snmp6").split()
    assert links in ([], ["lo"])


def test_it_is_started_again_after_a_kill_and_goes_on(alice: Person, service: Unit) -> None:
    before = service.process
    os.kill(before, signal.SIGKILL)
    alice.put("b.png")
    until(lambda: service["ActiveState"] == "active" and service.process != before)
    until(lambda: alice.out() == {"a.png", "b.png"})


def test_one_that_hangs_is_found_by_the_watchdog(alice: Person, service: Unit) -> None:
    override = Path("/run/systemd/system/uncnn@alice.service.d/soon.conf")
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nWatchdogSec=4\n")
    run("systemctl", "daemon-reload")
    service.ask("restart")
    time.sleep(6)
    hung, restarts = service.process, int(service["NRestarts"])
    assert service["ActiveState"] == "active"
    os.kill(hung, signal.SIGSTOP)
    until(lambda: int(service["NRestarts"]) > restarts)
    until(lambda: service["ActiveState"] == "active" and service.process != hung)


def test_it_reloads_and_says_what_is_wrong(service: Unit) -> None:
    configuration = Path("/etc/uncnn/alice/config.yaml")
    text = configuration.read_text()
    process = service.process
    configuration.write_text(text.replace("unprotected: hold", "unprotected: never"))
    service.ask("reload")
    until(lambda: "was not reloaded" in said("uncnn@alice"))
    configuration.write_text(text)
    service.ask("reload")
    until(lambda: ": reloaded " in said("uncnn@alice"))
    assert service.process == process


def test_a_watched_folder_that_was_made_anew_is_found(alice: Person, service: Unit) -> None:
    shutil.rmtree(alice.watch)
    alice.watch.mkdir()
    os.chown(alice.watch, alice.uid, alice.uid)
    alice.put("anew.png")
    until(lambda: "anew.png" in alice.out())


def test_the_page_is_started_by_a_browser_has_no_network_and_is_let_in_by_a_link(service: Unit) -> None:
    run(PROGRAM, "service", "install", "--for", "alice", "--web", "--web-port", "8500")
    page = Unit("uncnn-web@alice.service")
    assert Unit("uncnn-web@alice.socket")["ActiveState"] == "active"
    assert page["ActiveState"] == "inactive"
    assert asked("/") == 401
    assert page["ActiveState"] == "active"
    own = {**os.environ, "UNCNN_STATE": "/var/lib/uncnn/alice"}
    run("chmod", "a+x", "/root")  # where this machine's Python may lie
    as_alice = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups"]
    said_of_it = run(*as_alice, PROGRAM, "web", "--link", "--port", "8500", env=own)
    (link,) = re.findall(r"http://127\.0\.0\.1:8500(/enter\S+)", said_of_it)
    assert [asked(link), asked(link)] == [303, 401]
    links = run("nsenter", "--target", str(page.process), "--net", "ls", "/proc/self/net/dev_snmp6").split()
    assert links in ([], ["lo"])
    assert Path("/proc", str(page.process), "ns", "net").readlink() != Path("/proc/self/ns/net").readlink()
    assert service["ActiveState"] == "active"


def asked(path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 8500, timeout=300)
    connection.request("GET", path)
    return connection.getresponse().status


def test_it_stops_at_once(service: Unit) -> None:
    began = time.monotonic()
    service.ask("stop")
    assert time.monotonic() - began < 10
    assert service["Result"] == "success"


def test_a_wrong_configuration_is_not_tried_again_and_again(service: Unit) -> None:
    configuration = Path("/etc/uncnn/alice/config.yaml")
    text = configuration.read_text()
    configuration.write_text("folders: 3\n")
    with pytest.raises(AssertionError):
        service.ask("start")
    time.sleep(12)  # RestartSec
    assert (service["ActiveState"], service["ExecMainStatus"], service["NRestarts"]) == ("failed", "78", "0")
    configuration.write_text(text)


def test_a_users_own_service_works(tmp_path: Path) -> None:
    bob = Person("bob")
    run("loginctl", "enable-linger", "bob")
    own = {"HOME": str(bob.home), "XDG_RUNTIME_DIR": f"/run/user/{bob.uid}", "PATH": os.environ["PATH"]}
    until(lambda: Path(own["XDG_RUNTIME_DIR"], "systemd", "private").exists())
    configuration = bob.home / ".config" / "uncnn" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, configuration)
    run("chown", "-R", "bob:bob", bob.home)
    run("chmod", "a+x", "/root")  # where this machine's Python may lie
    as_bob = ["setpriv", "--reuid=bob", "--regid=bob", "--init-groups"]
    run(*as_bob, PROGRAM, "service", "install", env=own)
    bob.put("a.png")
    until(lambda: bob.out() == {"a.png"})
    said_of_it = run(*as_bob, PROGRAM, "status", env=own)
    assert "1 published" in said_of_it
    assert "uncnn-audit.timer" in run(*as_bob, "systemctl", "--user", "list-timers", env=own)
    assert landlock.version() == 0 or f"Landlock {landlock.version()}, seccomp, no network" in said_of_it, said_of_it
    process = run("pgrep", "-o", "-u", "bob", "-f", "uncnn-daemon run").strip()
    status = dict(line.split(":\t") for line in Path("/proc", process, "status").read_text().splitlines())
    assert (status["CapBnd"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
    for name in ("user", "net", "ipc", "mnt"):
        assert Path("/proc", process, "ns", name).readlink() != Path("/proc/self/ns", name).readlink(), name
    inside = ["nsenter", "--target", process, "--user", "--preserve-credentials", "--mount"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        run(*inside, "touch", "/usr/lib/more")
    run(*as_bob, PROGRAM, "service", "uninstall", env=own)
    until(lambda: subprocess.run(["pgrep", "-u", "bob", "-f", "uncnn-daemon run"], check=False).returncode != 0)

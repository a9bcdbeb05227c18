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
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from uncnn.daemon.sandbox import landlock
from uncnn.daemon.sandbox.entering import offered
from uncnn.daemon.service import units

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
AUTHORIZED_KEYS = "/etc/ssh/keys_of_the_test"
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
        self.environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}

    def put(self, name: str) -> None:
        shutil.copy(PORTRAIT, self.watch / name)

    def says(self, *command: str | Path, entered: str = "") -> str:
        """Return what a command says that this user runs; `entered` is what it reads."""
        run("chmod", "a+x", "/root")  # where this machine's Python may lie
        user = [f"--reuid={self.name}", f"--regid={self.name}", "--init-groups"]
        return run("setpriv", *user, *command, input=entered, env=self.environment)

    def server(self, address: str) -> dict[str, str]:
        """Return how it stands with a server, by what the service says."""
        known = json.loads(self.says(PROGRAM, "status", "--json"))["service"]["servers"]
        return next((each for each in known if each["address"] == address), {})

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
    person = Person("alice")
    person.environment |= {"UNCNN_STATE": "/var/lib/uncnn/alice", "XDG_DATA_HOME": "/var/lib/uncnn/alice"}
    return person


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
    override.write_text("[Service]\nWatchdogSec=20\n")
    run("systemctl", "daemon-reload")
    service.ask("restart")
    until(lambda: service["ActiveState"] == "active")
    hung, restarts = service.process, int(service["NRestarts"])
    os.kill(hung, signal.SIGSTOP)
    until(lambda: int(service["NRestarts"]) > restarts)
    override.unlink()  # what comes next may be slow
    run("systemctl", "daemon-reload")
    until(lambda: service["ActiveState"] == "active" and service.process != hung)
    service.ask("restart")


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


def test_the_page_is_started_by_a_browser_has_no_network_and_is_let_in_by_a_link(alice: Person, service: Unit) -> None:
    run(PROGRAM, "service", "install", "--for", "alice", "--web", "--web-port", "8500")
    page = Unit("uncnn-web@alice.service")
    assert Unit("uncnn-web@alice.socket")["ActiveState"] == "active"
    assert page["ActiveState"] == "inactive"
    assert asked("/") == 401
    assert page["ActiveState"] == "active"
    said_of_it = alice.says(PROGRAM, "web", "--link", "--port", "8500")
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


@pytest.fixture
def https() -> Iterator[subprocess.Popen[str]]:
    """Yield a server of root's, which is reached by https://127.0.0.1."""
    run("chmod", "a+x", "/root")  # where this machine's Python may lie
    lines: list[str] = []
    command = [PROGRAM, "serve", "--listen", "127.0.0.1:8488"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
        reader.start()
        until(lambda: lines)
        yield process
        process.terminate()


@pytest.fixture(scope="module")
def sshd() -> Iterator[bool]:
    """Yield whether there is a server of root's, which is reached by ssh at port 2222; nobody has a key yet.

    ssh has settings of the machine's, in a file of root's.
    """
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if program is None or shutil.which("ssh") is None:
        yield False
        return
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/of_the_test")
    Path("/etc/ssh/ssh_config.d").mkdir(exist_ok=True)
    Path("/etc/ssh/ssh_config.d/20-site.conf").write_text("Host *\n    SendEnv SITE\n")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = {
        **{"Port": 2222, "ListenAddress": "127.0.0.1", "HostKey": "/etc/ssh/of_the_test", "PidFile": "none"},
        **{"UsePAM": "no", "PermitRootLogin": "prohibit-password", "AuthorizedKeysFile": AUTHORIZED_KEYS},
    }
    command = [program, "-D", "-f", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command) as process:
        yield True
        process.terminate()


def let_in(person: Person, settings: str) -> None:
    """Give somebody a key that may have faces changed by root's server, which is known; `settings` are those of ssh."""
    keys = person.home / ".ssh"
    keys.mkdir()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "id_ed25519")
    with Path(AUTHORIZED_KEYS).open("a") as authorized:
        key = (keys / "id_ed25519.pub").read_text()
        authorized.write(f'command="{PROGRAM} serve --stdio --device cpu",restrict {key}')
    known = Path("/etc/ssh/of_the_test.pub").read_text()
    (keys / "known_hosts").write_text(f"[127.0.0.1]:2222 {known}")
    (keys / "config").write_text(settings)
    run("chown", "-R", f"{person.name}:{person.name}", keys)
    run("chmod", "-R", "go=", keys)


def serves(person: Person, https: subprocess.Popen[str], ssh: str) -> None:
    """Have a service reach both servers, and publish a photo by way of the one at `ssh`; empty: https alone."""
    addresses = ["https://127.0.0.1", *filter(None, [ssh])]
    Image.new("RGB", (300, 300), "navy").save("/plain.png")  # no face: servers are connected to, and not asked
    shutil.move("/plain.png", person.watch / "plain.png")
    until(lambda: all(person.server(address).get("device") == "cpu" for address in addresses), 120)
    if ssh:
        https.terminate()
    other_photo(person, "served.png")
    until(lambda: "served.png" in person.out())
    state = person.server(addresses[-1])
    assert (state["device"], state["problem"]) == ("cpu", None), state
    if not ssh:
        pytest.skip("https alone was tried: needs sshd and ssh (Debian's openssh-server, openssh-client)")


def other_photo(person: Person, name: str) -> None:
    """Put a photo that nobody has seen before."""
    with Image.open(PORTRAIT) as opened:
        turned = opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(f"/{name}")
    shutil.move(f"/{name}", person.watch / name)


def test_with_servers_in_its_configuration_it_reaches_them(
    alice: Person, service: Unit, https: subprocess.Popen[str], sshd: bool
) -> None:
    ssh = "ssh://root@127.0.0.1:2222" if sshd else ""
    if ssh:
        let_in(alice, "ControlMaster auto\nControlPath ~/.ssh/shared-%C\n")  # a socket that cannot be made in the unit
    configuration = Path("/etc/uncnn/alice/config.yaml")
    run(PROGRAM, "config", "set", f"servers=[https://127.0.0.1, {ssh}]", "--config", configuration)
    key = run(PROGRAM, "serve", "--access-key")
    alice.says(PROGRAM, "config", "add-server", "https://127.0.0.1", entered=key)
    run(PROGRAM, "service", "install", "--for", "alice")
    serves(alice, https, ssh)
    inside = ["nsenter", "--target", str(service.process), "--mount"]
    assert set(run(*inside, "ls", "-A", alice.home).split()) == {".ssh", "Pictures"}
    with pytest.raises(AssertionError, match="Read-only file system"):
        run(*inside, "touch", alice.home / ".ssh" / "more")
    assert Path("/proc", str(service.process), "ns", "user").readlink() != Path("/proc/self/ns/user").readlink()


def test_without_servers_it_has_no_network_again(alice: Person, service: Unit) -> None:
    configuration = Path("/etc/uncnn/alice/config.yaml")
    run(PROGRAM, "config", "unset", "servers", "--config", configuration)
    run(PROGRAM, "service", "install", "--for", "alice")
    assert not Path("/etc/systemd/system/uncnn@alice.service.d/servers.conf").exists()
    links = run("nsenter", "--target", str(service.process), "--net", "ls", "/proc/self/net/dev_snmp6").split()
    assert links in ([], ["lo"])


def test_it_stops_at_once(service: Unit) -> None:
    began = time.monotonic()
    service.ask("stop")
    assert time.monotonic() - began < 60
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


@pytest.fixture(scope="module")
def bob() -> Person:
    person = Person("bob")
    run("loginctl", "enable-linger", "bob")
    runtime = Path("/run/user", str(person.uid))
    person.environment |= {"XDG_RUNTIME_DIR": str(runtime)}
    until((runtime / "systemd" / "private").exists)
    configuration = person.home / ".config" / "uncnn" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, configuration)
    run("chown", "-R", "bob:bob", person.home)
    return person


def test_a_users_own_service_works(bob: Person) -> None:
    bob.says(PROGRAM, "service", "install")
    bob.put("a.png")
    until(lambda: bob.out() == {"a.png"})
    said_of_it = bob.says(PROGRAM, "status")
    assert "1 published" in said_of_it
    assert "uncnn-audit.timer" in bob.says("systemctl", "--user", "list-timers")
    assert landlock.version() == 0 or f"Landlock {landlock.version()}, seccomp, no network" in said_of_it, said_of_it
    process = run("pgrep", "-o", "-u", "bob", "-f", "uncnn-daemon run").strip()
    status = dict(line.split(":\t") for line in Path("/proc", process, "status").read_text().splitlines())
    assert (status["CapBnd"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
    for name in ("user", "net", "ipc", "mnt"):
        assert Path("/proc", process, "ns", name).readlink() != Path("/proc/self/ns", name).readlink(), name
    inside = ["nsenter", "--target", process, "--user", "--preserve-credentials", "--mount"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        run(*inside, "touch", "/usr/lib/more")


def test_what_may_open_no_connection_says_what_lets_it(bob: Person) -> None:
    (families,) = (line for line in units.USER.splitlines() if line.startswith("RestrictAddressFamilies="))
    asked = (
        "from uncnn.daemon.config.servers import Address; from uncnn.daemon.remote.remedies import remedy;"
        " print(remedy(Address.parse('https://box'), ''))"
    )
    alone = ["systemd-run", "--user", "--wait", "--pipe", "--quiet"]
    assert bob.says(*alone, sys.executable, "-c", asked).strip() == ""
    assert "`uncnn-daemon service install`" in bob.says(*alone, "-p", families, sys.executable, "-c", asked)


def test_a_users_own_service_with_servers_reaches_them(bob: Person, https: subprocess.Popen[str], sshd: bool) -> None:
    ssh = "ssh://box" if sshd else ""
    if ssh:
        let_in(bob, "Host box\n    HostName 127.0.0.1\n    Port 2222\n    User root\n")
        agent = Path("/run/user", str(bob.uid), "agent")
        bob.environment |= {"SSH_AUTH_SOCK": str(agent)}
        bob.says("ssh-agent", "-a", agent)
        bob.says("ssh-add", "-q", bob.home / ".ssh" / "id_ed25519")
        (bob.home / ".ssh" / "id_ed25519").unlink()
        bob.says("systemctl", "--user", "import-environment", "SSH_AUTH_SOCK")
        bob.says(PROGRAM, "config", "add-server", ssh)
    key = run(PROGRAM, "serve", "--access-key")
    bob.says(PROGRAM, "config", "add-server", "https://127.0.0.1", entered=key)
    bob.says(PROGRAM, "service", "install")
    serves(bob, https, ssh)


def test_a_users_own_service_is_removed(bob: Person) -> None:
    bob.says(PROGRAM, "service", "uninstall")
    until(lambda: subprocess.run(["pgrep", "-u", "bob", "-f", "uncnn-daemon run"], check=False).returncode != 0)


def test_what_root_sets_up_for_somebody_by_command_alone_works() -> None:
    run("useradd", "--create-home", "carol")
    watch, publish = Path("/home/carol/Outgoing"), Path("/home/carol/Cloaked")
    run(PROGRAM, "config", "init", watch, publish, "--config", "/etc/uncnn/carol/config.yaml")
    assert {watch.owner(), publish.owner()} == {"carol"}
    run(PROGRAM, "service", "install", "--for", "carol")
    assert Unit("uncnn@carol.service")["ActiveState"] == "active"
    run(PROGRAM, "service", "uninstall", "--for", "carol")

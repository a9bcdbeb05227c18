"""Nothing leaves the machine: every command but `models pull` runs where an internet socket means death.

`notify` too, where no addresses are configured.

Under strace, where it is installed, each socket of each child is seen too. What appears in an empty home is uncnn's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import Browser
from every_command import commands
from offline import PROGRAM, OfflineHome, make_clip, make_people, stop, tracer
from PIL import Image
from running import descendants

from uncnn.daemon.output import DEGRADED, ERROR, NOT_RUNNING, OK
from uncnn.exporters.registry.store import EMBEDDED

ROOT = Path(__file__).resolve().parents[2]
TELEMETRY_SECONDS = 15.0  # ONNX Runtime's first look-up comes after 10
CONFIGURATION = """
device: cpu
folders: [{watch: in, publish: out, settle_seconds: 0.2}]
policies: {everyday: {attack: {name: pgd, strength: subtle, steps: 1}, escalate: []}}
"""
OWN = EMBEDDED / "mobileface-v2" / "model.onnx"
OWN_INPUT = ["--order", "RGB", "--mean", "127.5", "--std", "128", "--template", "arcface-112", "--metric", "cosine"]

QUICK: dict[str, tuple[list[object], int]] = {
    "status": ([], NOT_RUNNING),
    "reload": ([], NOT_RUNNING),
    "scan": ([], NOT_RUNNING),
    "jobs": ([], OK),
    "held list": ([], OK),
    "config check": ([], OK),
    "config init": (["in", "out", "--config", "new.yaml"], OK),
    "config set": (["service.notify=true", "--config", "new.yaml"], OK),
    "config unset": (["service.notify", "--config", "new.yaml"], OK),
    "config add-server": (["ssh://box", "--config", "new.yaml"], OK),
    "config add-folder": (["more", "more-out", "--config", "new.yaml"], OK),
    "help": (["held", "list"], OK),
    "config show": ([], OK),
    "models list": ([], OK),
    "people list": ([], OK),
    "plugins list": ([], OK),
    "plugins show": (["veil"], OK),
    "service show": ([], OK),
    "service install": (["--no-start"], OK),
    "service uninstall": ([], OK),
    "notify": (["--test"], 78),
    "serve": (["--stdio"], OK),
    "archive plan": (["people/person1", "-o", "plan", "--set", "steps=1"], OK),
    "archive status": (["plan"], DEGRADED),
    "verify": (["face.png", "face.png"], DEGRADED),
}
"""What follows each command, and its exit status. In this order."""

SLOW: dict[str, tuple[list[object], int]] = {
    "cloak": (["face.png", "-o", "cloaked"], DEGRADED),
    "compare": (["face.png", "people/person0/1.png"], ERROR),
    "explain": (["face.png", "--against", "face.png", "--gallery", "people", "-o", "explained.png"], OK),
    "inspect": (["face.png", "-o", "faces.png"], OK),
    "live": (["clip.mp4", "--to", "hidden.mp4"], OK),
    "models add": ([OWN, "--name", "own", "--role", "judge", *OWN_INPUT, "--calibrate", "people", "--yes"], OK),
    "models calibrate": (["own", "--faces", "people"], OK),
    "models check": ([], OK),
    "models remove": (["own", "--yes"], OK),
    "people enroll": (["Ada", "face.png"], OK),
    "people forget": (["Ada"], OK),
    "evaluate": (
        ["people", "--photos", "2", "--people", "2", "--strength", "subtle", "--view", "as-is", "-o", "evaluation"],
        OK,
    ),
    "augment": (["people/person0", "-o", "spoofed", "--set", "steps=1"], OK),
    "archive work": (["plan", "--shard", "1/2"], OK),
    "run": (["--once"], DEGRADED),
    "audit": (["--judge"], OK),
    "held show": (["in/face.png"], OK),
    "held release": (["in/face.png"], OK),
    "held leave": (["in/face.png", "--face", "1"], ERROR),  # it is published by now
    "held drop": (["--all"], OK),
    "retry": (["--all"], OK),
}
REACHES_OUT = {"models pull"}
LISTENS = {"web", "archive ray"}
"""On this machine alone: what they do is tried below, in tests/daemon/web and in tests/daemon/archive/test_ray.py."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OfflineHome:
    skimage = pytest.importorskip("skimage")
    made = OfflineHome(tmp_path_factory.mktemp("offline")).make()
    if made.run("-c", "", program=[sys.executable]).status == 3:
        pytest.skip("this kernel takes no filter of system calls (seccomp)")
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    for place in ("face.png", "in/face.png"):
        face.save(made.work / place)
    Image.new("RGB", (60, 60), "white").save(made.work / "in" / "plain.png")
    make_people(made.work / "people", face, 24)
    make_clip(made.work / "clip.mp4", face)
    (made.work / "config.yaml").write_text(CONFIGURATION)
    return made


def test_every_command_is_tried_here() -> None:
    assert set(commands()) == {*QUICK, *SLOW, *REACHES_OUT, *LISTENS}


def check(home: OfflineHome, command: str, arguments: list[object], status: int) -> None:
    answer = home.run(*command.split(), *arguments)
    assert answer.status == status, answer.said
    assert "ended unexpectedly" not in answer.said
    assert answer.reached == []
    assert home.strangers() == []


@pytest.mark.slow
@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_reaches_nobody(home: OfflineHome, command: str) -> None:
    check(home, command, *QUICK[command])


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW)
def test_a_command_reaches_nobody(home: OfflineHome, command: str) -> None:
    check(home, command, *SLOW[command])


@pytest.mark.slow
def test_the_service_reaches_nobody_while_it_works_and_while_it_waits(home: OfflineHome) -> None:
    (home.work / "in" / "nobody.png").write_bytes(b"")
    Image.new("RGB", (60, 60), "grey").save(home.work / "nobody.png")
    with home.started("run") as service:
        (home.work / "nobody.png").replace(home.work / "in" / "nobody.png")
        wait_for(home.work / "out" / "nobody.png", service)
        processes = descendants(service.pid)
        for command in ("status", "scan", "reload"):
            subprocess.run([PROGRAM, command], env=home.environment(), capture_output=True, check=False)
        time.sleep(TELEMETRY_SECONDS)
        assert descendants(service.pid) == processes  # none was killed and started again
        assert stop(service) == 0
    assert home.reached() == []
    assert home.strangers() == []


def wait_for(file: Path, service: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not file.exists():
        assert service.poll() is None, service.stdout.read() if service.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not tracer(), reason="needs strace")
def test_the_page_listens_on_this_machine_alone_and_connects_to_nobody(home: OfflineHome) -> None:
    trace = home.root / "page trace"
    command = [*tracer(), "-e", "trace=socket,connect,bind,sendto", "-o", trace, PROGRAM, "web", "--port", "0"]
    with subprocess.Popen(command, env=home.environment(), cwd=home.work, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        link = next(found[0] for line in page.stdout if (found := re.search(r"http://\S+", line)))
        browser = Browser(link)
        identity = browser.drop((home.work / "face.png").read_bytes())
        assert browser.until_done(identity)["cloaked"] is not None
        for which in ("original", "cloaked"):
            assert browser.ask("GET", f"/photos/{identity}/{which}/small.jpg")[:2] == b"\xff\xd8"
        stop(page)
    lines = trace.read_text(errors="replace").splitlines()
    assert [line for line in lines if "AF_INET6" in line or "AF_NETLINK" in line or "resolve" in line] == []
    inet = [line for line in lines if "AF_INET" in line]
    assert [line for line in inet if "connect(" in line or "sendto(" in line] == []
    bound = [line for line in inet if "bind(" in line]
    assert len(bound) == 1
    assert 'inet_addr("127.0.0.1")' in bound[0]
    assert home.strangers() == []


IMPORTS = [
    "uncnn.daemon",
    "uncnn.exporters",
    "uncnn.plugins",
    "uncnn.plugins.recognisers.sessions",
    "uncnn.plugins.api",
]


@pytest.mark.parametrize("module", IMPORTS)
def test_importing_any_part_switches_telemetry_off_whatever_the_environment_says(module: str) -> None:
    code = f"import {module}, os, sys; assert 'onnxruntime' not in sys.modules; print(os.environ['{SWITCH}'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, SWITCH: "0"}, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


SWITCH = "ORT_DISABLE_TELEMETRY"
SESSION = (
    "import time, uncnn.plugins.recognisers.sessions as s; "
    "s.make_session('{model}', ['CPUExecutionProvider']); time.sleep({n})"
)
ALONE = "import time, onnxruntime; onnxruntime.InferenceSession('{model}'); time.sleep({n})"


@pytest.mark.slow
@pytest.mark.parametrize(("code", "reaches"), [(SESSION, False), (ALONE, True)])
def test_a_persons_own_python_reaches_nobody_where_onnxruntime_alone_would(
    tmp_path: Path, code: str, reaches: bool
) -> None:
    """The second one shows that this test sees what it looks for."""
    home = OfflineHome(tmp_path / "own").make()
    answer = home.run("-c", code.format(model=OWN, n=TELEMETRY_SECONDS), program=[sys.executable])
    assert (answer.status != 0, bool(home.strangers())) == (reaches, reaches)
    if tracer():
        assert bool(answer.reached) == reaches


REACH = "import socket, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}]).check_returncode()"


@pytest.mark.parametrize(
    ("code", "reaches"),
    [
        ("import socket; socket.socket(socket.AF_INET)", True),
        ("import socket; socket.socket(socket.AF_INET6)", True),
        ("import socket; socket.getaddrinfo('uncnn.invalid', 80)", True),
        ("import socket; socket.socket(socket.AF_UNIX)", False),
    ],
)
def test_the_filter_kills_a_child_that_reaches_out(tmp_path: Path, code: str, reaches: bool) -> None:
    home = OfflineHome(tmp_path / "child").make()
    answer = home.run("-c", REACH.format(code=code), program=[sys.executable])
    if answer.status == 3:
        pytest.skip("this kernel takes no filter of system calls (seccomp)")
    assert ("died with <Signals.SIGSYS" in answer.said) == reaches
    if tracer():
        assert bool(answer.reached) == reaches


def test_no_benchmark_imports_onnxruntime_by_itself() -> None:
    """They import uncnn, which does; tests do after tests/conftest.py, which imports uncnn."""
    for file in (ROOT / "benchmarks").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) onnxruntime", file.read_text(), re.MULTILINE), file

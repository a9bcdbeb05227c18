"""What a decoder can do that a stranger's file has taken over: one plays it, in a real process of uncnn's."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.protect.processes import Child
from uncnn.daemon.sandbox import landlock, rules, seccomp
from uncnn.daemon.sandbox.entering import offered
from uncnn.daemon.sandbox.protection import Protection, held_in_all
from uncnn.daemon.sandbox.rules import Sandbox, sandbox_for

sys.path.insert(0, str(Path(__file__).parents[1] / "spawned"))

import malicious_decoder

needs_landlock = pytest.mark.skipif(
    landlock.version() == 0, reason="this kernel has no Landlock, or it is switched off"
)
needs_seccomp = pytest.mark.skipif(not seccomp.available(), reason="this kernel has no seccomp filters")

REFUSED = {errno.EACCES, errno.EPERM}
SECONDS = 300.0  # a machine that does much else

Try = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with a letter, a publish folder and a spool."""
    home = tmp_path_factory.mktemp("home")
    for name in ("Cloaked", "spool", "models"):
        (home / name).mkdir()
    (home / "letter").write_text("dear diary")
    (home / "Cloaked" / "released.jpg").write_text("cloaked")
    (home / "spool" / "photo").write_text("a photo")
    (home / "models" / "card.yaml").write_text("a card")
    return home


@pytest.fixture(scope="module")
def sandbox(home: Path) -> Sandbox:
    return sandbox_for(home / "spool", [home / "models"], "cpu")


@pytest.fixture(scope="module")
def decoder(sandbox: Sandbox) -> Iterator[Child]:
    child = Child("worker", malicious_decoder.make_malicious, sandbox, ["imaplib"])
    yield child
    child.close()


@pytest.fixture
def attempt(decoder: Child) -> Try:
    def attempt(trick: str, on: object = "") -> dict[str, Any]:
        return decoder.call(malicious_decoder.Try(trick, str(on)), SECONDS)

    return attempt


def test_it_goes_on_with_what_it_needs(attempt: Try, home: Path) -> None:
    assert attempt("read", home / "spool" / "photo") == {"done": "a photo"}
    assert attempt("write", home / "spool" / "candidate") == {"done": "9"}
    assert attempt("read", home / "models" / "card.yaml") == {"done": "a card"}
    assert attempt("know") == {"done": "colorsys"}
    assert attempt("imported", "imaplib") == {"done": "True"}


@needs_landlock
@pytest.mark.parametrize("trick", ["read", "from a thread", "write", "remove", "link", "rename", "truncate"])
def test_it_touches_no_file_of_the_home(attempt: Try, home: Path, trick: str) -> None:
    assert attempt(trick, home / "letter")["refused"] in REFUSED
    assert (home / "letter").read_text() == "dear diary"


@needs_seccomp
@pytest.mark.parametrize("trick", ["chmod", "age", "truncate"])
def test_it_changes_no_files_attributes(attempt: Try, home: Path, trick: str) -> None:
    before = (home / "letter").stat()
    assert attempt(trick, home / "letter")["refused"] in REFUSED
    after = (home / "letter").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@needs_landlock
def test_it_lists_no_folder_of_the_home(attempt: Try, home: Path) -> None:
    assert attempt("list", home)["refused"] in REFUSED
    assert attempt("list", Path.home())["refused"] in REFUSED


@needs_landlock
def test_it_cannot_write_to_a_publish_folder(attempt: Try, home: Path) -> None:
    assert attempt("write", home / "Cloaked" / "uncloaked.jpg")["refused"] in REFUSED
    assert attempt("write", home / "Cloaked" / "released.jpg")["refused"] in REFUSED
    assert [path.name for path in (home / "Cloaked").iterdir()] == ["released.jpg"]


@needs_landlock
def test_it_changes_no_model_and_no_software(attempt: Try, home: Path) -> None:
    assert attempt("write", home / "models" / "card.yaml")["refused"] in REFUSED
    assert attempt("write", Path(rules.__file__).with_name("more.py"))["refused"] in REFUSED


@needs_seccomp
@pytest.mark.parametrize(
    "family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET]
)
def test_it_opens_no_socket(attempt: Try, family: int) -> None:
    assert attempt("socket", int(family))["refused"] in REFUSED


@needs_seccomp
@pytest.mark.parametrize("trick", ["trace", "end", "memory of", "pidfd"])
def test_it_does_nothing_to_the_supervisor(attempt: Try, trick: str) -> None:
    assert attempt(trick, os.getpid())["refused"] in REFUSED


@needs_seccomp
@pytest.mark.parametrize("trick", ["start", "fork", "unshare", "io_uring"])
def test_it_starts_no_program_and_finds_no_way_around(attempt: Try, trick: str) -> None:
    assert attempt(trick, "/bin/true")["refused"] in REFUSED


@needs_seccomp
def test_it_gains_no_privileges(attempt: Try) -> None:
    said = dict(line.split(":\t", 1) for line in attempt("status")["done"].splitlines() if ":\t" in line)
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")


def test_it_leaves_no_core_dump_and_no_one_reads_its_memory(attempt: Try) -> None:
    assert attempt("dumps") == {"done": "(0, 0, 0)"}


@pytest.mark.parametrize("trick", ["fill", "fill shared"])
def test_it_ends_at_its_limit_of_memory(sandbox: Sandbox, trick: str) -> None:
    """What is shared with nobody is counted by its addresses, which leave room for the threads' own."""
    child = Child("worker", malicious_decoder.make_malicious, replace(sandbox, memory_bytes=1 << 30))
    try:
        assert child.call(malicious_decoder.Try("fill", str(100 << 20)), SECONDS) == {"said": f"{100 << 20} bytes"}
        if trick == "fill":
            assert child.call(malicious_decoder.Try("fill", str(2 << 30)), SECONDS) == {"said": "MemoryError"}
        else:
            more = str((18 + (os.cpu_count() or 1)) << 30)
            assert child.call(malicious_decoder.Try("fill shared", more), SECONDS) == {"refused": errno.ENOMEM}
    finally:
        child.close()


@needs_landlock
@needs_seccomp
def test_a_program_that_is_named_is_started_under_the_same_rules(home: Path) -> None:
    allowed = sandbox_for(home / "spool", [], "cpu", ["cat"])
    child = Child("verifier", malicious_decoder.make_malicious, allowed)
    try:
        assert child.call(malicious_decoder.Try("start", str(allowed.programs[0])), SECONDS) == {"done": ""}
        assert child.call(malicious_decoder.Try("start", sys.executable), SECONDS)["refused"] in REFUSED
        assert child.call(malicious_decoder.Try("end", str(os.getpid())), SECONDS)["refused"] in REFUSED
    finally:
        child.close()


def test_what_holds_is_said(decoder: Child, attempt: Try) -> None:
    attempt("know")
    said = decoder.protection
    assert said is not None
    assert said.landlock == landlock.version()
    assert said.seccomp is seccomp.available()
    assert said.missing == offered().missing
    assert said.memory_bytes is not None
    assert said.words.startswith("decoders run in a sandbox: ") or not (said.landlock or said.seccomp)


def test_what_cannot_be_had_is_said_and_the_rest_holds() -> None:
    """In a process of its own, since it is for good: one with a second thread, to which Landlock does not come."""
    code = """
import threading, time
from pathlib import Path
from typing import Any
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
from uncnn.daemon.sandbox.entering import enter
from uncnn.daemon.sandbox.rules import sandbox_for
print(enter(sandbox_for(Path("/tmp"), [], "cpu")).words)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert "missing: " in answer.stdout
    assert "Landlock" in answer.stdout.partition("missing")[2]
    assert ("seccomp" in answer.stdout.partition("missing")[0]) is seccomp.available()


def test_of_two_processes_the_weaker_counts() -> None:
    both = held_in_all([Protection(6, True, 8, ()), Protection(0, True, None, ("Landlock",))])
    assert both == Protection(0, True, None, ("Landlock",))
    assert held_in_all([Protection(6, True), None]).words == "decoders run without a sandbox; missing: not entered"


def test_a_folder_that_holds_the_home_is_no_software(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python puts the folder of a script on its path, which may be the home."""
    home = tmp_path / "home"
    (home / "code").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "path", ["", str(home), str(tmp_path), str(home / "code")])
    found = rules.software()
    assert home / "code" in found
    assert not {home, tmp_path, Path("/"), Path.cwd()} & set(found)


@pytest.mark.parametrize("group", ["uncnn.attacks", "uncnn.detectors"])
def test_a_plugin_of_somebody_else_can_be_read_wherever_it_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: str
) -> None:
    """As one that is installed in place, whose folder an import hook knows and Python's path does not."""
    (tmp_path / "their_attack").mkdir()
    (tmp_path / "their_attack" / "__init__.py").touch()
    entry = EntryPoint("theirs", "their_attack.module:Theirs", group)
    missing = EntryPoint("gone", "no_such_package:Gone", group)
    monkeypatch.setattr(rules, "entries", lambda asked: {"theirs": entry, "gone": missing} if asked == group else {})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert tmp_path / "their_attack" in rules.software()


def test_a_gpu_is_there_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setattr(rules, "_GPU_DEVICES", (f"{tmp_path}/nvidia*",))
    assert sandbox_for(tmp_path, [], "auto").gpu
    assert device in sandbox_for(tmp_path, [], "cuda:0").devices
    assert not sandbox_for(tmp_path, [], "cpu").gpu
    assert device not in sandbox_for(tmp_path, [], "cpu").devices


def test_the_numbers_of_the_system_calls_are_those_of_the_kernels_headers() -> None:
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip("needs the kernel's headers: apt install linux-libc-dev")
    numbers = _numbers(header.read_text())
    theirs = {name: each[1] for name, each in seccomp._OTHERS.items() if each[1] is not None}
    assert {name: numbers[name] for name in theirs} == theirs
    assert all(numbers.get(name, number) == number for name, number in seccomp._BOTH.items())


def test_the_numbers_of_x86_are_those_of_the_kernels_headers() -> None:
    header = next(Path("/usr/include").glob("*/asm/unistd_64.h"), None)
    if header is None:
        pytest.skip("needs the kernel's headers for x86_64: apt install linux-libc-dev")
    numbers = _numbers(header.read_text())
    theirs = {name: each[0] for name, each in seccomp._OTHERS.items() if each[0] is not None}
    assert {name: numbers[name] for name in theirs} == theirs


def _numbers(header: str) -> dict[str, int]:
    found = {}
    for line in header.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "#define" and words[1].startswith("__NR") and words[2].isdigit():
            found[words[1].removeprefix("__NR3264_").removeprefix("__NR_")] = int(words[2])
    return found

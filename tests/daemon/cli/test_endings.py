"""No command ever ends with a traceback, whatever its terminal, its home, its user and its machine are like.

The commands are found from the application, so that a new one is covered; the long walk is `slow`. Each command is
tried under a few of the conditions, in turns; with UNCNN_WALK=whole in the environment under every one (hours).
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from every_command import commands
from offline import PROGRAM, make_people
from PIL import Image
from test_offline import CONFIGURATION, OWN, OWN_INPUT, QUICK, REACHES_OUT, SLOW

from uncnn.daemon.output import ERROR, NOT_RUNNING, OK, USAGE

SANE = {0, 1, 2, 3, 4, 5, 6, 78}
NAMELESS = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
"""Runs a command as a user without a name or rights, who owns what the tests' user owns."""

COLOUR = re.compile(r"\x1b\[(\d+;)*[34][0-7]m")


@dataclass(frozen=True)
class Ended:
    """What became of a command: its exit status, and all that it said."""

    status: int
    said: str


@dataclass(frozen=True)
class Bed:
    """A home, a folder of photos to work in, and how commands are started there."""

    root: Path
    before: Sequence[str] = ()  # what the program is started by
    environment: dict[str, str | None] = field(default_factory=dict)  # None: not there

    def make(self, people: int = 0) -> Bed:
        (self.root / "home").mkdir()
        (self.root / "work" / "in").mkdir(parents=True)
        face = Image.fromarray(pytest.importorskip("skimage").data.astronaut()).crop((130, 0, 330, 200))
        for place in ("face.png", "in/face.png"):
            face.save(self.root / "work" / place)
        (self.root / "work" / "config.yaml").write_text(CONFIGURATION)
        if people:
            make_people(self.root / "work" / "people", face, people)
        return self

    def start(self, arguments: Sequence[object], **streams: int | None) -> subprocess.Popen[bytes]:
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "UNCNN_CONFIG": str(self.root / "work" / "config.yaml"),
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        return subprocess.Popen(
            [*self.before, str(PROGRAM), *map(str, arguments)],
            env={key: value for key, value in own.items() if value is not None},
            cwd=self.root / "work",
            **streams,
        )

    def run(self, arguments: Sequence[object], stdout: int = subprocess.PIPE) -> Ended:
        with self.start(arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE) as running:
            said = [part.decode() for part in running.communicate(timeout=600) if part]
            return Ended(running.returncode, "".join(said))


def closed(bed: Bed, arguments: Sequence[object]) -> Ended:
    """Run a command whose three streams are closed; none is left for a traceback, so that is looked for apart."""
    with_error = Bed(bed.root, ["sh", "-c", 'exec "$0" "$@" <&- >&-'], bed.environment)
    ended = with_error.run(arguments, stdout=subprocess.DEVNULL)
    without = Bed(bed.root, ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'], bed.environment)
    assert without.run([*arguments, "--help"], stdout=subprocess.DEVNULL) == Ended(OK, "")
    return ended


def full(bed: Bed, arguments: Sequence[object]) -> Ended:
    with Path("/dev/full").open("wb") as device:
        ended = bed.run(arguments, stdout=device.fileno())
    assert ended.status != 0, "what it says is lost"
    return ended


def broken(bed: Bed, arguments: Sequence[object]) -> Ended:
    """Run a command whose reader is gone before it begins."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return bed.run(arguments, stdout=writer)
    finally:
        os.close(writer)


def no_home(bed: Bed, arguments: Sequence[object]) -> Ended:
    """Run it as a user without a home: no HOME, and no name by which one could be found."""
    return Bed(bed.root, NAMELESS, {"HOME": None}).run(arguments)


def empty_home(bed: Bed, arguments: Sequence[object]) -> Ended:
    return Bed(bed.root, environment={"HOME": "", "UNCNN_STATE": str(bed.root / "state")}).run(arguments)


def nameless(bed: Bed, arguments: Sequence[object]) -> Ended:
    return Bed(bed.root, NAMELESS).run(arguments)


def read_only(bed: Bed, arguments: Sequence[object]) -> Ended:
    """Run it in a home that may only be read; a user with rights over all files would not notice."""
    (bed.root / "home").chmod(0o555)
    try:
        return Bed(bed.root, NAMELESS).run(arguments)
    finally:
        (bed.root / "home").chmod(0o755)


def one_processor(bed: Bed, arguments: Sequence[object]) -> Ended:
    first = str(min(os.sched_getaffinity(0)))
    return Bed(bed.root, ["taskset", "--cpu-list", first], {"OMP_NUM_THREADS": None}).run(arguments)


def ascii_only(bed: Bed, arguments: Sequence[object]) -> Ended:
    return Bed(bed.root, environment={"PYTHONIOENCODING": "ascii"}).run(arguments)


def narrow(bed: Bed, arguments: Sequence[object]) -> Ended:
    """Run it on a terminal of 40 columns."""
    return on_terminal(Bed(bed.root, environment={"TERM": "xterm-256color"}), arguments)


def without_colour(bed: Bed, arguments: Sequence[object]) -> Ended:
    ended = on_terminal(Bed(bed.root, environment={"TERM": "xterm-256color", "NO_COLOR": "1"}), arguments)
    assert COLOUR.search(ended.said) is None
    return ended


CONDITIONS = [
    closed,
    full,
    broken,
    no_home,
    empty_home,
    nameless,
    read_only,
    one_processor,
    ascii_only,
    narrow,
    without_colour,
]
FREE = {full, no_home, read_only}
"""Conditions that change what a command comes to: it says so in a line."""


def on_terminal(bed: Bed, arguments: Sequence[object], columns: int = 40) -> Ended:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with bed.start(arguments, stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        said, deadline = b"", time.monotonic() + 600
        while time.monotonic() < deadline:
            if select.select([master], [], [], 1.0)[0]:
                try:
                    said += os.read(master, 65536)
                except OSError:  # the other end is closed
                    break
        os.close(master)
        return Ended(running.wait(300), said.decode(errors="replace"))


def can(condition: Callable[[Bed, Sequence[object]], Ended]) -> None:
    """Skip a test whose condition this machine cannot make."""
    if condition in (no_home, nameless, read_only):
        tried = shutil.which(NAMELESS[0]) and subprocess.run([*NAMELESS, sys.executable, "-c", ""], check=False)
        if not tried or tried.returncode:
            pytest.skip("this system lets nobody become a user without a name (unshare --user)")


def check(ended: Ended, command: str, sane: set[int] = SANE) -> None:
    assert "Traceback" not in ended.said, f"{command}: {ended.said}"
    assert "internal error" not in ended.said, f"{command}: {ended.said}"
    assert "Exception ignored" not in ended.said, f"{command}: {ended.said}"
    assert ended.status in sane, f"{command}: {ended}"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return Bed(tmp_path_factory.mktemp("bed")).make()


USUAL = {"--help": OK, "status": NOT_RUNNING, "models list": OK}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_few_commands_end_in_order(bed: Bed, condition: Callable[[Bed, Sequence[object]], Ended]) -> None:
    can(condition)
    with ThreadPoolExecutor(2) as threads:
        for command, ended in zip(USUAL, threads.map(lambda each: condition(bed, each.split()), USUAL), strict=True):
            check(ended, command)
            assert condition in FREE or ended.status == USUAL[command], f"{command}: {ended}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(each, marks=pytest.mark.long) if each in (closed, empty_home, nameless) else each
        for each in CONDITIONS
    ],
)
def test_every_command_ends_in_order(tmp_path: Path, condition: Callable[[Bed, Sequence[object]], Ended]) -> None:
    can(condition)
    bed = Bed(tmp_path).make(people=3)
    if condition in (no_home, nameless, read_only):
        (bed.root / "work" / "out").mkdir()
    for command, arguments in every_command():
        if condition in conditions_of(command):
            check(condition(bed, arguments), command)


LESS: dict[str, tuple[list[object], int]] = {
    "archive ray": (["nowhere"], USAGE),
    "augment": (["people/person0", "-o", "spoofed", "--set", "steps=1"], OK),
    "evaluate": (["people", "--people", "2", "--photos", "2", "--strength", "subtle", "--view", "as-is"], OK),
    "models add": ([OWN, "--name", "own", "--role", "judge", *OWN_INPUT, "--yes"], OK),
    "models check": (["dlib-resnet"], OK),
    "serve": ([], USAGE),
    "web": (["--origin", "nowhere"], USAGE),
}
"""What takes too long as the test of networks has it, or for ever: here every command runs many times."""


WHOLE = os.environ.get("UNCNN_WALK") == "whole"


def conditions_of(command: str) -> list[Callable[[Bed, Sequence[object]], Ended]]:
    """Return under which conditions a command is tried: two, and of those that load models one."""
    if WHOLE:
        return CONDITIONS
    number = zlib.crc32(command.encode())
    steps = (0,) if command in SLOW else (0, 5)
    return [CONDITIONS[(number + step) % len(CONDITIONS)] for step in steps]


def every_command() -> list[tuple[str, list[object]]]:
    """Return every command with what the test of networks gives it, or with the least that it takes."""
    known = {**QUICK, **SLOW, **LESS}
    least = commands()
    chosen = [*known, *(command for command in least if command not in known)]
    given: list[tuple[str, list[object]]] = []
    for command in chosen:
        more = ["--from", "."] if command in REACHES_OUT else known.get(command, (least.get(command, []), 0))[0]
        given.append((command, [*command.split(), *more]))
    return given


@pytest.mark.parametrize("command", USUAL)
def test_an_interrupt_at_any_moment_ends_a_command_in_silence(bed: Bed, command: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        moments = [random.Random(number).uniform(0.0, 0.5) for number in range(2)]
        for ended in threads.map(lambda moment: interrupted(bed, command.split(), moment), moments):
            check(ended, command, {*SANE, -signal.SIGINT})


@pytest.mark.slow
def test_an_interrupt_at_any_moment_ends_every_command_in_silence(tmp_path: Path) -> None:
    bed, choice = Bed(tmp_path).make(people=3), random.Random(0)
    for command, arguments in [*every_command(), ("run", ["run"]), ("status", ["status", "--watch"])]:
        for _ in range(3 if WHOLE else 1):
            moment = choice.choice([choice.uniform(0.05, 1.0), choice.uniform(0.5, 8.0)])
            check(interrupted(bed, arguments, moment), command, {*SANE, -signal.SIGINT})
    assert list((tmp_path / "home" / ".local" / "state" / "uncnn" / "spool").iterdir()) == []


def interrupted(bed: Bed, arguments: Sequence[object], moment: float) -> Ended:
    """Start a command on a terminal and press Ctrl-C there, which reaches all of its processes.

    Python takes signals before the program's first line, and speaks of one then: that much is left alone.
    """
    master, slave = pty.openpty()
    hearing = Bed(bed.root, ["env", "--default-signal=INT", "setsid", "--ctty"])  # tests may run where it is ignored
    with hearing.start(arguments, stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        said, pressed = b"", False
        wait_for_the_program(running.pid)
        began = time.monotonic()
        while time.monotonic() - began < 600:
            if not pressed and time.monotonic() - began > moment:
                os.write(master, b"\x03")
                pressed = True
            if select.select([master], [], [], 0.01)[0]:
                try:
                    said += os.read(master, 65536)
                except OSError:
                    break
        os.close(master)
        return Ended(running.wait(300), said.decode(errors="replace"))


def wait_for_the_program(process: int) -> None:
    """Wait until Python has taken SIGINT for itself, and the program has given it back to the system."""
    taken, deadline = False, time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
        hears = caught is not None and bool(int(caught[1], 16) & 1 << (signal.SIGINT - 1))
        if taken and not hears:
            return
        taken = taken or hears
        if "State:\tZ" in status:
            return
        time.sleep(0.0005)


def test_a_reader_that_leaves_ends_the_watch(bed: Bed) -> None:
    with bed.start(["status", "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.wait(300) == NOT_RUNNING
        assert running.stderr is not None
        assert running.stderr.read() == b""


@pytest.mark.slow
def test_a_photo_is_cloaked_though_nobody_reads_what_is_said(bed: Bed) -> None:
    Image.new("RGB", (60, 60), "grey").save(bed.root / "work" / "plain.png")
    ended = full(bed, ["cloak", "plain.png", "-o", "cloaked"])
    assert ended.status == ERROR
    assert ended.said == "uncnn-daemon: the output cannot be written: the disk is full; free some space on it\n"
    assert [path.name for path in (bed.root / "work" / "cloaked").iterdir()] == ["plain.png"]


def test_a_name_that_the_terminal_cannot_show_is_written_as_an_escape(bed: Bed) -> None:
    (bed.root / "work" / "other.yaml").write_text("folders: [{watch: Ж, publish: out}]\n")
    ended = ascii_only(bed, ["config", "show", "--config", "other.yaml"])
    check(ended, "config show", {OK})
    assert "/\\u0416\n" in ended.said


def test_a_fault_of_our_own_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; from uncnn.daemon.commands import status\n"
        "def broken(as_json): raise KeyError('x\\ny')\n"
        "status.print_status = broken\n"
        "sys.argv = ['uncnn-daemon', 'status']\n"
        "from uncnn.daemon.cli.entry import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == ERROR
    (line,) = done.stderr.splitlines()
    assert line.startswith("uncnn-daemon: internal error, KeyError: 'x")


LOG = (
    "import os, sys\n"
    "from uncnn.daemon.service.folder_supervisor import say\n"
    "reader, writer = os.pipe(); os.close(reader); os.dup2(writer, 2)\n"
    "say('one'); say('two'); os._exit(0)\n"
)


def test_a_log_that_nobody_reads_ends_no_service() -> None:
    assert subprocess.run([sys.executable, "-c", LOG], check=False).returncode == 0

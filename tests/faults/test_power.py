"""The power fails at every instant: what was not made durable may be gone, in part or all, and nothing comes of it.

A run is recorded by strace, and what it wrote is replayed on a disk that forgets (`disk`). After each call the least
that is sure is looked at, and draws of what else may be left; from a sample of them the next run goes on in earnest.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from disk import Disk, Image, failures, written
from scene import Scene
from stub_engine import stub_for
from system_calls import Call, calls, traced

from uncnn.daemon.ledger import Ledger, LedgerError, State
from uncnn.daemon.output import OK

pytestmark = pytest.mark.slow

ONCE = Path(__file__).parents[1] / "daemon" / "spawned" / "stub_once.py"
PHOTOS = {"a.jpg": "good a" * 300, "sub/b.jpg": "good b" * 300, "sub/c.jpg": "no face"}
RELEASED = {name: f"cloaked {content}" for name, content in PHOTOS.items()}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of small files that nobody keeps
CONTINUED = 24  # runs that go on, a second or more each


@pytest.fixture(params=["without a name", "named", "claimed"], scope="module")
def recorded(request: pytest.FixtureRequest) -> Iterator[tuple[Scene, list[Call]]]:
    """Give a scene and what a run on it wrote, with three ways of writing a file that is to be released."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with TemporaryDirectory(dir=MEMORY) as root:
        scene = Scene(Path(root))
        for name, content in PHOTOS.items():
            scene.put(name, content)
        (scene.root / "data").mkdir()
        environment = {**os.environ, "UNCNN_STATE": str(scene.state), "XDG_DATA_HOME": str(scene.root / "data")}
        log = scene.root / "calls"
        done = traced([sys.executable, str(ONCE), str(scene.root / "config.yaml"), request.param], environment, log)
        if "ptrace" in done.stderr.lower():
            pytest.skip(f"tracing is not permitted here: {done.stderr.splitlines()[-1]}")
        assert done.returncode == OK, done.stderr
        assert scene.published() == RELEASED
        yield scene, list(calls(log))


def kept(image: Image) -> Image:
    """Leave out what the next run makes anew: the spool, and SQLite's shared memory."""
    return {
        name: content
        for name, content in image.items()
        if name.startswith(("state/", "out/")) and not name.startswith("state/spool/") and not name.endswith("-shm")
    }


def distinct(disk: Disk, made: list[Call], each: int) -> list[Image]:
    """Return what power failures leave, each once, in their order."""
    found = {
        frozenset(image.items()): image for _, _, left in failures(disk, iter(made), 17, each) if (image := kept(left))
    }
    return list(found.values())


def wrong(image: Image) -> str:
    """Return which invariant of the ledger does not hold in what is left, "" where all do."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        written(image, Path(folder))
        try:
            return _wrong(image, Path(folder) / "state" / "ledger.sqlite3")
        except LedgerError as error:
            return f"it cannot be opened: {error}"


def _wrong(image: Image, file: Path) -> str:
    out = {name.removeprefix("out/"): content.decode() for name, content in image.items() if name.startswith("out/")}
    claimed = {content for name, content in out.items() if name.endswith(".claim")}
    out = {name: content for name, content in out.items() if name and not name.endswith(("/", ".part", ".claim"))}
    out = {name: content for name, content in out.items() if name not in claimed or not is_mark(content)}
    for name, content in out.items():
        if content != RELEASED.get(name):
            return f"{name} has {len(content)} bytes that nobody verified"
    known: dict[str, State] = {}
    if file.exists():
        with Ledger(file) as ledger:
            known = {os.fspath(job.published): job.state for job in ledger.jobs() if job.published is not None}
    if missing := [name for name, state in known.items() if state is State.PUBLISHED and name not in out]:
        return f"{missing[0]} is published, and not there"
    if unknown := [name for name in out if known.get(name) not in {State.PUBLISHING, State.PUBLISHED}]:
        return f"{unknown[0]} is there, and the ledger does not know it"
    return ""


def is_mark(content: str) -> bool:
    """Return whether this is what holds a name until the photo takes it, or a part of that."""
    return len(content) <= 28 and ".uncnn-".startswith(content[:7])


def test_nothing_is_lost_or_half_or_unknown_after_any_failure(
    recorded: tuple[Scene, list[Call]],
) -> None:
    scene, made = recorded
    images = distinct(Disk(scene.root), made, 3)
    assert len(images) > 100
    assert any(set(RELEASED) <= {name.removeprefix("out/") for name in image} for image in images)
    assert [found for image in images if (found := wrong(image))] == []


FORGOTTEN: list[tuple[str, Callable[[str], bool], str]] = [
    (
        "the released files",
        lambda path: path.startswith("out/") and path.rpartition("/")[2][:1] in "#.",
        "nobody verified",
    ),
    ("their names", lambda path: path in {"out", "out/sub"}, "is published, and not there"),
    ("the ledger", lambda path: path.startswith("state/"), "the ledger does not know it"),
    ("the folders that they are in", lambda path: path == "", "is published, and not there"),
]


@pytest.mark.parametrize(("forgets", "words"), [each[1:] for each in FORGOTTEN], ids=[each[0] for each in FORGOTTEN])
def test_what_is_not_made_durable_is_noticed(
    recorded: tuple[Scene, list[Call]], forgets: Callable[[str], bool], words: str
) -> None:
    """Without this the test above would show nothing: a disk that does not do what it is told is found out."""
    scene, made = recorded
    found = []
    for image in distinct(Disk(scene.root, forgets), made, 3):
        found.append(wrong(image))
        if words in found[-1]:
            return
    pytest.fail(f"nothing of {words!r} in {sorted(set(found))}")


def test_the_next_run_publishes_every_photo_once(
    recorded: tuple[Scene, list[Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, made = recorded
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    monkeypatch.setenv("XDG_DATA_HOME", str(scene.root / "data"))
    monkeypatch.setattr("uncnn.daemon.commands.run_once.engine_for", stub_for)
    images = distinct(Disk(scene.root), made, 1)
    for image in islice(images, 0, None, max(len(images) // CONTINUED, 1)):
        for folder in (scene.state, scene.publish):
            shutil.rmtree(folder, ignore_errors=True)
        written(image, scene.root)
        assert scene.run() == OK
        assert scene.published() == RELEASED
        assert scene.states() == dict.fromkeys(PHOTOS, State.PUBLISHED)
        scene.check()

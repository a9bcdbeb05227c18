"""A watched folder in the service: events that do not come, folders that may be seen and not be looked into."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.config import Folder, Policy
from uncnn.daemon.files.scan import candidates
from uncnn.daemon.ledger import Ledger
from uncnn.daemon.service.folder_supervisor import FolderSupervisor
from uncnn.daemon.service.worker_thread import Task
from uncnn.daemon.watch.backlog import SourceFolder
from uncnn.daemon.watch.events import Hints
from uncnn.daemon.watch.folder import SCAN_ONLY_SECONDS, SCAN_SECONDS, WatchedFolder
from uncnn.daemon.watch.mounts import network_file_system


class Silent:
    """Events of a folder whose file system gives none of its own; a test says which come."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        self.hints = Hints()

    def take(self) -> Hints:
        taken, self.hints = self.hints, Hints()
        return taken

    def healthy(self) -> bool:
        return True

    def stop(self) -> None:
        pass


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedFolder]:
    monkeypatch.setattr("uncnn.daemon.watch.folder.Events", Silent)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "first.jpg").write_text("first")
    folder = WatchedFolder(tmp_path / "in", 0.0, lambda: None)
    folder.check(0.0)
    scan(folder, 0.0)
    yield folder
    folder.close()


def scan(folder: WatchedFolder, now: float) -> None:
    assert folder.scan_due(now)
    found = list(candidates(folder.folder))
    folder.scanned(found, found, now)


def test_a_file_that_no_event_told_of_lets_the_folder_be_scanned(watched: WatchedFolder) -> None:
    assert (watched.mode, watched.missed) == ("events", 0)
    (watched.folder / "a.jpg").write_text("a")
    scan(watched, 15.0)
    watched.check(16.0)
    assert watched.missed == 0  # its event may still come
    watched.check(26.0)
    assert watched.missed == 1
    assert watched.mode == "events, and scans every 15 s: some files arrived without an event"
    watched.check(36.0)
    assert watched.missed == 1
    for number in range(3):
        at = 41.0 + number * SCAN_ONLY_SECONDS
        assert watched.next_due() is not None
        assert watched.next_due() <= at
        watched.settling.due(at)
        scan(watched, at)
        assert watched.scan_due(at + SCAN_ONLY_SECONDS)
    watched.open(200.0)  # as after a reload: what was found out holds
    assert watched.mode == "events, and scans every 15 s: some files arrived without an event"


def test_a_file_that_changed_without_an_event_counts_too(watched: WatchedFolder) -> None:
    (watched.folder / "first.jpg").write_text("something else")
    scan(watched, 15.0)
    watched.check(26.0)
    assert watched.missed == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_event_before_or_shortly_after_the_scan_is_enough(watched: WatchedFolder, when: str) -> None:
    (watched.folder / "a.jpg").write_text("a")
    if when == "before":
        watched._events.hints.paths.add(Path("a.jpg"))
        watched.take_hints(14.0)
    scan(watched, 15.0)
    if when == "after":
        watched._events.hints.paths.add(Path("a.jpg"))
        watched.take_hints(15.1)
    watched.check(26.0)
    assert (watched.missed, watched.mode) == (0, "events")


def test_what_a_moved_folder_brings_needs_no_event_each(watched: WatchedFolder) -> None:
    (watched.folder / "moved").mkdir()
    (watched.folder / "moved" / "a.jpg").write_text("a")
    watched._events.hints.scan = True
    watched.take_hints(14.0)
    scan(watched, 15.0)
    watched.check(26.0)
    assert (watched.missed, watched.mode) == (0, "events")


def test_scans_become_rare_where_nothing_is_missed(watched: WatchedFolder) -> None:
    waits, now = [], 15.0
    for _ in range(8):
        scan(watched, now)
        due = watched._scan_at
        waits.append(due - now)
        now = due
    assert waits == [30.0, 60.0, 120.0, 240.0, SCAN_SECONDS, SCAN_SECONDS, SCAN_SECONDS, SCAN_SECONDS]


@pytest.mark.parametrize("kind", ["vboxsf", "prl_fs", "hgfs", "fakeowner", "fuse.vmhgfs-fuse", "fuse.rclone", "9p"])
def test_shared_folders_of_virtual_machines_are_known(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:50 / /media/sf rw - {kind} host rw\n")
    assert network_file_system(Path("/media/sf/in"), mounts) == kind


class Idle:
    """A worker thread in which nothing is done."""

    def put(self, task: Task) -> None:
        pass

    def has(self, number: int, relative: Path) -> bool:
        return False

    def waiting(self, number: int) -> list[Task]:
        return []

    def take_back(self, number: int) -> None:
        pass


@contextmanager
def served_place(watch: Path, publish: Path, file: Path) -> Iterator[FolderSupervisor]:
    """Give a folder as the service tends it, with a ledger in `file`."""
    with Ledger(file) as ledger:
        ledger.folders.watch([(watch, publish)])
        policy = Policy()
        source = SourceFolder(1, Folder(watch=watch, publish=publish, policy="everyday"), policy, policy.digest())
        yield FolderSupervisor(source, WatchedFolder(watch, 0.0, lambda: None), ledger, Idle())


def test_a_folder_that_may_be_seen_and_not_be_listed_stays_blocked_until_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("uncnn.daemon.watch.folder.Events", Silent)
    watch, publish, file = tmp_path / "in", tmp_path / "out", tmp_path / "ledger.sqlite3"
    for folder in (watch, publish):
        folder.mkdir()
    allowed = []

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".") -> Any:
            if not allowed and path == watch:
                raise PermissionError(13, "Permission denied")
            return real(path)

        return call

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir))
    with served_place(watch, publish, file) as served:
        for now in range(0, 300, 10):
            served.check(float(now))
            served.advance(float(now))
        assert "cannot be read: permission denied" in served.blocked
        said = capsys.readouterr().err
        assert said.count("blocked") == 1
        assert "available again" not in said
        allowed.append(True)
        served.check(600.0)
        served.advance(600.0)
        assert served.blocked == ""


def test_a_folder_whose_scan_fails_though_it_can_be_listed_rests_longer_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("uncnn.daemon.watch.folder.Events", Silent)
    watch, publish, file = tmp_path / "in", tmp_path / "out", tmp_path / "ledger.sqlite3"
    for folder in (watch, publish):
        folder.mkdir()

    def failing(path: Any = ".") -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "listdir", lambda path=".": failing() if path == watch else [])
    with served_place(watch, publish, file) as served:
        for now in range(0, 600, 10):
            served.check(float(now))
            served.advance(float(now))
        assert capsys.readouterr().err.count("available again") <= 6
    assert file.exists()

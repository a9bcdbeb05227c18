"""What befalls watched folders: lost events, dead threads, folders that go and come, names that nobody wants."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import unicodedata
from contextlib import chdir
from pathlib import Path

import pytest
from running import PATIENCE_SECONDS, Running
from scene import Scene

from uncnn.daemon.ledger import State
from uncnn.daemon.watch.events import Events, _overflows
from uncnn.daemon.watch.folder import WatchedFolder
from uncnn.daemon.watch.mounts import network_file_system

pytestmark = pytest.mark.slow


def test_an_overflow_of_the_kernels_queue_asks_for_a_scan(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"the queue takes {limit} events here")
    events, before = Events(tmp_path, lambda: None), _overflows.number
    try:
        with events._observer._inotify_fd._lock:  # the reader cannot go on
            for number in range(limit + 100):
                (tmp_path / f"{number}.jpg").touch()
        deadline = time.monotonic() + 120
        while _overflows.number == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _overflows.number > before
        assert events.take().scan
    finally:
        events.stop()


@pytest.mark.parametrize("victim", ["observer", "emitter", "reader"])
def test_a_dead_thread_of_the_watcher_is_found_and_replaced(tmp_path: Path, victim: str) -> None:
    watched = WatchedFolder(tmp_path, 0.0, lambda: None)
    watched.open(0.0)
    watched.scanned([], [], 0.0)
    observer = watched._events._observer
    {"observer": observer, "emitter": next(iter(observer.emitters)), "reader": observer._inotify_fd}[victim].stop()
    time.sleep(0.1)
    assert not watched.scan_due(1.0)
    watched.check(1.0)
    assert (watched.rebuilt, watched.mode, watched.scan_due(1.0)) == (1, "events", True)
    (tmp_path / "a.jpg").touch()
    deadline = time.monotonic() + 120
    while not len(watched.settling) and time.monotonic() < deadline:
        watched.take_hints(2.0)
    assert [found.relative.name for found in watched.settled(3.0)] == ["a.jpg"]
    watched.close()


@pytest.mark.parametrize(
    ("kind", "network"), [("ext4", None), ("nfs4", "nfs4"), ("cifs", "cifs"), ("fuse.sshfs", "fuse.sshfs")]
)
def test_network_folders_are_told_by_their_mounts(tmp_path: Path, kind: str, network: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        rf"30 22 0:50 / /srv/my\040share rw,relatime shared:1 - {kind} host:/share rw" + "\n"
    )
    assert network_file_system(Path("/srv/my share/in"), mounts) == (kind if network else None)
    assert network_file_system(Path("/srv/my shared/in"), mounts) is None


def test_where_watches_run_out_it_scans_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("uncnn.daemon.watch.folder.Events", full)
    watched = WatchedFolder(tmp_path, 0.0, lambda: None)
    watched.open(0.0)
    assert "max_user_watches" in watched.mode
    watched.scanned([], [], 100.0)
    assert watched.scan_due(116.0)


def test_a_tree_that_is_copied_in_is_published_whole(running: Running) -> None:
    scene = running.scene
    tree = scene.root / "tree"
    for number in range(2000):
        (tree / str(number % 40) / str(number)).mkdir(parents=True)
    for number in range(0, 2000, 100):
        (tree / str(number % 40) / str(number) / "a.jpg").write_text(f"good {number}")
    running.until((scene.state / "run.lock").exists)
    subprocess.run(["cp", "-r", str(tree), str(scene.watch / "tree")], check=True)
    running.until(lambda: len(scene.published()) == 20)
    assert running.stop() == 0
    scene.check()


def test_a_mount_that_goes_and_comes_back_loses_nothing(running: Running) -> None:
    scene = running.scene
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", str(scene.watch)], check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        scene.put("held.jpg", "unprotected")
        running.until_said("held.jpg: held")
        keep = scene.root / "keep"
        shutil.copytree(scene.watch, keep)
    finally:
        subprocess.run(["umount", "-l", str(scene.watch)], check=True)
    running.until_said("mount its disk")
    assert scene.states() == {"held.jpg": State.HELD}
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")


def test_names_and_kinds_that_nobody_expects(running: Running) -> None:
    scene = running.scene
    names = [
        "plain.jpg",
        os.fsdecode(b"caf\xe9.jpg"),
        unicodedata.normalize("NFC", "é.jpg"),
        unicodedata.normalize("NFD", "é.jpg"),
        "CASE.jpg",
        "case.jpg",
        "a" * 251 + ".jpg",
        "new\nline.jpg",
        "$(touch pwned).jpg",
        "-rf.jpg",
    ]
    os.mkfifo(scene.watch / "fifo.jpg")
    os.mknod(scene.watch / "device.jpg", 0o600 | 0o020000, os.makedev(1, 3)) if os.geteuid() == 0 else None
    with socket.socket(socket.AF_UNIX) as listening, chdir(scene.watch):
        listening.bind("socket.jpg")
    (scene.watch / "link.jpg").symlink_to("/etc/passwd")
    (scene.watch / "loop").symlink_to(scene.watch)
    for name in names:
        scene.put(name, f"good {len(name)}")
    scene.put("empty.jpg", "damaged: empty")
    running.until(lambda: set(scene.published()) == set(names))
    running.until(lambda: scene.states().get("empty.jpg") is State.QUARANTINED)
    said = running.said()
    for kind in ("device.jpg", "fifo.jpg", "link.jpg", "and 1 more"):
        assert kind in said
    assert running.stop() == 0
    scene.check()


def test_a_photo_that_becomes_a_link_after_the_scan_is_not_followed(scene: Scene) -> None:
    secret = scene.root / "secret.jpg"
    secret.write_text("good secret")
    kill = "uncnn.daemon.jobs.photo_job:snapshot before"
    running = Running(scene, STUB_KILL=kill, STUB_KILLED=str(scene.root / "killed"))
    photo = scene.put("a.jpg", "good")
    assert running.process.wait(PATIENCE_SECONDS) == -9  # it had been scanned, had settled, and was about to be read
    photo.unlink()
    photo.symlink_to(secret)
    running.start()
    scene.put("b.jpg", "good")
    running.until_published("b.jpg")
    running.until_said("symbolic link")
    running.until(lambda: set(scene.published()) == {"b.jpg"})
    running.kill()

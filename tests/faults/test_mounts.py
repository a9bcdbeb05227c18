"""Publishing into what other programs mount: without links, with links that look like other files, with late writes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mounts import KINDS, in_user_space
from running import PATIENCE_SECONDS, Running
from scene import Scene

from uncnn.daemon.files.publish import publish, sweep, way_into
from uncnn.daemon.files.scan import candidates
from uncnn.daemon.files.ways import Way
from uncnn.daemon.ledger import State
from uncnn.daemon.watch.folder import WatchedFolder

pytestmark = pytest.mark.slow

LINKED = {"sshfs", "mergerfs", "unionfs", "bindfs", "gocryptfs"}


@pytest.mark.parametrize("kind", KINDS)
def test_many_photos_are_published_and_nothing_is_replaced(tmp_path: Path, kind: str) -> None:
    candidate, folder = tmp_path / "candidate", tmp_path / "out"
    with in_user_space(kind, tmp_path / "back", folder):
        assert way_into(folder) is (Way.LINK if kind in LINKED else Way.CLAIM)
        (folder / "sub").mkdir()
        (folder / "sub" / "0.jpg").write_bytes(b"mine")
        for number in range(40):
            candidate.write_bytes(os.urandom(50_000 + number))
            digest = hashlib.sha256(candidate.read_bytes()).hexdigest()
            wanted = f"{number}.jpg" if number else "0 (2).jpg"
            for _ in range(2):
                placed = publish(candidate, folder, Path(f"sub/{number}.jpg"), digest, None, 1_700_000_000 * 10**9)
                assert placed == folder / "sub" / wanted
                assert placed.read_bytes() == candidate.read_bytes()
        assert (folder / "sub" / "0.jpg").read_bytes() == b"mine"
        assert len(list((folder / "sub").iterdir())) == 41
        assert [path.name for path in folder.iterdir()] == ["sub"]


@pytest.mark.parametrize("kind", ["EIO", "EPERM", "rclone", "sshfs"])
def test_the_service_publishes_there_and_says_how(scene: Scene, kind: str) -> None:
    with in_user_space(kind, scene.root / "back", scene.publish):
        (scene.publish / "a.jpg").write_text("mine")
        running = Running(scene)
        scene.put("a.jpg", "good")
        running.until(lambda: scene.states() == {"a.jpg": State.PUBLISHED})
        said = subprocess.run(
            [Path(sys.executable).with_name("uncnn-daemon"), "status"], capture_output=True, text=True, check=False
        )
        assert ("temporary name" if kind == "sshfs" else "holds a photo's name until") in said.stdout
        assert running.stop() == 0
        assert scene.published() == {"a.jpg": "mine", "a (2).jpg": "cloaked good"}


CLAIM_PLACES = [f"uncnn.daemon.files.claim:{name}" for name in ("_mark", "_content", "_fill")]
CLAIM_PLACES.append("uncnn.daemon.files.publish:place_by_claim")


@pytest.mark.parametrize("stage", [f"{place} {when}" for place in CLAIM_PLACES for when in ("before", "after")])
def test_a_kill_while_a_name_is_claimed_leaves_one_whole_photo(scene: Scene, stage: str) -> None:
    killed = scene.root / "killed"
    with in_user_space("EPERM", scene.root / "back", scene.publish):
        (scene.publish / "a.jpg").write_text("mine")
        running = Running(scene, STUB_KILL=stage, STUB_KILLED=str(killed))
        scene.put("a.jpg", "good")
        assert running.process.wait(PATIENCE_SECONDS) == -9
        running.start()
        running.until(lambda: scene.states() == {"a.jpg": State.PUBLISHED})
        assert running.stop() == 0
        sweep(scene.publish)
        assert scene.published() == {"a.jpg": "mine", "a (2).jpg": "cloaked good"}


def test_files_that_come_through_a_mount_without_events_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a shared folder of a virtual machine: another writes behind the mount, and the kernel tells of nothing."""
    monkeypatch.setattr("uncnn.daemon.watch.folder.network_file_system", lambda _folder: None)
    back, mount = tmp_path / "back", tmp_path / "in"
    with in_user_space("bindfs", back, mount):
        watched = WatchedFolder(mount, 0.0, lambda: None)
        try:
            watched.check(0.0)
            watched.scanned([], [], 0.0)
            (back / "a.jpg").write_text("a")
            time.sleep(1.5)  # what the kernel keeps of a folder in user space
            watched.take_hints(15.0)
            found = list(candidates(mount))
            watched.scanned(found, found, 15.0)
            watched.take_hints(16.0)
            watched.check(26.0)
            assert [each.relative.name for each in found] == ["a.jpg"]
            assert (watched.missed, watched.mode) == (
                1,
                "events, and scans every 15 s: some files arrived without an event",
            )
        finally:
            watched.close()

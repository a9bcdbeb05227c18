"""SIGKILL at every stage of a photo's path: after the next start it is published exactly once, and nothing else is."""

from __future__ import annotations

import pytest
from running import PATIENCE_SECONDS, Running
from scene import Scene

from uncnn.daemon.ledger import State

pytestmark = pytest.mark.slow

PLACES = [
    "uncnn.daemon.service.folder_supervisor:scan_folder",
    "uncnn.daemon.jobs.photo_job:snapshot",
    "uncnn.daemon.ledger.jobs:Ledger.enqueue",
    "uncnn.daemon.ledger.jobs:Ledger.claim",
    "uncnn.daemon.ledger.pictures:Pictures.note",
    "uncnn.daemon.jobs.photo_job:find_same_picture",
    "uncnn.daemon.jobs.photo_job:protect",
    "uncnn.daemon.jobs.photo_job:_judge",
    "uncnn.daemon.jobs.release:publish",
    "uncnn.daemon.files.publish:_fill",
    "uncnn.daemon.files.publish:_link",
    "uncnn.daemon.ledger.jobs:Ledger.move",
]
STAGES = [f"{place} {when}" for place in PLACES for when in ("before", "after")]


@pytest.mark.parametrize("stage", STAGES)
def test_a_photo_survives_a_kill_anywhere_and_is_published_once(scene: Scene, stage: str) -> None:
    killed = scene.root / "killed"
    running = Running(scene, STUB_KILL=stage, STUB_KILLED=str(killed))
    scene.put("a.jpg", "good")
    assert running.process.wait(PATIENCE_SECONDS) == -9
    running.start()
    running.until_published("a.jpg")
    running.until(lambda: scene.states() == {"a.jpg": State.PUBLISHED})
    assert running.stop() == 0
    assert scene.published() == {"a.jpg": "cloaked good"}
    scene.check()
    assert list((scene.state / "spool").iterdir()) == []
    assert not [path for path in scene.publish.iterdir() if path.name.startswith(".")]

"""One photo of the ledger, with its folders and its verdict."""

from __future__ import annotations

from pathlib import Path

from scene import Scene

from uncnn.daemon.ledger.record import record
from uncnn.daemon.verify.keeping import kept_of


def test_a_photo_is_found_by_its_number(scene: Scene) -> None:
    scene.put("sub/a.jpg", "a photo")
    scene.run()
    (job,) = scene.jobs().values()
    found = record(scene.state / "ledger.sqlite3", job.id)
    assert found is not None
    assert (found.job, found.watch, found.publish) == (job, scene.watch, scene.publish)
    assert found.proof is not None
    assert kept_of(*found.proof).verdict.sha256 == job.released_sha256


def test_what_there_is_not_is_none(scene: Scene, tmp_path: Path) -> None:
    assert record(tmp_path / "no ledger", 1) is None
    scene.put("a.jpg", "damaged")
    scene.run()
    assert record(scene.state / "ledger.sqlite3", 99) is None
    failed = record(scene.state / "ledger.sqlite3", 1)
    assert failed is not None
    assert failed.proof is None

"""What is held: its judged copy is kept, shown and released as it is, at once."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
from scene import Scene

from uncnn.daemon.commands import held
from uncnn.daemon.commands.jobs import drop, release, retry
from uncnn.daemon.files import kept
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.jobs import actions
from uncnn.daemon.jobs.actions import AskedError, HeldError
from uncnn.daemon.jobs.recovery import recover
from uncnn.daemon.ledger import Ledger, State
from uncnn.daemon.output import ERROR, OK


@pytest.fixture
def ran(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Scene:
    """Return a scene in which two photos are held."""
    scene.put("held.jpg", "unprotected")
    scene.put("more/held too.jpg", "unprotected too")
    scene.run()
    capsys.readouterr()
    return scene


def copies(scene: Scene) -> dict[str, str]:
    return {file.name: file.read_text() for file in (scene.state / "held").iterdir() if file.name != ".lock"}


def test_the_judged_copy_is_kept_for_its_owner_alone(ran: Scene) -> None:
    job = ran.jobs()["held.jpg"]
    assert copies(ran)[f"{job.id}.jpg"] == "cloaked unprotected"
    file = ran.state / "held" / f"{job.id}.jpg"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert hashlib.sha256(file.read_bytes()).hexdigest() == job.released_sha256


def test_exactly_what_was_judged_is_published_at_once(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    job, cloaked = ran.jobs()["held.jpg"], ran.cloaked()
    assert release([str(job.id)], as_json=True) == OK
    (answer,) = json.loads(capsys.readouterr().out)["photos"]
    assert (answer["state"], answer["published"]) == ("published", str(ran.publish / "held.jpg"))
    assert ran.published() == {"held.jpg": "cloaked unprotected"}
    assert ran.cloaked() == cloaked, "nothing is cloaked for it"
    assert ran.jobs()["held.jpg"].released_sha256 == job.released_sha256
    assert "a person published it all the same" in ran.jobs()["held.jpg"].reason
    ran.check()
    assert f"{job.id}.jpg" not in copies(ran), "it is not kept any longer"
    ran.run()
    assert ran.published() == {"held.jpg": "cloaked unprotected"}


def test_a_copy_that_is_not_what_was_judged_is_not_published(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    job = ran.jobs()["held.jpg"]
    (ran.state / "held" / f"{job.id}.jpg").write_text("another picture")
    assert release(["held.jpg"], as_json=False) == ERROR
    assert "was verified" in capsys.readouterr().out
    assert ran.published() == {}
    assert ran.states()["held.jpg"] is State.HELD


def test_a_publish_folder_that_cannot_be_written_leaves_the_photo_held(
    ran: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ran.jobs()["held.jpg"]
    ran.publish.rmdir()
    assert release(["held.jpg"], as_json=False) == ERROR
    assert "no such file or folder" in capsys.readouterr().out
    after = ran.jobs()["held.jpg"]
    assert (after.state, after.reason, after.kept) == (State.HELD, before.reason, before.kept)
    ran.publish.mkdir()
    assert release(["held.jpg"], as_json=False) == OK
    assert ran.published() == {"held.jpg": "cloaked unprotected"}


def test_a_photo_whose_copy_is_no_longer_kept_is_cloaked_again(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    kept.discard(ran.jobs()["held.jpg"].id)
    assert release(["held.jpg"], as_json=False) == OK
    assert "queued; its copy is no longer stored: it will be cloaked again" in capsys.readouterr().out
    ran.run()
    assert ran.published() == {"held.jpg": "cloaked unprotected"}


def test_a_release_that_was_killed_halfway_is_finished_with_the_same_bytes(ran: Scene) -> None:
    cloaked = ran.cloaked()
    with Ledger(ran.state / "ledger.sqlite3") as ledger:
        ledger.release(ran.jobs()["held.jpg"])
        recover(ledger)
    assert ran.states()["held.jpg"] is State.QUEUED
    ran.run()
    assert ran.published() == {"held.jpg": "cloaked unprotected"}
    assert ran.cloaked() == cloaked


def test_a_release_that_was_killed_after_its_file_stood_is_not_made_twice(ran: Scene) -> None:
    job = ran.jobs()["held.jpg"]
    with Ledger(ran.state / "ledger.sqlite3") as ledger:
        ledger.release(job)
        (ran.publish / "held.jpg").write_bytes((ran.state / "held" / f"{job.id}.jpg").read_bytes())
        recover(ledger)
    assert ran.states()["held.jpg"] is State.PUBLISHED
    ran.run()
    assert ran.published() == {"held.jpg": "cloaked unprotected"}


def test_what_is_shown_is_the_original_as_it_was_judged_and_its_copy(ran: Scene) -> None:
    job = ran.jobs()["held.jpg"]
    with Ledger(ran.state / "ledger.sqlite3") as ledger:
        pair = actions.pair_of(ledger, job)
        assert (pair.original.read_text(), pair.copy.read_text()) == ("unprotected", "cloaked unprotected")
        assert not list((ran.state / "held").glob("*.spool")), "nothing of it is left"
        (ran.watch / "held.jpg").write_text("unprotected, and painted over")
        with pytest.raises(HeldError, match="was changed since it was held"):
            actions.pair_of(ledger, job)
        (ran.watch / "held.jpg").unlink()
        with pytest.raises(PublishError, match="no such file"):
            actions.pair_of(ledger, job)
        kept.discard(job.id)
        with pytest.raises(HeldError, match=f"no longer stored: uncnn-daemon retry {job.id} makes it again"):
            actions.pair_of(ledger, job)
        with pytest.raises(HeldError, match="is skipped, not held"):
            actions.pair_of(ledger, ledger.drop(job))
    assert not held.open_page(held.page_of(job)), "no browser is opened where nobody sits at a terminal"


def test_the_same_picture_that_is_held_again_has_a_copy_of_its_own(ran: Scene) -> None:
    ran.put("twin.jpg", "unprotected")
    ran.run()
    assert ran.states()["twin.jpg"] is State.HELD
    assert release(["twin.jpg"], as_json=False) == OK
    assert ran.published() == {"twin.jpg": "cloaked unprotected"}


def test_what_is_dropped_is_not_kept(ran: Scene) -> None:
    assert drop(["held.jpg"], every=False, as_json=False) == OK
    assert list(copies(ran).values()) == ["cloaked unprotected too"]


def test_what_is_tried_again_and_held_again_is_kept_once(ran: Scene) -> None:
    assert retry(["held.jpg"], every=False, as_json=False) == OK
    queued = ran.jobs()["held.jpg"]
    assert (queued.kept, queued.published, queued.released_sha256) == (None, None, None), (
        "what was judged before is not"
    )
    ran.run()
    assert sorted(copies(ran).values()) == ["cloaked unprotected", "cloaked unprotected too"]


def test_copies_are_bounded_in_number_bytes_and_age(ran: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (ran.jobs()[name] for name in ("held.jpg", "more/held too.jpg"))
    ids, files = {first.id, second.id}, ran.state / "held"
    os.utime(files / f"{first.id}.jpg", (1e9, 1e9))
    kept.prune(ids, now=1e9 + kept.OLDEST_SECONDS - 1)
    assert len(copies(ran)) == 2
    kept.prune({second.id}, now=1e9 + kept.YOUNG_SECONDS - 1)
    assert len(copies(ran)) == 2, "its row may be about to be written"
    with monkeypatch.context() as bounds:
        bounds.setattr(kept, "MOST", 1)
        kept.prune(ids, now=1e9)
        assert list(copies(ran)) == [f"{second.id}.jpg"], "the newest one stays"
        bounds.setattr(kept, "MOST_BYTES", 1)
        kept.prune(ids)
        assert copies(ran) == {}
    candidate = ran.root / "copy"
    candidate.write_text("x")
    assert kept.keep(candidate, first.id, ".jpg") == f"{first.id}.jpg"
    kept.prune(ids, now=(files / f"{first.id}.jpg").stat().st_mtime + kept.OLDEST_SECONDS + 1)
    assert copies(ran) == {}


def test_a_name_does_as_well_as_a_number_where_it_says_which(ran: Scene) -> None:
    assert release(["held too.jpg"], as_json=False) == OK
    assert ran.published() == {"more/held too.jpg": "cloaked unprotected too"}
    ran.put("more/held.jpg", "unprotected three")
    ran.run()
    with pytest.raises(AskedError, match=r"2 photos are called held\.jpg: give one of the numbers"):
        release(["held.jpg"], as_json=False)
    assert release([str(ran.watch / "more/held.jpg")], as_json=False) == OK
    assert release(["held.jpg"], as_json=False) == OK, "the other one is not held any more"


def test_the_ledger_of_an_older_uncnn_keeps_its_folders_and_photos(ran: Scene) -> None:
    before = ran.jobs()
    ran.make_ledger_older(6)
    after = ran.jobs()
    assert {name: (job.id, job.folder, job.state) for name, job in after.items()} == {
        name: (job.id, job.folder, job.state) for name, job in before.items()
    }
    with Ledger(ran.state / "ledger.sqlite3") as ledger:
        assert ledger.folders.paths(after["held.jpg"].folder) == (ran.watch, ran.publish)
        assert ledger.folders.given(ran.watch, Path("/elsewhere")) != after["held.jpg"].folder
        assert ledger.database.rows("PRAGMA foreign_keys")[0][0] == 1
    assert release(["held.jpg"], as_json=False) == OK
    ran.run()
    assert ran.published() == {"held.jpg": "cloaked unprotected"}

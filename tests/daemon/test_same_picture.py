"""The same photo again: put back, renamed, in a second folder, with other metadata; what is done once and what anew."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from models_home import ModelsHome
from photo_samples import saved, secret_exif, segment
from PIL import Image
from running import Running
from scene import Scene
from test_run_steps import run_killed_at

from uncnn.daemon.commands.jobs import drop, print_jobs, release, retry
from uncnn.daemon.config import load
from uncnn.daemon.files.scan import candidates
from uncnn.daemon.jobs.duplicates import find_same_picture
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.output import DEGRADED, ERROR, OK
from uncnn.daemon.people.store import People, Person, people_file, write_people
from uncnn.daemon.service.worker_thread import Task, WorkerThread
from uncnn.daemon.watch.backlog import source_folders


@pytest.fixture
def out(scene: Scene) -> Scene:
    """Return a scene in which a photo is out."""
    scene.put("a.jpg", "good#edited never")
    assert scene.run() == OK
    assert scene.published() == {"a.jpg": "cloaked good#edited never"}
    assert scene.cloaked() == 1
    return scene


@pytest.fixture
def held(scene: Scene) -> Scene:
    """Return a scene in which a photo is held."""
    scene.put("a.jpg", "unprotected#edited never")
    assert scene.run() == DEGRADED
    return scene


def put_back(scene: Scene, name: str = "back.jpg") -> Job:
    """Put the released copy into the watched folder, and return what became of it."""
    scene.put(name, scene.published()["a.jpg"])
    assert scene.run() == OK
    return scene.jobs()[name]


def second_folder(scene: Scene, policy: str = "everyday") -> tuple[Path, Path]:
    """Configure another watched folder, and return it and where it publishes."""
    watch, publish = scene.root / "in2", scene.root / "out2"
    watch.mkdir(exist_ok=True)
    scene.configure(
        policy="{}, strict: {attack: {strength: utmost}}",
        more=f", {{watch: {watch}, publish: {publish}, policy: {policy}, settle_seconds: 0}}",
    )
    return watch, publish


def test_a_released_copy_that_is_put_back_is_not_cloaked_again(out: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = out.jobs()["a.jpg"]
    monkeypatch.setattr(
        "uncnn.daemon.protect.process_engine.ProcessEngine.start", None
    )  # no models are needed for that
    job = put_back(out)
    assert (job.state, job.same_as) == (State.SKIPPED, first.id)
    assert job.reason == (
        f"this is the published copy of {out.watch / 'a.jpg'}, of {first.changed.astimezone():%Y-%m-%d} "
        f"({first.reason}): not cloaked again; to cloak it anyway: uncnn-daemon retry {job.id}"
    )
    assert list(out.published()) == ["a.jpg"]
    assert out.looked() == 1
    assert out.run() == OK
    assert out.jobs()["back.jpg"] == job, "it is settled"


def test_a_released_copy_in_the_place_of_the_original_or_in_another_folder_is_recognised_too(out: Scene) -> None:
    watch, publish = second_folder(out, "strict")
    (watch / "b.jpg").write_text(out.published()["a.jpg"])
    assert put_back(out, "a.jpg").state is State.SKIPPED
    assert out.jobs()["b.jpg"].state is State.SKIPPED
    assert list(publish.iterdir()) == []
    assert out.cloaked() == 1


@pytest.mark.slow
def test_a_released_copy_that_was_given_a_caption_is_recognised_by_its_picture(out: Scene) -> None:
    first = out.jobs()["a.jpg"]
    watch, publish = second_folder(out, "strict")
    for file in (out.watch / "captioned.jpg", watch / "captioned.jpg"):
        file.write_text("cloaked good#with a caption")
    assert out.run() == OK
    job = out.jobs()["captioned.jpg"]
    assert (job.state, job.same_as) == (State.SKIPPED, first.id)
    assert job.reason.startswith(f"this is the published copy of {out.watch / 'a.jpg'} with other metadata, of")
    assert list(publish.iterdir()) == []
    assert (list(out.published()), out.cloaked()) == (["a.jpg"], 1)
    assert retry([str(out.watch / "captioned.jpg")], every=False, as_json=False) == OK
    assert out.run() == OK
    assert out.published()["captioned.jpg"] == "cloaked cloaked good#with a caption"


def test_a_copy_of_a_copy_that_was_given_a_caption_is_recognised_too(out: Scene) -> None:
    out.put("b.jpg", "good#edited since")
    assert out.run() == OK
    (out.watch / "a.jpg").write_text("another")  # the first row of the picture is of the past
    assert out.run() == OK
    out.put("captioned.jpg", "cloaked good#with a caption")
    assert out.run() == OK
    assert out.states()["captioned.jpg"] is State.SKIPPED


def test_it_is_cloaked_all_the_same_where_a_person_asks(out: Scene) -> None:
    job = put_back(out)
    assert retry([str(out.watch / "back.jpg")], every=False, as_json=False) == OK
    assert out.run() == OK
    again = out.jobs()["back.jpg"]
    assert (again.id, again.state, again.same_as) == (job.id, State.PUBLISHED, None)
    assert out.published()["back.jpg"] == "cloaked cloaked good#edited never"
    out.check()


def test_asking_for_another_attempt_at_all_leaves_it_skipped(out: Scene) -> None:
    put_back(out)
    assert retry((), every=True, as_json=False) == OK
    assert out.states()["back.jpg"] is State.SKIPPED


def test_what_a_person_asked_for_is_not_asked_for_in_the_next_content(out: Scene) -> None:
    put_back(out)
    retry([str(out.watch / "back.jpg")], every=False, as_json=False)
    (out.watch / "back.jpg").unlink()
    assert out.run() == OK  # superseded before it was done
    assert put_back(out).state is State.SKIPPED


def test_what_was_dropped_may_be_asked_for_again(held: Scene) -> None:
    assert drop([str(held.watch / "a.jpg")], every=False, as_json=False) == OK
    assert retry([str(held.watch / "a.jpg")], every=False, as_json=False) == OK
    assert held.run() == DEGRADED
    assert (held.states()["a.jpg"], held.jobs()["a.jpg"].dropped) == (State.HELD, False)


def test_what_was_released_as_it_came_is_protected_where_a_policy_asks_for_it(scene: Scene) -> None:
    scene.put("a.jpg", "unchanged")
    assert scene.run() == OK
    assert scene.published() == {"a.jpg": "unchanged"}
    watch, publish = second_folder(scene, "strict")
    (watch / "b.jpg").write_text("unchanged")
    (watch / "c.jpg").write_text("unchanged#with a caption")
    assert scene.run() == OK
    assert scene.cloaked() == 2
    assert sorted(path.name for path in publish.iterdir()) == ["b.jpg", "c.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["good#edited never", "good#edited since"])
def test_the_same_picture_under_another_name_is_cloaked_once(out: Scene, content: str) -> None:
    first = out.jobs()["a.jpg"]
    out.put("sub/b.jpeg", content)
    assert out.run() == OK
    assert out.cloaked() == 1
    assert out.published() == {"a.jpg": "cloaked good#edited never", "sub/b.jpeg": "cloaked good#edited never"}
    out.check()
    job = out.jobs()["sub/b.jpeg"]
    assert (job.same_as, job.released_sha256) == (first.id, first.released_sha256)
    same = f"the same picture as {out.watch / 'a.jpg'}, whose verified copy is published again"
    assert first.reason.startswith("1 face protected")
    assert job.reason == f"{first.reason}: {same}"
    (out.publish / "a.jpg").unlink()
    out.put("c.jpg", "good")
    assert out.run() == OK
    assert out.cloaked() == 1, "the second copy stands"
    assert (out.jobs()["c.jpg"].same_as, out.jobs()["c.jpg"].reason) == (first.id, job.reason)


def test_metadata_edited_in_place_leaves_one_copy(out: Scene) -> None:
    out.put("a.jpg", "good#edited since")
    assert out.run() == OK
    assert out.cloaked() == 1
    assert out.published() == {"a.jpg": "cloaked good#edited never"}


def test_the_same_picture_in_two_folders_is_cloaked_once_where_policies_agree(out: Scene) -> None:
    watch, publish = second_folder(out)
    (watch / "b.jpg").write_text("good#elsewhere")
    assert out.run() == OK
    assert out.cloaked() == 1
    assert (publish / "b.jpg").read_text() == "cloaked good#edited never"
    second_folder(out, "strict")
    (watch / "c.jpg").write_text("good#elsewhere")
    assert out.run() == OK
    assert out.cloaked() == 2
    assert (publish / "c.jpg").read_text() == "cloaked good#elsewhere"


def test_a_backlog_of_one_picture_is_cloaked_once(scene: Scene) -> None:
    for number in range(5):
        scene.put(f"{number}.jpg", f"good#{number}")
    assert scene.run() == OK
    assert scene.cloaked() == 1
    assert len(scene.published()) == 5
    scene.check()


def gone(scene: Scene) -> None:
    (scene.publish / "a.jpg").unlink()


def tampered(scene: Scene) -> None:
    with (scene.publish / "a.jpg").open("a") as writer:
        writer.write(" and more")


def a_link(scene: Scene) -> None:
    (scene.publish / "a.jpg").rename(scene.root / "elsewhere.jpg")
    (scene.publish / "a.jpg").symlink_to(scene.root / "elsewhere.jpg")


def other_models(scene: Scene) -> None:
    (scene.root / "data" / "uncnn" / "models-of-the-stub").write_text("another judge")


def other_people(scene: Scene) -> None:
    write_people(people_file(), People(people=[Person("ada", datetime(2026, 1, 2, tzinfo=UTC), [])]))


CLOAKED_ANEW = [gone, tampered, a_link, other_models, other_people]


@pytest.mark.parametrize("happened", CLOAKED_ANEW)
def test_it_is_cloaked_anew_where_what_was_verified_does_not_stand(out: Scene, happened) -> None:
    happened(out)
    out.put("b.jpg", "good#edited since")
    assert out.run() == OK
    assert out.cloaked() == 2
    assert out.published()["b.jpg"] == "cloaked good#edited since"
    assert out.jobs()["b.jpg"].same_as is None


def test_times_and_permissions_are_those_of_the_new_photo(scene: Scene) -> None:
    scene.configure(policy="{output: {times: same, permissions: private}}")
    os.utime(scene.put("a.jpg", "good#1"), ns=(10**18, 10**18))
    assert scene.run() == OK
    os.utime(scene.put("b.jpg", "good#2"), ns=(2 * 10**18, 2 * 10**18))
    assert scene.run() == OK
    found = (scene.publish / "b.jpg").stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns, scene.cloaked()) == (0o600, 2 * 10**18, 1)


def test_what_was_held_is_held_at_once_under_another_name(held: Scene) -> None:
    first, cloaked = held.jobs()["a.jpg"], held.cloaked()
    held.put("b.jpg", "unprotected#edited since")
    assert held.run() == DEGRADED
    job = held.jobs()["b.jpg"]
    assert (job.state, job.same_as, held.cloaked()) == (State.HELD, first.id, cloaked)
    assert job.reason == (
        f"{first.reason}: the same picture as {held.watch / 'a.jpg'}, which was held; "
        f"to cloak it anyway: uncnn-daemon retry {job.id}"
    )
    assert retry([str(job.id)], every=False, as_json=False) == OK
    assert held.run() == DEGRADED
    assert held.cloaked() > cloaked
    assert (held.jobs()["b.jpg"].same_as, held.jobs()["b.jpg"].reason) == (None, first.reason)


def test_a_held_photo_that_is_renamed_is_held_at_once(held: Scene) -> None:
    cloaked = held.cloaked()
    (held.watch / "a.jpg").rename(held.watch / "b.jpg")
    assert held.run() == DEGRADED
    assert held.states() == {"b.jpg": State.HELD}
    (held.watch / "b.jpg").rename(held.watch / "a.jpg")
    assert held.run() == DEGRADED
    assert held.states() == {"a.jpg": State.HELD}
    assert held.jobs()["a.jpg"].same_as is None
    assert "the same picture" not in held.jobs()["a.jpg"].reason
    assert held.cloaked() == cloaked


@pytest.mark.parametrize("happened", [other_models, other_people])
def test_what_was_held_by_other_models_is_tried_again(held: Scene, happened) -> None:
    cloaked = held.cloaked()
    happened(held)
    held.put("b.jpg", "unprotected#edited since")
    assert held.run() == DEGRADED
    assert held.cloaked() == 2 * cloaked
    assert held.jobs()["b.jpg"].same_as is None


def test_what_was_held_itself_by_other_models_is_tried_again(held: Scene) -> None:
    cloaked = held.cloaked()
    (held.watch / "a.jpg").rename(held.root / "a.jpg")
    assert held.run() == OK
    other_models(held)
    (held.root / "a.jpg").rename(held.watch / "a.jpg")
    assert held.run() == DEGRADED
    assert held.cloaked() == 2 * cloaked


def test_a_persons_release_is_of_one_photo(held: Scene) -> None:
    assert release([str(held.watch / "a.jpg")], as_json=False) == OK
    assert held.run() == OK
    cloaked = held.cloaked()
    held.put("b.jpg", "unprotected#edited since")
    assert held.run() == DEGRADED
    assert list(held.published()) == ["a.jpg"]
    assert held.cloaked() == cloaked, "it is known what it comes to"
    assert release([str(held.watch / "b.jpg")], as_json=False) == OK
    assert held.run() == OK
    assert "a person published it all the same" in held.jobs()["b.jpg"].reason
    assert held.published()["b.jpg"] == "cloaked unprotected#edited since"


def test_programs_are_told_whose_result_it_is(out: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    out.put("b.jpg", "good#edited since")
    put_back(out)
    capsys.readouterr()
    assert print_jobs((), None, as_json=True) == OK
    listed = {Path(photo["photo"]).name: photo for photo in json.loads(capsys.readouterr().out)["photos"]}
    number = listed["a.jpg"]["number"]
    assert {name: photo["same_as"] for name, photo in listed.items()} == {
        "a.jpg": None,
        "b.jpg": number,
        "back.jpg": number,
    }
    assert print_jobs((), None, as_json=False) == OK
    assert f"the same picture as {out.watch / 'a.jpg'}" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "reused"), [("good#edited never", True), ("good#edited since", False)])
def test_metadata_that_a_policy_keeps_is_this_photos_own(
    out: Scene, content: str, reused: bool, tmp_path: Path
) -> None:
    out.put("b.jpg", content)
    assert out.run() == OK
    with Ledger(out.state / "ledger.sqlite3") as ledger:
        job = ledger.jobs()[1]
        assert find_same_picture(ledger, job, "none", tmp_path / "spool") is not None
        assert (find_same_picture(ledger, job, "camera", tmp_path / "spool") is not None) == reused


def test_a_released_copy_is_in_no_batch(out: Scene, tmp_path: Path) -> None:
    out.put("1 back.jpg", out.published()["a.jpg"])
    out.put("2 other.jpg", "good too")
    config = load(out.root / "config.yaml")
    worker = WorkerThread(config, lambda: None, lambda _device, _engine: None)
    with Ledger(out.state / "ledger.sqlite3") as ledger:
        (source,) = source_folders(config, ledger)
        tasks = {found.relative.name: Task(source, found, 0.0) for found in candidates(out.watch)}
        present = tasks.pop("a.jpg")
        for task in tasks.values():
            worker.put(task)
        following = worker._following(present, ledger, tmp_path / "spool")
    assert set(tasks) == {"1 back.jpg", "2 other.jpg"}
    assert [each.name for each in following] == ["2 other.jpg"]


STAGES = ["snapshot after", "find_same_picture after", "_judge after", "publish before", "publish after"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_on_the_way_releases_the_same_picture_once(out: Scene, stage: str) -> None:
    out.put("b.jpg", "good#edited since")
    run_killed_at(out, stage)
    assert out.run() == OK
    assert out.published() == dict.fromkeys(("a.jpg", "b.jpg"), "cloaked good#edited never")
    assert out.cloaked() == 1
    out.check()


def test_the_ledger_of_an_older_uncnn_recognises_copies_and_cloaks_pictures_anew(out: Scene) -> None:
    out.make_ledger_older(3)
    out.put("b.jpg", "good#edited since")
    assert put_back(out).state is State.SKIPPED
    assert out.cloaked() == 2, "nobody knows which picture the first was"
    assert out.jobs()["a.jpg"].fingerprint is None
    assert out.jobs()["b.jpg"].fingerprint is not None


def test_a_ledger_that_knew_no_released_pictures_recognises_copies_by_their_content(out: Scene) -> None:
    out.make_ledger_older(4)
    assert put_back(out).state is State.SKIPPED
    out.put("b.jpg", "good#edited since")
    assert out.run() == OK
    assert (out.jobs()["b.jpg"].same_as, out.cloaked()) == (out.jobs()["a.jpg"].id, 1)


def test_they_are_found_quickly(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        for column, index in (
            ("released_sha256", "jobs_by_released"),
            ("released_fingerprint", "jobs_by_released_fingerprint"),
            ("fingerprint", "jobs_by_fingerprint"),
        ):
            plan = ledger.database.rows(f"EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE {column} = 'x' ORDER BY id")
            assert f"USING INDEX {index}" in plan[0]["detail"]


def test_nothing_that_is_asked_of_each_photo_looks_through_all_that_are_out(out: Scene) -> None:
    job, asked = out.jobs()["a.jpg"], []
    with Ledger(out.state / "ledger.sqlite3") as ledger:
        ledger.database._connection.set_trace_callback(asked.append)
        assert ledger.pictures.original("unknown", "unknown") is None
        assert ledger.pictures.released(job) == []
        assert ledger.pictures.held(job) is None
        ledger.database._connection.set_trace_callback(None)
        assert len(asked) == 4
        for query in asked:
            (plan, *_) = ledger.database.rows(f"EXPLAIN QUERY PLAN {query}")
            assert "fingerprint=?" in plan["detail"] or "released_sha256=?" in plan["detail"]


@pytest.fixture
def running(scene: Scene) -> Running:
    scene.configure(settle=0.2)
    return Running(scene)


def test_the_service_goes_by_it_too(running: Running) -> None:
    scene = running.scene
    scene.put("a.jpg", "good#1")
    running.until_published("a.jpg")
    scene.put("b.jpg", "good#2")
    scene.put("back.jpg", scene.published()["a.jpg"])
    running.until_published("b.jpg")
    running.until_said("back.jpg: skipped: this is the published copy")
    assert running.stop() == 0
    scene.check()
    assert scene.cloaked() == 1


@pytest.mark.slow
def test_a_real_photo_with_its_exif_edited_is_cloaked_once(own_detector_folder: Path, tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    photo = saved(Image.fromarray(skimage.data.astronaut()), "JPEG", quality=92)
    edited = photo[:2] + segment(0xE1, secret_exif().tobytes()) + photo[2:]
    home = ModelsHome(tmp_path).having(own_detector_folder)
    folders = ", ".join(f"{{watch: {name}, publish: {name}-out, settle_seconds: 0}}" for name in ("one", "two"))
    policy = "{attack: {name: pgd, steps: 4}, unprotected: publish-anyway}"
    (tmp_path / "config.yaml").write_text(f"device: cpu\nfolders: [{folders}]\npolicies: {{everyday: {policy}}}\n")
    for name, content in (("one", photo), ("two", edited)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jpg").write_bytes(content)
    ran = home.run("run", "--once", "--json", UNCNN_CONFIG=str(tmp_path / "config.yaml"))
    assert ran.returncode == OK, ran.stderr
    first, second = json.loads(ran.stdout)["photos"]
    assert "verdict" in first
    assert "verdict" not in second
    assert "whose verified copy is published again" in second["message"]
    released = [(tmp_path / f"{name}-out" / f"{name}.jpg").read_bytes() for name in ("one", "two")]
    assert released[0] == released[1] != photo
    (tmp_path / "one" / "back.jpg").write_bytes(released[0])
    (tmp_path / "one" / "captioned.jpg").write_bytes(
        released[0][:2] + segment(0xE1, secret_exif().tobytes()) + released[0][2:]
    )
    (tmp_path / "two-out" / "two.jpg").unlink()
    (tmp_path / "one-out" / "one.jpg").unlink()
    (tmp_path / "two" / "renamed.jpg").write_bytes(edited)
    ran = home.run("run", "--once", "--json", UNCNN_CONFIG=str(tmp_path / "config.yaml"))
    back, captioned, renamed = json.loads(ran.stdout)["photos"]
    assert back["status"] == captioned["status"] == "skipped"
    assert "one.jpg with other metadata" in captioned["message"]
    assert "verdict" in renamed
    anew = Image.open(tmp_path / "two-out" / "renamed.jpg")  # its resolution is its own
    assert (np.asarray(anew) == np.asarray(Image.open(tmp_path / "one" / "back.jpg"))).all(), "in the same way"


def test_people_who_cannot_be_read_let_the_folder_wait_where_its_policy_speaks_of_them(scene: Scene) -> None:
    people_file().write_text("{")
    scene.put("a.jpg", "protected")
    scene.run()
    assert scene.published() == {"a.jpg": "cloaked protected"}, "nobody is spoken of"
    scene.configure("{faces: {who: all-but-enrolled}}")
    scene.put("b.jpg", "protected#of somebody who is enrolled")
    assert scene.run() == ERROR
    assert scene.states()["b.jpg"] is State.BLOCKED
    assert scene.jobs()["b.jpg"].attempts == 0
    people_file().unlink()
    scene.run()
    assert scene.states()["b.jpg"] is State.PUBLISHED

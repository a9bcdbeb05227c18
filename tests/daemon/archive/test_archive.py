"""A whole archive: planned, worked in shares, stopped and gone on with; in a folder and on an S3 server."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from planned_archive import Archive
from scene import Scene
from stub_engine import stub_for

from uncnn.daemon.archive import records
from uncnn.daemon.archive.manifest import Row, write_rows
from uncnn.daemon.archive.photo import MachineFault
from uncnn.daemon.archive.plan import PlanError, read_plan
from uncnn.daemon.archive.records import Copy, Record, Status, error_key, settle
from uncnn.daemon.archive.stores import FolderStore, Missing, RemoteStore, Store, StoreError, open_store
from uncnn.daemon.commands.archive import Asked, archive_status, work_archive
from uncnn.daemon.output import DEGRADED, ERROR, OK
from uncnn.daemon.protect.process_engine import ProcessEngine

PHOTOS = {
    "ada/1.jpg": "one",
    "ada/2.jpg": "unprotected",
    "bob/plain.png": "no face",
    "bob/broken.jpg": "damaged",
    "bob/same as one.jpg": "one",
}


def filled(archive: Archive) -> Archive:
    for name, content in PHOTOS.items():
        archive.put(name, content)
    return archive


@pytest.mark.parametrize("archive", ["folder", "s3"], indirect=True)
def test_each_photo_comes_to_what_cloak_would_make_of_it(archive: Archive) -> None:
    planned = filled(archive).planned()
    assert planned["photos"] == 5
    worked = archive.worked()
    assert archive.status == OK
    assert worked["counts"] == {"published": 3, "held": 1, "skipped": 0, "error": 1}
    copies = {"ada/1.jpg": "cloaked one", "bob/same as one.jpg": "cloaked one", "bob/plain.png": "cloaked no face"}
    assert archive.copies() == copies
    records = archive.records()
    assert {name: each.status for name, each in records.items()} == {
        "ada/1.jpg": "published",
        "ada/2.jpg": "held",
        "bob/plain.png": "published",
        "bob/broken.jpg": "error",
        "bob/same as one.jpg": "published",
    }
    for name, record in records.items():
        assert record.sha256 == hashlib.sha256(PHOTOS[name].encode()).hexdigest()
        assert bool(record.copy) == (name in copies)
        if record.copy:
            assert record.copy_sha256 == hashlib.sha256(copies[name].encode()).hexdigest()
            assert record.verdict["sha256"] == record.copy_sha256


def test_photos_of_the_same_bytes_are_worked_once(archive: Archive) -> None:
    filled(archive).planned()
    archive.worked()
    assert archive.times("looked") == 4  # of five
    same = [each for each in archive.records().values() if each.same_as]
    assert [(each.status, each.sha256) for each in same] == [("published", hashlib.sha256(b"one").hexdigest())]


def test_what_is_done_is_not_done_again_and_no_photo_is_read_for_it(archive: Archive) -> None:
    filled(archive).planned()
    archive.worked()
    before, looked = archive.records(), archive.times("looked")
    again = archive.worked()
    assert again["counts"] == {"published": 0, "held": 0, "skipped": 0, "error": 0}
    assert (again["done_before"], again["failed_before"]) == (4, 1)
    assert archive.times("looked") == looked
    assert archive.records() == before


def test_shares_make_up_the_whole_and_have_nothing_in_common(archive: Archive) -> None:
    for number in range(12):
        archive.put(f"{number}.jpg", f"photo {number}")
    archive.planned()
    counts = [archive.worked(f"{number}/3")["counts"]["published"] for number in (1, 2, 3)]
    assert sum(counts) == 12
    assert max(counts) < 12
    assert archive.times("cloaked") == 12
    assert len(archive.copies()) == 12


def test_a_failed_photo_is_tried_again_only_where_a_person_asks(archive: Archive) -> None:
    filled(archive).planned()
    archive.worked()
    assert archive.worked()["counts"]["error"] == 0
    assert archive.worked(again=True)["counts"] == {"published": 0, "held": 0, "skipped": 0, "error": 1}
    assert archive.records()["bob/broken.jpg"].status == "error"


def test_a_photo_that_went_well_the_second_time_is_no_failure_any_more(archive: Archive) -> None:
    archive.put("a.jpg", "damaged")
    archive.planned()
    archive.worked()
    archive.put("a.jpg", "mended!")  # of the same length, as S3 and a folder's list have it
    assert archive.worked(again=True)["counts"]["published"] == 1
    assert {name: each.status for name, each in archive.records().items()} == {"a.jpg": "published"}
    record = archive.records()["a.jpg"]
    assert error_key(record.digest, record.row) not in set(archive.store.keys("errors/"))


def test_a_failure_that_is_done_again_while_all_are_read_is_passed_over(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.put("a.jpg", "damaged")
    archive.planned()
    archive.worked()
    (failed,) = archive.records().values()
    monkeypatch.setattr(records, "rows_failed", lambda *_: {failed.row, "0" * 32})
    assert archive.told()["counts"]["error"] == 1


def test_a_photo_that_is_gone_or_another_is_an_error_and_the_rest_goes_on(archive: Archive) -> None:
    filled(archive).planned()
    archive.put("ada/1.jpg", "longer than it was")
    worked = archive.worked()
    assert worked["counts"]["error"] == 2
    assert "plan the archive again" in archive.records()["ada/1.jpg"].reason


def test_a_photo_that_kills_its_process_is_an_error_and_the_rest_goes_on(archive: Archive) -> None:
    archive.put("a.jpg", "kills")
    archive.put("b.jpg", "one")
    archive.planned()
    assert archive.worked()["counts"] == {"published": 1, "held": 0, "skipped": 0, "error": 1}
    assert archive.times("looked") == 3  # the one that kills twice


@pytest.mark.slow
def test_a_photo_that_takes_too_long_is_an_error(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[ProcessEngine] = []

    def kill(engine: ProcessEngine) -> None:
        """End nobody first, then one, and the other while what ended is started anew, unless that waits."""
        calls.append(engine)
        if len(calls) > 1:
            assert engine._worker is not None
            assert engine._verifier is not None
            engine._worker.end_now()
            time.sleep(0.2)
            engine._verifier.end_now()

    monkeypatch.setattr(ProcessEngine, "kill", kill)
    archive.put("a.jpg", "slow")
    archive.put("b.jpg", "one")
    archive.planned()
    assert archive.worked(seconds=15)["counts"] == {"published": 1, "held": 0, "skipped": 0, "error": 1}
    assert "--photo-seconds" in archive.records()["a.jpg"].reason


def test_a_list_that_is_written_at_the_same_time_leaves_the_plan_as_it_is(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    write_rows([Row("b.jpg", 3, "1", "b.jpg")], archive.store)  # whose plan is then refused
    assert archive.worked()["counts"]["published"] == 1


def test_a_full_disk_ends_the_work_and_leaves_no_record(archive: Archive) -> None:
    archive.put("a.jpg", "full disk")
    archive.planned()
    with pytest.raises(MachineFault, match="free some space"):
        archive.worked()
    assert archive.records() == {}


def test_many_failures_of_nobody_in_a_row_end_the_work(archive: Archive) -> None:
    for number in range(7):
        archive.put(f"{number}.jpg", f"kills {number}")
    archive.planned()
    with pytest.raises(MachineFault, match="in a row"):
        archive.worked()
    assert len(archive.records()) < 7


def test_status_says_what_is_left_and_what_was_held_and_why(archive: Archive) -> None:
    filled(archive).planned()
    assert archive.told()["left"] == 5
    assert archive.status == DEGRADED
    archive.worked()
    told = archive.told("held", "error")
    assert archive.status == DEGRADED
    assert told["left"] == 0
    assert told["counts"] == {"published": 3, "held": 1, "skipped": 0, "error": 1}
    assert {each["photo"]: each["status"] for each in told["photos"]} == {
        "ada/2.jpg": "held",
        "bob/broken.jpg": "error",
    }
    assert "not protected" in told["photos"][0]["reason"]


def test_what_is_said_to_be_typed_next_can_be_typed(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.put("a.jpg", "unprotected")
    archive.put("b.jpg", "damaged")
    archive.planned()
    archive.worked()
    archive_status(archive.plan, Asked(), False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"held photos and why: uncnn-daemon archive status {archive.plan} --held" in said
    assert f"failed photos and why: uncnn-daemon archive status {archive.plan} --errors" in said


def test_photos_that_failed_before_are_not_said_to_be_done(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(archive).planned()
    archive.worked()
    work_archive(archive.plan, None, "auto", 600.0, False, False)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("share 1/1: 4 done before, 1 failed before (--retry-errors tries them again); ")


def test_a_log_says_now_and_then_how_far_it_is(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(101):
        archive.put(f"{number:03}.jpg", "unprotected" if number == 99 else "one")
    archive.planned()
    work_archive(archive.plan, None, "auto", 600.0, False, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "100 of 101 photos: 99 published, 1 held"
    assert lines[-1].startswith("share 1/1: 100 published, 1 held; ")
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"step": 3}, "has no parameter 'step'"), ({"steps": 0}, "steps 0"), ({"target": "nobody"}, "nobody")],
)
def test_a_parameter_that_no_worker_would_take_is_refused_when_it_is_planned(
    archive: Archive, parameters: dict[str, object], words: str
) -> None:
    archive.put("a.jpg", "one")
    with pytest.raises(PlanError, match=words):
        archive.planned(attack={"name": "pgd", **parameters})
    assert list(archive.store.keys("")) == []


def test_an_archive_without_trouble_is_healthy(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    archive.worked()
    assert archive.told(audit=True)["problems"] == []
    assert archive.status == OK


@pytest.mark.parametrize("spoilt", ["removed", "written over"])
def test_an_audit_finds_a_copy_that_is_not_the_verified_one(archive: Archive, spoilt: str) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    archive.worked()
    if spoilt == "removed":
        archive.store.remove("copies/a.jpg")
    else:
        archive.store.put("copies/a.jpg", b"one")
    problems = archive.told(audit=True)["problems"]
    assert archive.status == ERROR
    assert [each["photo"] for each in problems] == ["a.jpg"]


def test_a_plan_is_not_written_over(archive: Archive) -> None:
    filled(archive).planned()
    before = archive.store.read("plan.json")
    with pytest.raises(PlanError, match="holds a plan"):
        archive.planned(escalate=[])
    assert archive.store.read("plan.json") == before


def test_other_models_than_planned_are_refused(archive: Archive) -> None:
    filled(archive).planned()
    archive.log.mkdir(parents=True, exist_ok=True)
    (archive.log / "models-of-the-stub").write_text("others")
    with pytest.raises(PlanError, match="other models"):
        archive.worked()
    assert archive.records() == {}


def test_copies_of_something_else_are_not_written_over(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.store.put("copies/a.jpg", b"something else")
    with pytest.raises(PlanError, match="something else"):
        archive.planned()


def test_another_policy_wants_another_destination(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    archive.worked()
    archive.store.remove("plan.json")
    with pytest.raises(PlanError, match="another policy"):
        archive.planned(escalate=[])


def test_a_longer_plan_with_the_same_destination_goes_on_from_there(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    archive.worked()
    archive.put("b.jpg", "two")
    longer = archive.beside("longer")
    longer.planned(to=archive.plan)
    assert longer.told()["left"] == 1
    worked = longer.worked()
    assert (worked["done_before"], worked["counts"]["published"]) == (1, 1)
    assert archive.copies() == {"a.jpg": "cloaked one", "b.jpg": "cloaked two"}
    assert archive.told()["counts"]["published"] == 1
    assert longer.told()["counts"]["published"] == 2


def test_photos_of_one_name_from_two_places_have_two_copies(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    assert archive.worked()["counts"]["published"] == 1
    other = archive.of_other_photos("second")
    other.put("a.jpg", "another")
    other.planned(to=archive.plan)
    assert other.worked()["counts"]["published"] == 1
    assert archive.copies() == {"a.jpg": "cloaked one", "a (2).jpg": "cloaked another"}
    for each in (archive, other):
        assert each.told(audit=True)["problems"] == []
        assert each.status == OK


def test_a_photo_that_comes_later_takes_no_copys_name(archive: Archive) -> None:
    archive.put("b.png", "one")
    archive.planned(output={"format": "jpeg"})
    archive.worked()
    archive.put("b.heic", "two")  # which is listed first
    longer = archive.beside("longer")
    longer.planned(to=archive.plan, output={"format": "jpeg"})
    assert longer.worked()["counts"]["published"] == 1
    assert archive.copies() == {"b.jpg": "cloaked one", "b (2).jpg": "cloaked two"}


def a_record(archive: Archive, name: str, status: Status, copy: bytes = b"") -> Record:
    plan = read_plan(archive.store)
    key, told = (f"copies/{name}", hashlib.sha256(copy).hexdigest()) if copy else ("", "")
    return Record(name, "0" * 32, status, "", plan.digest, plan.version, "1" * 64, key, told)


@pytest.mark.parametrize("second", ["published", "held"])
def test_who_comes_second_to_another_end_changes_nothing(archive: Archive, second: Status) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    first = a_record(archive, "z.jpg", "published", b"of a GPU")
    assert settle(archive.store, first, Copy(b"of a GPU")) == first
    data = b"of a CPU" if second == "published" else b""
    later = a_record(archive, "z.jpg", second, data)
    assert settle(archive.store, later, Copy(data) if data else None) == first
    assert archive.copies() == {"z.jpg": "of a GPU"}


def test_a_copy_that_no_record_names_is_found(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    archive.worked()
    archive.store.put("copies/b.jpg", b"left by a worker that was killed")
    (problem,) = archive.told(audit=True)["problems"]
    assert (problem["copy"], archive.status) == ("copies/b.jpg", ERROR)
    assert "no record names it" in problem["problem"]


def test_a_copy_that_no_file_can_be_called_like_is_that_photos_error(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("a" * 300, "a/b", "../a"):
        (tmp_path / "a").write_bytes(b"a file")
        with pytest.raises(Missing):
            FolderStore(tmp_path).put_new(name, b"something")
    archive.put("a.jpg", "one")
    archive.put("b.jpg", "two")
    archive.planned()

    def put_copy(store: Store, key: str, copy: Copy) -> tuple[str, bool]:
        if key == "copies/a.jpg":
            raise Missing("a.jpg cannot be written: File name too long")
        return real(store, key, copy)

    real = records._put_copy
    monkeypatch.setattr(records, "_put_copy", put_copy)
    assert archive.worked()["counts"] == {"published": 1, "held": 0, "skipped": 0, "error": 1}
    assert archive.records()["a.jpg"].reason == "a.jpg cannot be written: File name too long"


@pytest.mark.slow
@pytest.mark.parametrize("code", ["InvalidObjectState", "AccessDenied"])
def test_a_photo_that_s3_does_not_give_is_an_error_and_all_of_them_are_a_fault(
    bucket: str,
    code: str,
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("uncnn.daemon.settings.engine_for", stub_for)
    archive = Archive(bucket, capsys, scene.root / "data" / "uncnn")
    for number in range(7):
        archive.put(f"{number}.jpg", f"{number}")
    archive.planned()

    store = open_store(archive.source)
    assert isinstance(store, RemoteStore)
    real = store.files.get_file

    def refuse(path: str, place: str) -> None:
        if not path.endswith(".jpg"):  # the list of the plan
            return real(path, place)
        raise PermissionError("not this one") from ClientError({"Error": {"Code": code}}, "GetObject")

    monkeypatch.setattr(store.files, "get_file", refuse)  # of one object, as fsspec keeps it
    if code == "AccessDenied":
        with pytest.raises(MachineFault, match="not this one"):
            archive.worked()
    else:
        assert archive.worked()["counts"]["error"] == 7


def test_a_list_that_was_changed_is_refused(archive: Archive) -> None:
    filled(archive).planned()
    (part,) = archive.store.keys("photos/")
    archive.store.put(part, b"something")
    with pytest.raises(StoreError, match="not what was planned"):
        archive.worked()
    archive.store.remove(part)
    with pytest.raises(StoreError, match=r"00000-.*\.parquet cannot be read: plan the archive again"):
        archive.told()


def test_what_is_no_photo_is_counted(archive: Archive) -> None:
    filled(archive)
    for name in ("clip.mp4", "notes.txt", ".hidden.jpg", "@eaDir/thumb.jpg", "ada/3.jpg.part", "unknown"):
        archive.put(name, "some words")
    planned = archive.planned()
    assert planned["photos"] == 5
    over = planned["passed_over"]
    assert over["video"] == 1
    assert over["hidden"] == 1
    assert over["preview"] == 1
    assert over["unfinished"] == 1
    assert over["other"] == 2


def test_a_photo_without_an_ending_is_known_by_its_first_bytes(archive: Archive) -> None:
    archive.put("photo", "GIF89a one")
    assert archive.planned()["photos"] == 1


def test_two_photos_never_share_a_copy(archive: Archive) -> None:
    for name in ("ada/1.png", "ada/1.tif", "ada/1.jpg", "bob/1.png"):
        archive.put(name, name)
    archive.planned(output={"format": "jpeg"})
    archive.worked()
    assert set(archive.copies()) == {"ada/1.jpg", "ada/1 (2).jpg", "ada/1 (3).jpg", "bob/1.jpg"}


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["s3"], indirect=True)
@pytest.mark.parametrize("missing", ["source", "plan"])
def test_a_bucket_that_is_not_there_is_named(archive: Archive, missing: str) -> None:
    archive.put("a.jpg", "one")
    setattr(archive, missing, "s3://nobody-has-it/x")
    with pytest.raises(StoreError, match=r"^s3://nobody-has-it/x: there is no bucket nobody-has-it: create it"):
        archive.planned()


@pytest.mark.parametrize("url", ["nothing-known://box/photos", "s3://"])
def test_an_address_that_is_no_place_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(StoreError, match=rf"^{url} .*write a folder, or a URL such as s3://"):
        open_store(url)


def test_an_archive_without_photos_is_refused(archive: Archive) -> None:
    archive.put("notes.txt", "nothing")
    with pytest.raises(PlanError, match="no photos"):
        archive.planned()


def test_a_plan_within_its_source_is_refused(archive: Archive) -> None:
    archive.put("a.jpg", "one")
    archive.plan = f"{archive.source}/plan"
    with pytest.raises(PlanError, match="lie in each other"):
        archive.planned()


def test_a_folder_without_a_plan_is_no_plan(archive: Archive) -> None:
    with pytest.raises(PlanError, match="there is no plan"):
        archive.worked()


def test_nothing_of_a_photo_stays_on_the_machine(archive: Archive, tmp_path: Path) -> None:
    filled(archive).planned()
    archive.worked()
    spool = tmp_path / "state" / "spool"
    assert list(spool.iterdir()) == []
    assert read_plan(archive.store).photos == 5

"""`audit`: real ledgers and files, tampered with; what it finds, how it is broken off and gone on with."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from models_home import ModelsHome
from PIL import Image
from scene import Scene
from stub_engine import StubEngine

from uncnn.daemon.audit.last import last_file, read_last
from uncnn.daemon.audit.progress import AuditError, Progress, progress_file, read_pass
from uncnn.daemon.audit.released import ChoiceError
from uncnn.daemon.commands.audit import Wanted, WrongDateError, audit_photos, show_last
from uncnn.daemon.commands.jobs import leave
from uncnn.daemon.commands.status import print_status
from uncnn.daemon.ledger import Ledger, LedgerError
from uncnn.daemon.output import DEGRADED, ERROR, OK
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.verify.keeping import kept_of
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import DEFAULT_MARGIN, distance, value_at

AUDIT = Path(__file__).parents[1] / "spawned" / "stub_audit.py"


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.daemon.commands.audit.ProcessEngine", StubEngine)


@pytest.fixture
def out(scene: Scene) -> Scene:
    """Return a scene in which five photos are out."""
    for name in ("a", "b", "c", "d"):
        scene.put(f"sub/{name}.jpg", f"good {name}")
    scene.put("nobody.jpg", "no face")
    assert scene.run() == OK
    return scene


class Audit:
    """Audits of a scene, and what they say."""

    def __init__(self, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
        self.scene, self.capsys = scene, capsys

    def ask(self, **wanted: Any) -> tuple[int, dict[str, Any]]:
        status, said = self.say(**wanted, as_json=True)
        answer = json.loads(said)
        assert answer["schema_version"] == 2
        return status, answer

    def say(self, **wanted: Any) -> tuple[int, str]:
        self.capsys.readouterr()
        usual = {"folders": (), "since": None, "judge": False, "limit": None, "anew": False, "as_json": False}
        status = audit_photos(self.scene.root / "config.yaml", Wanted(**{**usual, **wanted}))
        return status, self.capsys.readouterr().out

    def kinds(self, **wanted: Any) -> dict[str, str]:
        return {Path(each["published"]).name: each["kind"] for each in self.ask(**wanted)[1]["findings"]}


@pytest.fixture
def audit(out: Scene, capsys: pytest.CaptureFixture[str]) -> Audit:
    return Audit(out, capsys)


def data(scene: Scene) -> Path:
    return scene.root / "data" / "uncnn"


def tree(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_what_is_as_it_was_is_well_and_nothing_is_changed(audit: Audit) -> None:
    before, ledger = tree(audit.scene.publish), (audit.scene.state / "ledger.sqlite3").read_bytes()
    status, answer = audit.ask()
    assert (status, answer["photos"], answer["in_all"], answer["findings"]) == (OK, 5, 5, [])
    assert audit.say() == (OK, "checked 5 photos: all as they were published\n")
    assert tree(audit.scene.publish) == before
    assert (audit.scene.state / "ledger.sqlite3").read_bytes() == ledger


def test_every_way_of_tampering_is_found_and_named(audit: Audit) -> None:
    files = {name: audit.scene.publish / "sub" / f"{name}.jpg" for name in ("a", "b", "c", "d")}
    files["a"].unlink()
    files["b"].write_text("another photo")
    content, found = bytearray(files["c"].read_bytes()), files["c"].stat()
    content[3] ^= 1
    with files["c"].open("r+b") as writer:
        writer.write(content)
    os.utime(files["c"], ns=(found.st_atime_ns, found.st_mtime_ns))  # as a disk does, which tells nobody
    (audit.scene.publish / "album").mkdir()
    files["d"].rename(audit.scene.publish / "album" / "d.jpg")
    nobody = audit.scene.publish / "nobody.jpg"
    nobody.rename(nobody.with_suffix(".old"))
    nobody.symlink_to(nobody.with_suffix(".old"))
    status, answer = audit.ask()
    found = {Path(each["published"]).name: each["kind"] for each in answer["findings"]}
    assert found == {
        "a.jpg": "missing",
        "b.jpg": "replaced",
        "c.jpg": "rotten",
        "d.jpg": "moved",
        "nobody.jpg": "replaced",
    }
    assert answer["counts"] == {"missing": 1, "replaced": 2, "rotten": 1, "moved": 1}
    assert status == DEGRADED
    said = audit.say()[1]
    assert "the same file is now album/d.jpg" in said
    assert "checked 5 photos: 1 missing, 2 replaced, 1 damaged, 1 moved inside the publish folder" in said


def test_a_photo_that_was_only_moved_is_no_trouble(audit: Audit) -> None:
    (audit.scene.publish / "sub" / "a.jpg").rename(audit.scene.publish / "a.jpg")
    assert (audit.ask()[0], audit.kinds()) == (OK, {"a.jpg": "moved"})


def test_a_folder_that_is_not_there_is_said_once(audit: Audit) -> None:
    audit.scene.publish.rename(audit.scene.root / "elsewhere")
    status, answer = audit.ask()
    assert (status, answer["counts"], answer["photos"]) == (ERROR, {"unreadable": 1}, 5)


def test_a_threshold_of_today_is_held_against_the_figures_that_were_kept(audit: Audit) -> None:
    (data(audit.scene) / "threshold-of-the-stub").write_text("0.05")
    (data(audit.scene) / "models-of-the-stub").write_text("other thresholds")
    status, answer = audit.ask()
    assert (status, answer["counts"]) == (DEGRADED, {"not-passed": 4})
    limit = value_at("cosine", (1 + DEFAULT_MARGIN) * distance("cosine", 0.05))
    words = f"stub links the face at 10,10 by its present threshold and margin (0.100 >= {limit:.3f}, as-is)"
    assert words in str(answer)


def test_other_models_are_said_and_asked_on_request(audit: Audit) -> None:
    (data(audit.scene) / "models-of-the-stub").write_text("a new judge")
    (data(audit.scene) / "links").write_text("good.b")
    (data(audit.scene) / "links").write_text("b")
    status, said = audit.say()
    assert status == OK
    assert "note: 5 photos verified by other models or under another policy than today's" in said
    assert "uncnn-daemon audit --judge verifies them with today's models" in said
    status, answer = audit.ask(judge=True)
    assert (status, answer["notes"]) == (DEGRADED, {"judged again": 5})
    (finding,) = answer["findings"]
    assert (Path(finding["published"]).name, finding["kind"]) == ("b.jpg", "not-passed")
    assert "stub links the face at 10,10" in finding["words"]


def test_what_was_judged_by_the_same_is_not_judged_again(audit: Audit) -> None:
    asked = (data(audit.scene) / "verified").read_bytes()
    status, answer = audit.ask(judge=True)
    assert (status, answer["photos"], answer["notes"]) == (OK, 5, {})
    assert (data(audit.scene) / "verified").read_bytes() == asked


def test_what_a_person_decided_about_a_face_holds_when_it_is_judged_again(audit: Audit) -> None:
    audit.scene.put("poster.jpg", "unprotected")
    audit.scene.run()
    leave("poster.jpg", [1], not_a_person=True, undo=False, as_json=False)
    assert audit.scene.run() == OK
    assert audit.ask(judge=True)[1]["notes"] == {}, "it was judged by the same"
    (data(audit.scene) / "models-of-the-stub").write_text("others")
    _, answer = audit.ask(judge=True)
    assert (answer["findings"], answer["notes"]) == ([], {"judged again": 6})


def test_another_policy_is_another_question(audit: Audit) -> None:
    audit.scene.configure("{no_face: hold}")
    assert audit.kinds(judge=True) == {"nobody.jpg": "not-passed"}


def test_a_photo_without_a_face_is_looked_at_again_even_without_its_original(audit: Audit) -> None:
    (data(audit.scene) / "models-of-the-stub").write_text("a better detector")
    (data(audit.scene) / "links").write_text("face")
    (data(audit.scene) / "sees").touch()
    (audit.scene.watch / "nobody.jpg").unlink()
    _, answer = audit.ask(judge=True)
    (finding,) = answer["findings"]
    assert finding["words"].startswith("it was published as a photo without a face: 1 of 1 face not protected: stub")


def test_an_original_that_is_gone_or_changed_is_said(audit: Audit) -> None:
    (data(audit.scene) / "models-of-the-stub").write_text("others")
    (audit.scene.watch / "sub" / "a.jpg").unlink()
    audit.scene.put("sub/b.jpg", "another photo now")
    status, answer = audit.ask(judge=True)
    words = {Path(each["published"]).name: (each["kind"], each["words"]) for each in answer["findings"]}
    assert status == OK
    assert set(words) == {"a.jpg", "b.jpg"}
    assert words["a.jpg"][0] == words["b.jpg"][0] == "not-judged"
    assert "its original is gone" in words["a.jpg"][1]
    assert words["b.jpg"][1] == "its original has been changed"


def test_a_verifier_that_dies_again_and_again_ends_it(audit: Audit) -> None:
    (data(audit.scene) / "models-of-the-stub").write_text("others")
    (data(audit.scene) / "links").write_text("dies")
    with pytest.raises(ProcessDied):
        audit.ask(judge=True)
    half = read_pass(audit.scene.state)
    assert half is not None
    assert (half.photos, [each.kind for each in half.findings]) == (2, ["unreadable"] * 2)
    (data(audit.scene) / "links").unlink()
    status, answer = audit.ask(judge=True)
    assert (status, answer["photos_before"], answer["photos"]) == (ERROR, 2, 5)


def test_what_a_person_released_is_only_read(audit: Audit) -> None:
    with Ledger(audit.scene.state / "ledger.sqlite3") as ledger, ledger.database.transaction() as connection:
        connection.execute("UPDATE jobs SET anyway = 1, made_with = 'others'")
    _, answer = audit.ask(judge=True)
    assert (answer["findings"], answer["notes"]) == (
        [],
        {"published by a person's decision (held release), so not judged": 5},
    )


def test_photos_of_an_older_ledger_are_read_and_judged(audit: Audit) -> None:
    audit.scene.make_ledger_older(5)
    with pytest.raises(LedgerError, match="older uncnn"):
        audit.ask()
    assert audit.scene.run() == OK
    _, answer = audit.ask()
    assert answer["notes"] == {"published before uncnn stored verdicts": 5}
    assert audit.ask(judge=True)[1]["notes"] == {"judged again": 5}
    assert audit.scene.jobs()["nobody.jpg"].faces == 0
    assert audit.scene.jobs()["sub/a.jpg"].faces is None


def test_some_of_them_can_be_chosen(audit: Audit) -> None:
    assert audit.ask(folders=(audit.scene.publish,))[1]["photos"] == 5
    assert audit.ask(folders=(audit.scene.watch,))[1]["photos"] == 5
    with Ledger(audit.scene.state / "ledger.sqlite3") as ledger:
        ledger.folders.given(audit.scene.watch, audit.scene.root / "elsewhere")
    with pytest.raises(ChoiceError, match=rf"the ledger has no such folder; it has {audit.scene.watch}$"):
        audit.ask(folders=(audit.scene.root / "other",))
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    assert audit.ask(since=f"{tomorrow:%Y-%m-%d}")[1]["photos"] == 0
    assert audit.ask(since="2020-01-01")[1]["photos"] == 5
    with pytest.raises(WrongDateError, match="write it as"):
        audit.ask(since="yesterday")


def test_a_limited_audit_is_gone_on_with_and_sums_up(audit: Audit) -> None:
    (audit.scene.publish / "sub" / "a.jpg").unlink()
    looked = [audit.ask(limit=2)[1] for _ in range(3)]
    assert [answer["photos"] for answer in looked] == [2, 4, 5]
    assert [answer["ended"] is None for answer in looked] == [True, True, False]
    assert all(answer["in_all"] == 5 for answer in looked)
    assert looked[-1]["counts"] == {"missing": 1}
    assert audit.ask(limit=2)[1]["photos"] == 2  # a new one
    assert audit.ask(limit=2, anew=True)[1]["photos"] == 2
    assert audit.ask(limit=1, judge=True)[1]["photos"] == 1  # another question


@pytest.mark.slow
def test_one_that_was_killed_goes_on_where_it_was(audit: Audit) -> None:
    """Four photos are judged again; the verifier hangs over the third, and the audit is killed there."""
    scene = audit.scene
    (scene.publish / "sub" / "a.jpg").unlink()
    (data(scene) / "models-of-the-stub").write_text("others")
    scene.put("sub/e.jpg", "hangs")
    scene.put("sub/f.jpg", "good f")
    scene.run()
    (data(scene) / "models-of-the-stub").write_text("others still")
    (data(scene) / "links").write_text("hangs")
    before = (data(scene) / "verified").read_bytes()
    command = [sys.executable, str(AUDIT), str(scene.root / "config.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    scene.services.append(process)
    deadline = time.monotonic() + 120
    while b"hangs" not in (data(scene) / "verified").read_bytes()[len(before) :]:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.05)
    process.kill()
    process.wait()
    half = read_pass(scene.state)
    assert half is not None
    assert (half.ended, half.photos, [each.kind for each in half.findings]) == (None, 5, ["missing"])
    with progress_file(scene.state).open("ab") as file:
        file.write(b'{"finding": {"num')  # cut short
    (data(scene) / "links").unlink()
    begun = (data(scene) / "verified").read_bytes()
    status, answer = audit.ask(judge=True)
    assert (status, answer["photos_before"], answer["photos"]) == (DEGRADED, 5, 7)
    assert answer["counts"] == {"missing": 1}
    assert (data(scene) / "verified").read_bytes()[len(begun) :] == b"cloaked hangs\ncloaked good f\n"


def test_two_at_once_are_refused_and_what_is_kept_is_private(audit: Audit) -> None:
    audit.ask()
    assert all(file.stat().st_mode & 0o077 == 0 for file in audit.scene.state.iterdir() if file.is_file())
    with (
        Progress(audit.scene.state, {}, anew=False),
        pytest.raises(AuditError, match="another audit is running"),
    ):
        audit.ask()


def test_one_that_was_broken_off_long_ago_begins_anew(audit: Audit) -> None:
    audit.ask(limit=2)
    file = progress_file(audit.scene.state)
    began = datetime.now(UTC) - timedelta(days=30)
    first, *others = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps({**json.loads(first), "began": began.isoformat()}), *others, ""]))
    assert audit.ask(limit=2)[1]["photos"] == 2


def test_status_and_last_say_what_it_found(audit: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AuditError, match="there has been no audit yet"):
        show_last(as_json=False)
    (audit.scene.publish / "sub" / "a.jpg").unlink()
    assert audit.ask()[0] == DEGRADED
    capsys.readouterr()
    print_status(as_json=False)
    words = "last audit: .*, 5 photos: 1 missing; uncnn-daemon audit --last lists them"
    assert re.search(words, capsys.readouterr().out)
    print_status(as_json=True)
    told = json.loads(capsys.readouterr().out)["audit"]
    assert (told["photos"], told["counts"], told["exit_status"]) == (5, {"missing": 1}, 4)
    assert show_last(as_json=False) == DEGRADED
    assert "missing: " in capsys.readouterr().out
    last_file(audit.scene.state).write_text("no JSON")
    assert read_last(audit.scene.state) is None


@pytest.mark.slow
def test_a_run_says_what_it_released_on_less_than_proof(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.put("nobody.jpg", "no face")
    scene.put("again.jpg", "no face#other metadata")
    scene.put("pet.jpg", "animal")
    scene.put("held.jpg", "unprotected")
    scene.run()
    said = capsys.readouterr().out
    assert said.count("2 photos published in which no face to protect was found\n") == 1
    assert "1 photo protected provisionally: all judges are of one family\n" in said
    assert "1 photo published with an uncertain face, cloaked\n" in said
    scene.put("more.jpg", "no face, and another photo")
    scene.run(as_json=True)
    assert json.loads(capsys.readouterr().out)["released"] == {"without_face": 1, "uncertain": 0, "provisional": 0}


def test_the_verdict_of_every_photo_is_kept_that_was_judged(scene: Scene) -> None:
    scene.put("good.jpg", "good")
    scene.put("held.jpg", "unprotected")
    scene.put("same.jpg", "good#other metadata")
    scene.put("nobody.jpg", "no face")
    scene.put("pet.jpg", "animal")
    scene.run()
    jobs = scene.jobs()
    told = {name: (job.faces, job.uncertain, job.provisional) for name, job in jobs.items()}
    assert told == {
        "good.jpg": (1, 0, 1),
        "held.jpg": (1, 0, 0),
        "same.jpg": (1, 0, 1),
        "nobody.jpg": (0, 0, 0),
        "pet.jpg": (1, 1, 1),
    }
    with closing(sqlite3.connect(scene.state / "ledger.sqlite3")) as ledger:
        rows = ledger.execute("SELECT job, rosters.content, verdicts.content FROM verdicts JOIN rosters ON roster = id")
        kept = {number: kept_of(roster, content) for number, roster, content in rows}
        assert ledger.execute("SELECT count(*) FROM rosters").fetchone() == (1,)
    assert set(kept) == {job.id for job in jobs.values()}
    assert kept[jobs["good.jpg"].id] == kept[jobs["same.jpg"].id]
    verdict = kept[jobs["held.jpg"].id].verdict
    assert (verdict.protected, verdict.far, verdict.views) == (False, 1e-3, ("as-is",))
    assert verdict.faces[0].judgements[0].after == 0.9
    assert jobs["good.jpg"].placed
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        assert kept[jobs["good.jpg"].id].verdict.sha256 == ledger.job(jobs["good.jpg"].id).released_sha256


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, own_detector_folder: Path) -> ModelsHome:
    """Return a home in which the real networks released a portrait, and a picture without a face."""
    skimage = pytest.importorskip("skimage")
    home = ModelsHome(tmp_path_factory.mktemp("released")).having(own_detector_folder)
    (home.root / "in").mkdir()
    Image.fromarray(skimage.data.astronaut()[:256, 96:352]).save(home.root / "in" / "portrait.png")
    Image.fromarray(skimage.data.coffee()[:256, :256]).save(home.root / "in" / "coffee.png")
    policy = "{protect: {views: [as-is]}, attack: {strength: strong}}"
    folders = f"[{{watch: {home.root}/in, publish: {home.root}/out, settle_seconds: 0}}]"
    (home.root / "config.yaml").write_text(f"folders: {folders}\npolicies: {{everyday: {policy}}}\n")
    answer = home.run("run", "--once", UNCNN_CONFIG=str(home.root / "config.yaml"), UNCNN_MODELS="")
    assert answer.returncode == OK, answer
    assert "1 photo published in which no face to protect was found" in answer.stdout
    return home


@pytest.mark.slow
def test_real_models_judge_again_what_they_released(released: ModelsHome, tmp_path: Path) -> None:
    """A stricter judge comes: the portrait would no longer pass; then it is tampered with, and its original goes."""
    own = {"UNCNN_CONFIG": str(released.root / "config.yaml")}
    status, answer = released.json("audit", "--judge", UNCNN_MODELS="", **own)
    assert (status, answer["photos"], answer["notes"]) == (OK, 2, {})
    stricter = Path(shutil.copytree(EMBEDDED / "dlib-resnet", tmp_path / "models" / "stricter"))
    card = yaml.safe_load((stricter / "card.yaml").read_text())
    wide = {"thresholds": dict.fromkeys((1e-2, 1e-3, 1e-4), 0.8), "margin": 0.4, "intervals": None}
    card |= {"name": "stricter", **wide}
    (stricter / "card.yaml").write_text(yaml.safe_dump(card))
    own["UNCNN_MODELS"] = str(stricter.parent)
    status, answer = released.json("audit", **own)
    assert status == OK
    assert answer["notes"]["verified by other models or under another policy than today's"] == 2
    status, answer = released.json("audit", "--judge", **own)
    (finding,) = answer["findings"]
    assert (status, Path(finding["published"]).name, finding["kind"]) == (DEGRADED, "portrait.png", "not-passed")
    assert "stricter" in finding["words"]
    (released.root / "in" / "portrait.png").rename(tmp_path / "portrait.png")
    with (released.root / "out" / "coffee.png").open("r+b") as file:
        file.seek(2000)
        file.write(b"\0\1\2\3")
    status, answer = released.json("audit", "--judge", **own)
    kinds = {Path(each["published"]).name: each["kind"] for each in answer["findings"]}
    assert (status, kinds) == (DEGRADED, {"portrait.png": "not-judged", "coffee.png": "replaced"})
    (released.root / "out" / "portrait.png").unlink()
    assert released.json("audit", **own)[1]["counts"] == {"missing": 1, "replaced": 1}
    assert re.search("last audit: .*, 2 photos: 1 missing, 1 replaced;", released.run("status", **own).stdout)

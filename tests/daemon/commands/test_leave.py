"""A person decides about single faces of a held photo, or has it tried with another strength."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from models_home import ModelsHome
from scene import Scene

from uncnn.daemon.commands.jobs import leave, print_held, release, retry
from uncnn.daemon.jobs.actions import AskedError
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.output import DEGRADED, ERROR, OK, USAGE

WORDS = "unprotected twins"


@pytest.fixture
def ran(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Scene:
    """Return a scene in which a photo of two is held, both of whom are linked."""
    scene.put("twins.jpg", WORDS)
    assert scene.run() == DEGRADED
    capsys.readouterr()
    return scene


def held(scene: Scene, name: str = "twins.jpg") -> Job:
    job = scene.jobs()[name]
    assert job.state is State.HELD
    return job


def decided(*faces: int, photo: str = "twins.jpg", not_a_person: bool = False, undo: bool = False) -> int:
    return leave(photo, faces, not_a_person, undo, as_json=False)


def test_the_faces_are_listed_by_their_numbers(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_held(as_json=False) == OK
    said = capsys.readouterr().out
    assert "       face 1, 50 x 50 px at 10,10: linked by stub\n" in said
    assert "       face 2, 32 x 32 px at 62,30: linked by stub\n" in said
    assert "held leave NUMBER --face N" in said
    assert print_held(as_json=True) == OK
    (photo,) = json.loads(capsys.readouterr().out)["photos"]
    assert [(face["number"], face["state"]) for face in photo["faces"]] == [(1, "linked"), (2, "linked")]


def test_what_is_left_is_not_cloaked_and_not_counted_and_said(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert decided(2) == OK
    assert capsys.readouterr().out.endswith("twins.jpg: queued\n")
    assert ran.run() == DEGRADED
    assert "1 of 1 face not protected" in held(ran).reason, "the other one is linked still"
    assert "1 face left as you asked" in held(ran).reason
    capsys.readouterr()
    print_held(as_json=False)
    assert "face 2, 32 x 32 px at 62,30: left as you asked\n" in capsys.readouterr().out
    assert decided(1, not_a_person=True) == OK
    assert ran.run() == OK
    job = ran.jobs()["twins.jpg"]
    assert job.state is State.PUBLISHED
    assert job.reason == "1 face left as you asked: not a person, 1 face left as you asked"
    assert not job.anyway, "it was not released unproven"
    ran.check()


def test_several_faces_are_decided_about_at_once(ran: Scene) -> None:
    assert decided(1, 2) == OK
    assert [each.box for each in ran.jobs()["twins.jpg"].decisions] == [(10, 10, 60, 60), (62, 30, 94, 62)]
    assert ran.run() == OK
    assert ran.states() == {"twins.jpg": State.PUBLISHED}


def test_where_all_that_is_there_is_no_person_the_policy_says_what_is_done(scene: Scene) -> None:
    scene.configure(policy="{no_face: hold}")
    scene.put("cat.jpg", "unprotected")
    scene.run()
    assert decided(1, photo="cat.jpg", not_a_person=True) == OK
    scene.run()
    assert "no face found, 1 face left as you asked: not a person: held (policy no_face: hold)" in (
        held(scene, "cat.jpg").reason
    )


def test_a_decision_is_taken_back(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert decided(1, 2) == OK
    assert decided(1, undo=True) == OK, "while it is queued, too"
    assert [each.box for each in ran.jobs()["twins.jpg"].decisions] == [(62, 30, 94, 62)]
    assert ran.run() == DEGRADED
    assert decided(undo=True) == OK, "without a number all of them"
    assert ran.run() == DEGRADED
    assert "2 of 2 faces not protected" in held(ran).reason
    capsys.readouterr()
    assert decided(1, undo=True) == ERROR
    assert "nothing to take back" in capsys.readouterr().out
    assert held(ran).decisions == ()


def test_a_later_decision_about_a_face_replaces_the_earlier_one(ran: Scene) -> None:
    decided(1)
    decided(1, not_a_person=True)
    (decision,) = ran.jobs()["twins.jpg"].decisions
    assert (decision.kind, decision.by) == ("not-a-person", "command")
    assert decision.decided.endswith("+00:00")


def test_it_holds_for_these_bytes_alone(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither another content of the path, nor another file of the same picture, nor the same bytes elsewhere."""
    decided(1, 2)
    assert ran.run() == OK
    for name, words in {"twins.jpg": WORDS + " too", "copy.jpg": WORDS, "metadata.jpg": WORDS + "#of today"}.items():
        ran.put(name, words)
    assert ran.run() == DEGRADED
    assert set(ran.states().values()) == {State.HELD}
    assert all("2 of 2 faces not protected" in job.reason for job in ran.jobs().values())


def test_a_photo_that_was_changed_since_is_not_decided_about(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    (ran.watch / "twins.jpg").write_text("unprotected twins, painted over")
    assert decided(1) == ERROR
    assert "was changed since it was held" in capsys.readouterr().out
    (ran.watch / "twins.jpg").unlink()
    assert decided(1) == ERROR
    assert "no such file" in capsys.readouterr().out
    assert held(ran).decisions == ()


def test_a_face_or_photo_that_there_is_not_is_named(ran: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (0, 3, -1):
        with pytest.raises(AskedError, match=rf"twins\.jpg has no face {number} \(its faces: 1 to 2\)"):
            decided(number)
    with pytest.raises(AskedError, match="uncnn knows no photo"):
        decided(1, photo="nowhere.jpg")
    ran.put("damaged.jpg", "damaged")
    ran.run()
    with pytest.raises(AskedError, match="has not been checked yet"):
        decided(1, photo="damaged.jpg")
    assert release(["twins.jpg"], as_json=False) == OK
    capsys.readouterr()
    assert decided(1) == ERROR
    assert "it is published, not" in capsys.readouterr().out


def test_what_was_to_be_published_anyway_is_not_after_a_decision(ran: Scene) -> None:
    """A release that failed leaves the photo held: it was said of the copy that was shown then."""
    ran.publish.rmdir()
    assert release(["twins.jpg"], as_json=False) == ERROR
    ran.publish.mkdir()
    assert held(ran).anyway
    decided(1)
    assert ran.run() == DEGRADED
    assert "1 of 1 face not protected" in held(ran).reason
    assert ran.published() == {}


def test_a_decision_survives_what_is_tried_again_and_a_kill(ran: Scene) -> None:
    decided(1)
    with Ledger(ran.state / "ledger.sqlite3") as ledger:
        ledger.claim(ran.jobs()["twins.jpg"])
    assert ran.run() == DEGRADED
    assert retry(["twins.jpg"], every=False, as_json=False) == OK
    assert ran.run() == DEGRADED
    assert "1 of 1 face not protected" in held(ran).reason


def test_what_was_decided_about_an_older_ledger_is_kept(ran: Scene) -> None:
    ran.make_ledger_older(8)
    assert held(ran).decisions == ()
    ran.run()
    with pytest.raises(AskedError, match="has not been checked yet"):  # verdicts are not among what is carried over
        decided(1)
    retry(["twins.jpg"], every=False, as_json=False)
    ran.run()
    decided(1, 2)
    assert ran.run() == OK


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name faces with --face"),
        (["--not-a-person"], "name faces with --face"),
        (["--face", "1", "--undo", "--not-a-person"], "give --undo or --not-a-person, not both"),
        (["--face", "one"], "--face"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: list[str], words: str, tmp_path: Path) -> None:
    answer = ModelsHome(tmp_path).run("held", "leave", "12", *options)
    assert (answer.returncode, words in answer.stderr) == (USAGE, True)


@pytest.fixture
def weak(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Scene:
    """Return a scene in which a photo is held that only the strongest change protects, which its policy forgoes."""
    scene.configure(policy="{escalate: []}")
    scene.put("a.jpg", "needs utmost")
    assert scene.run() == DEGRADED
    capsys.readouterr()
    return scene


def test_a_stronger_change_is_tried_for_this_photo_alone(weak: Scene) -> None:
    before = (weak.root / "config.yaml").read_text()
    assert retry(["a.jpg"], every=False, as_json=False, strength="strong") == OK
    assert weak.run() == DEGRADED
    assert held(weak, "a.jpg").strength == "strong"
    assert retry(["a.jpg"], every=False, as_json=False, strength="utmost") == OK
    assert weak.run() == OK
    assert weak.published() == {"a.jpg": "cloaked needs utmost at utmost"}
    assert (weak.root / "config.yaml").read_text() == before
    weak.put("b.jpg", "needs utmost")
    assert weak.run() == DEGRADED
    assert "1 of 1 face not protected" in held(weak, "b.jpg").reason, "another photo goes by the policy"


def test_another_attempt_without_a_strength_goes_by_the_policy_again(weak: Scene) -> None:
    retry(["a.jpg"], every=False, as_json=False, strength="utmost")
    with Ledger(weak.state / "ledger.sqlite3") as ledger:
        ledger.move(ledger.claim(weak.jobs()["a.jpg"]), State.HELD, "for the test")
    retry(["a.jpg"], every=False, as_json=False)
    assert weak.jobs()["a.jpg"].strength is None
    assert weak.run() == DEGRADED


def test_a_strength_that_there_is_not_is_named(weak: Scene) -> None:
    with pytest.raises(AskedError, match=r"--strength 'more': choose one of subtle, balanced, strong, utmost"):
        retry(["a.jpg"], every=False, as_json=False, strength="more")
    assert held(weak, "a.jpg").strength is None


def test_what_is_tried_stronger_is_not_published_unproven(weak: Scene) -> None:
    weak.publish.rmdir()
    assert release(["a.jpg"], as_json=False) == ERROR
    weak.publish.mkdir()
    retry(["a.jpg"], every=False, as_json=False, strength="strong")
    assert weak.run() == DEGRADED
    assert weak.published() == {}


def test_the_faces_of_a_video_are_not_decided_about_one_by_one(ran: Scene) -> None:
    with sqlite3.connect(ran.state / "ledger.sqlite3") as ledger:
        ledger.execute("UPDATE jobs SET relative = CAST('clip.mp4' AS BLOB)")
    with pytest.raises(AskedError, match=r"clip\.mp4 is a video, .*: release it or drop it"):
        decided(1, photo="clip.mp4")

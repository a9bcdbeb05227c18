"""What becomes of a clip by what its judges say: escalated where a face is linked, held with the second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.config.policies import FacesSection, Policy
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement
from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.messages import (
    ClipVerdict,
    Followed,
    Join,
    JudgeClip,
    JudgeTrial,
    Raised,
    Render,
    Rendered,
    TellApart,
    ToldApart,
    TrackVerdict,
    Tried,
    Try,
    Uncovered,
)
from uncnn.daemon.video.pipeline import VideoPolicyError, protect_clip
from uncnn.plugins.api import Face

INFO = ClipInfo("mp4", "h264", 320, 180, 0, (1, 1000), "yuv420p", (0, 2, 2, 2), 1, 30.0, 0, 1, ("left out: chapters",))
FACE = Face((10, 20, 90, 100), ((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)), 0.9)


def judgement(linked: bool) -> Judgement:
    after = 0.6 if linked else 0.1
    return Judgement("judge", "judge", "cosine", "as-is", 1.0, after, 0.4, linked, 0.0, "one")


def track(linked_at: Sequence[float] = (), windows: Sequence[int] = (), mean: bool = False) -> TrackVerdict:
    linked = bool(linked_at) or mean
    face = FaceVerdict(FACE, True, True, (judgement(linked),))
    return TrackVerdict(face, tuple(linked_at), (0, 1, 2), tuple(windows), mean)


@pytest.fixture(autouse=True)
def private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class ScriptedEngine:
    """Says in turn what it was told to say of each copy, and notes what it was asked to make."""

    def __init__(
        self,
        *verdicts: Sequence[TrackVerdict],
        uncovered: Sequence[Uncovered] = (),
        trials: Sequence[Sequence[TrackVerdict]] = ((),),
        lots: Sequence[Sequence[int]] = ((0, 1, 2),),
        spared: Sequence[bool] = (),
    ) -> None:
        self.verdicts, self.uncovered, self.trials = list(verdicts), tuple(uncovered), list(trials)
        self.lots, self.spared = tuple(map(tuple, lots)), tuple(spared)
        self.who: list[str] = []
        self.alone: set[tuple[int, ...]] = set()  # what worker and verifier were told of it
        self.tried: list[tuple[tuple[int, ...], tuple[Raised, ...]]] = []
        self.rendered: list[tuple[int, tuple[Raised, ...]]] = []

    def follow(self, _asked: Any, _report: Any) -> Followed:
        faces = max(len(self.spared), 1)
        return Followed(INFO, 90, faces, 2, ((0, 2),) * faces, self.lots)

    def tell_apart(self, asked: TellApart, _report: Any) -> ToldApart:
        self.who.append(asked.who)
        return ToldApart(self.spared)

    def render(self, asked: Render, _report: Any) -> Rendered:
        self.alone.add(asked.spared)
        self.rendered.append((asked.segment, asked.raised))
        return Rendered(asked.segment, True)

    def try_out(self, asked: Try, _report: Any) -> Tried:
        self.alone.add(asked.spared)
        self.tried.append((asked.windows, asked.raised))
        return Tried(asked.windows)

    def judge_trial(self, asked: JudgeTrial, _report: Any) -> ClipVerdict:
        self.alone.add(asked.spared)
        return ClipVerdict("", ("as-is",), tuple(self.trials.pop(0)), (), 3)

    def join(self, asked: Join, _report: Any) -> Content:
        self.alone.add(asked.spared)
        return Content(data=b"copy")

    def judge(self, asked: JudgeClip, _report: Any) -> ClipVerdict:
        self.alone.add(asked.spared)
        return ClipVerdict("ab" * 32, ("as-is",), tuple(self.verdicts.pop(0)), self.uncovered, 3)


def outcome_of(engine: ScriptedEngine, policy: Policy | None = None) -> Outcome:
    job = PhotoJob(Content(Path("source.clip")), "clip.mp4", policy or Policy())
    return protect_clip(engine, job, silent)  # type: ignore[arg-type] # it is asked as an engine is


def test_a_clip_whose_faces_nobody_links_is_published() -> None:
    engine = ScriptedEngine([track(), track()])
    outcome = outcome_of(engine)
    assert outcome.decision == "publish"
    assert "2 faces protected" in outcome.reason
    assert outcome.notes == ("left out: chapters",)
    assert engine.rendered == [(0, ()), (1, ())]


def test_only_the_windows_in_which_a_face_is_linked_are_done_more_strongly() -> None:
    engine = ScriptedEngine([track([2.5], [1])], [track()])
    outcome = outcome_of(engine)
    assert outcome.decision == "publish"
    assert engine.rendered[2:] == [(number, (Raised(0, 1, ("balanced", "strong")),)) for number in (0, 1)]
    assert outcome.strengths == ("strong",)


def test_what_a_few_frames_show_to_be_linked_is_done_more_strongly_before_all_are_encoded() -> None:
    engine = ScriptedEngine([track()], trials=[[track([2.5], [1])], [track()]])
    outcome = outcome_of(engine)
    assert (outcome.decision, outcome.strengths) == ("publish", ("strong",))
    stronger = (Raised(0, 1, ("balanced", "strong")),)
    assert engine.tried == [((0, 1, 2), ()), ((1,), stronger)]
    assert engine.rendered == [(0, stronger), (1, stronger)]


def test_what_is_linked_all_the_same_goes_on_from_there() -> None:
    engine = ScriptedEngine([track([2.5], [1])], [track()], trials=[[track([2.5], [1])], [track()]])
    assert outcome_of(engine).strengths == ("utmost",)
    assert engine.rendered[2:] == [(number, (Raised(0, 1, ("balanced", "strong", "utmost")),)) for number in (0, 1)]


def test_a_face_goes_on_with_the_strength_that_it_needed_before() -> None:
    linked = [track([0.5], [0])]
    engine = ScriptedEngine([track()], trials=[linked, linked, [track()], [track()]], lots=((0,), (1, 2)))
    assert outcome_of(engine).strengths == ("utmost",)
    first = Raised(0, 0, ("balanced", "strong", "utmost"))
    after = (Raised(0, 1, ("utmost",)), Raised(0, 2, ("utmost",)))
    assert engine.tried[2:] == [((0,), (first,)), ((1, 2), (first, *after))]
    assert engine.rendered == [(number, (first, *after)) for number in (0, 1)]


def test_a_face_that_began_with_the_strongest_is_given_as_much_once_more() -> None:
    first, later = [track([0.5], [0])], [track([2.5], [1])]
    engine = ScriptedEngine(later, later, trials=[first, first, [track()], later, later], lots=((0,), (1, 2)))
    assert outcome_of(engine).decision == "hold"
    assert engine.tried[-1][0] == (1,)
    assert Raised(0, 1, ("utmost", "utmost")) in engine.tried[-1][1]


def test_what_was_tried_before_a_kill_is_not_tried_again() -> None:
    class Killed(Exception):
        pass

    lots, linked, steps = ((0,), (1, 2)), [track([0.5], [0])], []

    def pause() -> None:
        steps.append(1)
        if len(steps) == 3:
            raise Killed

    killed = ScriptedEngine(trials=[linked, [track()]], lots=lots)
    job = PhotoJob(Content(Path("source.clip")), "clip.mp4", Policy())
    with pytest.raises(Killed):
        protect_clip(killed, job, silent, pause)  # type: ignore[arg-type]
    assert [windows for windows, _ in killed.tried] == [(0,), (0,)]
    again = ScriptedEngine([track()], trials=[[track()]], lots=lots)
    assert outcome_of(again).strengths == ("strong",)
    known = (Raised(0, 0, ("balanced", "strong")), Raised(0, 1, ("strong",)), Raised(0, 2, ("strong",)))
    assert again.tried == [((1, 2), known)]
    assert again.rendered[0] == (0, known)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"terms": "others"}', "damaged"])
def test_what_cannot_be_read_of_it_is_tried_anew(content: str) -> None:
    outcome_of(ScriptedEngine([track()], trials=[[track([0.5], [0])], [track()]]))
    file = Path("source.tried")
    known = json.loads(file.read_text())
    assert known["lots"] == 1
    file.write_text(content if content != "damaged" else json.dumps(known | {"paths": [[0, 0, ["endless"]]]}))
    engine = ScriptedEngine([track()])
    assert outcome_of(engine).strengths == ("balanced",)
    assert engine.tried == [((0, 1, 2), ())]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("mine")
    Path("source.tried").symlink_to(other)
    outcome_of(ScriptedEngine([track()]))
    assert other.read_text() == "mine"
    assert not Path("source.tried").is_symlink()


def test_one_strength_alone_is_not_tried_before() -> None:
    engine = ScriptedEngine([track()])
    outcome_of(engine, Policy(escalate=()))
    assert engine.tried == []


def test_a_face_that_all_its_frames_together_give_away_is_done_more_strongly_everywhere() -> None:
    engine = ScriptedEngine([track(mean=True)], [track()])
    outcome_of(engine)
    assert [each.window for each in engine.rendered[2][1]] == [0, 1, 2]


def test_what_stays_linked_is_held_with_the_second() -> None:
    linked = [track([62.25, 65.0], [0])]
    outcome = outcome_of(ScriptedEngine(linked, linked, linked))
    assert outcome.decision == "hold"
    assert "1 of 1 face not protected" in outcome.reason
    assert outcome.reason.endswith("linked at 1:02.2 and 1 more times until 1:05.0")
    assert outcome.strengths == ("utmost",)


def test_a_face_that_no_track_covers_is_not_released() -> None:
    outcome = outcome_of(ScriptedEngine([track()], uncovered=[Uncovered(12.4, (30, 40))]))
    assert outcome.decision == "hold"
    assert outcome.reason.startswith("a face at 30,40 is not followed, first at 0:12.4")


def test_a_face_that_no_judge_was_asked_about_is_not_released() -> None:
    unjudged = TrackVerdict(FaceVerdict(FACE, True, False, ()), (), (0,), (), False)
    outcome = outcome_of(ScriptedEngine([unjudged]))
    assert outcome.decision == "hold"


def test_a_face_that_the_policy_spares_is_neither_changed_nor_judged() -> None:
    bare = TrackVerdict(FaceVerdict(FACE, False, False, (), spared=True), (), (), (), False)
    policy = Policy(faces=FacesSection(who="all-but-enrolled"))
    engine = ScriptedEngine([bare, track()], trials=[[bare, track([0.5], [0])], [bare, track()]], spared=(True, False))
    outcome = outcome_of(engine, policy)
    assert outcome.decision == "publish"
    assert "1 face left unchanged (policy faces.who: all-but-enrolled)" in outcome.reason
    assert outcome.strengths == ("", "strong")
    assert engine.who == ["all-but-enrolled"]
    assert engine.alone == {(0,)}


def test_a_clip_whose_faces_are_all_spared_is_published_and_nothing_is_tried() -> None:
    bare = TrackVerdict(FaceVerdict(FACE, False, False, (), spared=True), (), (), (), False)
    engine = ScriptedEngine([bare], spared=(True,))
    assert outcome_of(engine, Policy(faces=FacesSection(who="only-enrolled"))).decision == "publish"
    assert engine.tried == []


def test_whose_a_face_is_is_not_asked_where_all_are_cloaked() -> None:
    engine = ScriptedEngine([track()])
    outcome_of(engine)
    assert (engine.who, engine.alone) == ([], {()})


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)
    with pytest.raises(VideoPolicyError, match=r"clip\.mp4: a video needs the extra video"):
        outcome_of(ScriptedEngine())

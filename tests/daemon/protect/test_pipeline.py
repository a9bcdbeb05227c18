"""Escalation and the decision: which faces climb, which photos are released, and what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Change, Changed, Judge, Look, Looked, Next, Review, Reviewed
from uncnn.daemon.protect.pipeline import Escalation, PhotoJob, decide, escalation_levels, next_strength, protect
from uncnn.daemon.verify.detection import Detection
from uncnn.daemon.verify.jod import Jod
from uncnn.daemon.verify.statement import nearest_words, verify_words
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.plugins.api import Face


def face(left: float, size: float = 50) -> Face:
    points = tuple(
        (left + size * x, size * y) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    )
    return Face((left, 0, left + size, size), points, 0.9)  # type: ignore[arg-type]


def judged(who: Face, after: float, smallest_px: int = 24, uncertain: str = "", counts: bool = True) -> FaceVerdict:
    judgement = Judgement("stern", "judge", "cosine", "jpeg-75", 0.99, after, 0.34, after >= 0.34, family="resnet")
    mild = Judgement("mild", "judge", "cosine", "jpeg-75", 0.99, -0.1, 0.3, False, family="mobilenet")
    attacked = Judgement("fooled", "surrogate", "cosine", "jpeg-75", 0.99, -0.2, 0.3, False)
    required = counts and who.size_px >= smallest_px
    return FaceVerdict(who, required, True, (judgement, mild, attacked), uncertain=uncertain)


def verdict(*faces: FaceVerdict) -> Verdict:
    return Verdict("0" * 64, 1e-3, ("as-is", "jpeg-75"), faces)


class Scripted:
    """Answers for both processes: a face is less alike at each level.

    `hidden` is seen in the copy only; `detections` are what the verifier sees in the original, where they differ.
    """

    def __init__(
        self,
        faces: list[Face],
        similar: dict[Face, list[float]],
        hidden: Face | None = None,
        detections: list[Detection] | None = None,
    ) -> None:
        self.faces, self.similar, self.hidden = faces, similar, hidden
        self.detections = [Detection(each, "", True, True) for each in faces] if detections is None else detections
        self.strengths: list[dict[Face, str]] = []
        self.asked: list[Any] = []
        self.following: list[list[str]] = []  # the photos that came with each request to cloak

    def look(self, asked: Look) -> Looked:
        self.asked.append(asked)
        return Looked(tuple(self.faces), "PNG", (400, 400), (), None)

    def change(self, asked: Change, report: object) -> Changed:
        self.asked.append(asked)
        cloaked = zip(asked.faces, asked.strengths, strict=True)
        self.strengths.append({each: strength for each, strength in cloaked if strength})
        self.following.append([each.name for each in asked.following])
        return Changed(asked.photo, ("said by the attack",))

    def judge(self, asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(asked, Review):
            assert asked.faces == tuple(self.faces)
            spared = (any(said.box == each.face.box for said in asked.terms.decisions) for each in self.detections)
            return Reviewed(tuple(self.detections), tuple(spared))
        assert isinstance(asked, Judge)
        assert asked.detections == tuple(self.detections)
        known = [*(each.face for each in self.detections), *asked.late]
        if self.hidden is not None and self.hidden not in known:
            known.append(self.hidden)
        levels = ["", "balanced", "strong", "utmost"]
        now = self.strengths[-1]
        by_face = {each.face: each for each in self.detections}
        found = [
            judged(
                each,
                self.similar[each][levels.index(now.get(each, ""))],
                uncertain=by_face[each].uncertain if each in by_face else "",
                counts=(each not in by_face or by_face[each].counts(asked.terms.uncertain))
                and not any(said.box == each.box for said in asked.terms.decisions),
            )
            for each in known
        ]
        return verdict(*found)


def job(name: str, policy: Policy, folder: Path) -> PhotoJob:
    return PhotoJob(Content(folder / name), name, policy)


def run(engine: Scripted, policy: Policy, tmp_path: Path) -> Any:
    return protect(engine, job("photo.png", policy, tmp_path), lambda _: None)  # type: ignore[arg-type]


def test_only_the_faces_that_are_linked_climb(tmp_path: Path) -> None:
    easy, hard = face(0), face(100)
    engine = Scripted([easy, hard], {easy: [1, 0.1, 0.0, 0.0], hard: [1, 0.5, 0.4, 0.2]})
    outcome = run(engine, Policy(), tmp_path)
    assert [list(each.values()) for each in engine.strengths] == [
        ["balanced", "balanced"],
        ["balanced", "strong"],
        ["balanced", "utmost"],
    ]
    assert (outcome.decision, outcome.reason) == (
        "publish",
        "2 faces protected: not linked by 2 judges of 2 families and 1 attacked recogniser; closest to a link: "
        "stern, 10 % beyond its threshold (jpeg-75); checked at FAR 1e-3, calibrated margins, 2 views",
    )
    assert outcome.strengths == ("balanced", "utmost")
    assert outcome.notes == ("said by the attack",), "once, however often it was cloaked"


def test_photos_that_come_next_share_the_first_batch_alone(tmp_path: Path) -> None:
    """A stronger cloak may be more than they need: until their turn nobody knows."""
    hard = face(0)
    engine = Scripted([hard], {hard: [1, 0.5, 0.4, 0.2]})
    following = [Next(Content(tmp_path / name), name) for name in ("b.png", "c.png")]
    protect(engine, job("a.png", Policy(), tmp_path), lambda _: None, following)  # type: ignore[arg-type]
    assert [list(each.values()) for each in engine.strengths] == [["balanced"], ["strong"], ["utmost"]]
    assert engine.following == [["b.png", "c.png"], [], []]


@pytest.mark.parametrize("rotated", [False, "auto", True])
def test_every_process_is_told_how_to_look_for_faces(tmp_path: Path, rotated: Any) -> None:
    one = face(0)
    engine = Scripted([one], {one: [1, 0.1, 0, 0]})
    run(engine, Policy(faces={"rotated": rotated}), tmp_path)  # type: ignore[arg-type]
    look, review, change, judge = engine.asked
    assert [look.rotated, review.terms.rotated, change.rotated, judge.terms.rotated] == [rotated] * 4


def test_a_face_that_no_strength_protects_holds_the_photo(tmp_path: Path) -> None:
    hopeless = face(0)
    outcome = run(Scripted([hopeless], {hopeless: [1, 0.9, 0.8, 0.7]}), Policy(), tmp_path)
    assert outcome.decision == "hold"
    assert outcome.reason == "1 of 1 face not protected: stern links the face at 0,0 (0.700 >= 0.340, jpeg-75)"
    assert outcome.strengths == ("utmost",)


def test_a_face_that_only_the_verifier_sees_is_cloaked_too(tmp_path: Path) -> None:
    seen, hidden = face(0), face(200)
    engine = Scripted([seen], {seen: [1, 0.1, 0, 0], hidden: [1, 0.1, 0, 0]}, hidden)
    outcome = run(engine, Policy(), tmp_path)
    assert outcome.decision == "publish"
    assert [set(each) for each in engine.strengths] == [{seen}, {seen, hidden}]


def test_a_face_that_never_stops_appearing_ends_the_rounds(tmp_path: Path) -> None:
    class Endless(Scripted):
        def judge(self, asked: Any) -> Any:
            self.hidden = face(1000.0 + 100 * len(self.strengths))
            self.similar[self.hidden] = [1, 0.1, 0, 0]
            return super().judge(asked)

    seen = face(0)
    outcome = run(Endless([seen], {seen: [1, 0.1, 0, 0]}), Policy(), tmp_path)
    assert outcome.decision == "hold"


def test_small_faces_are_left_alone(tmp_path: Path) -> None:
    tiny = face(0, size=12)
    engine = Scripted([tiny], {tiny: [1, 1, 1, 1]})
    outcome = run(engine, Policy(), tmp_path)
    assert engine.strengths == [{}]
    assert outcome.reason.startswith("no face found, 1 smaller than 24 px: published")


SEEN_TWICE, LATE = face(0), face(200)
DOUBTED = [Detection(SEEN_TWICE, "", True, True), Detection(LATE, "turned", True, False)]


def doubted(uncertain: Any, late: list[float], tmp_path: Path) -> tuple[Scripted, Any]:
    """Return what became of a photo with a face that both see and one that only the second look shows."""
    engine = Scripted([SEEN_TWICE], {SEEN_TWICE: [1, 0.1, 0, 0], LATE: late}, detections=DOUBTED)
    return engine, run(engine, Policy(uncertain=uncertain), tmp_path)


def test_a_face_that_only_the_second_look_shows_is_cloaked_at_once(tmp_path: Path) -> None:
    engine, outcome = doubted("cloak", [1, 0.1, 0, 0], tmp_path)
    assert [set(each) for each in engine.strengths] == [{SEEN_TWICE, LATE}]
    assert outcome.reason.startswith("2 faces protected: ")
    assert outcome.reason.endswith("; among them 1 uncertain face (1 turned)")
    assert outcome.decision == "publish"
    assert (outcome.faces, outcome.uncertain, outcome.left_uncertain) == (2, 1, 0)


def test_one_that_stays_linked_holds_the_photo_and_its_doubt_is_named(tmp_path: Path) -> None:
    _, outcome = doubted("cloak", [1, 0.9, 0.9, 0.9], tmp_path)
    assert outcome.decision == "hold"
    assert outcome.reason.endswith("; in doubt: 1 uncertain face (1 turned)")


def test_a_policy_holds_what_is_in_doubt(tmp_path: Path) -> None:
    engine, outcome = doubted("hold", [1, 0.1, 0, 0], tmp_path)
    assert (outcome.decision, outcome.reason) == (
        "hold",
        "1 uncertain face (1 turned): held (policy uncertain: hold)",
    )
    assert all(LATE not in each for each in engine.strengths)


def test_a_policy_leaves_what_is_in_doubt_as_it_is_and_says_so(tmp_path: Path) -> None:
    engine, outcome = doubted("publish", [1, 0.9, 0.9, 0.9], tmp_path)
    assert outcome.decision == "publish"
    assert outcome.reason.startswith("1 face protected: ")
    assert outcome.reason.endswith("; 1 uncertain face (1 turned), left unchanged")
    assert all(LATE not in each for each in engine.strengths)
    assert outcome.left_uncertain == 1


@pytest.mark.parametrize("known", [True, False])
def test_what_may_be_an_animal_is_left_as_it_is_and_said(tmp_path: Path, known: bool) -> None:
    pet = face(0)
    detections = [Detection(pet, "may be an animal", False, known)]
    engine = Scripted([pet] if known else [], {pet: [1, 1, 1, 1]}, detections=detections)
    outcome = run(engine, Policy(), tmp_path)
    assert engine.strengths == [{}]
    assert outcome.decision == "publish"
    assert "no sure face found, 1 uncertain face (1 may be an animal), left unchanged: published" in outcome.reason
    assert run(engine, Policy(uncertain="hold"), tmp_path).decision == "hold"


@pytest.mark.parametrize("uncertain", ["cloak", "publish"])
def test_a_face_that_both_see_is_cloaked_whatever_is_done_with_doubts(tmp_path: Path, uncertain: Any) -> None:
    lying = face(0)
    engine = Scripted([lying], {lying: [1, 0.1, 0, 0]}, detections=[Detection(lying, "turned", True, True)])
    assert run(engine, Policy(uncertain=uncertain), tmp_path).reason.startswith("1 face protected")
    assert engine.strengths == [{lying: "balanced"}]


@pytest.mark.parametrize(("choice", "decision"), [("publish", "publish"), ("hold", "hold"), ("skip", "skip")])
def test_a_photo_without_a_face_goes_by_the_policy(choice: Any, decision: str) -> None:
    found, reason = decide(Policy(no_face=choice), verdict())
    assert found == decision
    assert f"no_face: {choice}" in reason


def test_publish_anyway_says_so() -> None:
    found, reason = decide(Policy(unprotected="publish-anyway"), verdict(judged(face(0), 0.8)))
    assert found == "publish"
    assert "not protected" in reason
    assert "publish-anyway" in reason


def test_without_a_judge_nothing_is_protected() -> None:
    attacked = Judgement("fooled", "surrogate", "cosine", "as-is", 0.99, 0.0, 0.3, False)
    lone = FaceVerdict(face(0), True, True, (attacked,))
    assert not lone.protected
    assert decide(Policy(), verdict(lone))[0] == "hold"


def test_an_attacked_recogniser_that_links_holds_the_photo_too() -> None:
    found = judged(face(0), 0.1)
    attacked = Judgement("fooled", "surrogate", "cosine", "as-is", 0.99, 0.5, 0.3, True)
    lone = replace(found, judgements=(*found.judgements[:2], attacked))
    assert not lone.protected
    assert decide(Policy(), verdict(lone)) == (
        "hold",
        "1 of 1 face not protected: fooled (attacked) links the face at 0,0 (0.500 >= 0.300, as-is)",
    )


def test_one_judge_alone_is_provisional_and_says_how_to_get_another() -> None:
    found = judged(face(0), 0.1)
    lone = replace(found, judgements=found.judgements[:1])
    decision, reason = decide(Policy(), verdict(lone))
    assert decision == "publish"
    assert reason.startswith("1 face protected, provisionally: not linked by 1 judge only; closest to a link: stern, ")
    assert reason.endswith("get a judge of another family with `uncnn-daemon models pull --pack small`")


def test_two_judges_of_one_family_are_provisional_too() -> None:
    found = judged(face(0), 0.1)
    alike = replace(found, judgements=tuple(replace(each, family="resnet") for each in found.judgements))
    assert alike.provisional
    assert "not linked by 2 judges of one family" in decide(Policy(), verdict(alike))[1]


def test_what_is_too_near_or_proves_nothing_is_said() -> None:
    near = Judgement("stern", "judge", "euclidean", "blur-1", 0.1, 0.58, 0.54, True, 0.1)
    blind = Judgement("stern", "judge", "euclidean", "half-size", 0.7, 0.9, 0.54, True, 0.1)
    said = [decide(Policy(), verdict(FaceVerdict(face(0), True, True, (each,))))[1] for each in (near, blind)]
    assert said[0].endswith(
        "stern is too close to linking the face at 0,0 (0.580 <= 0.594, its threshold with a margin of 10 %, blur-1)"
    )
    assert said[1].endswith(
        "stern cannot recognise the face at 0,0 in the original either (view half-size), so its answer proves nothing"
    )


def test_the_nearest_is_that_with_the_least_room_beyond_what_was_asked() -> None:
    roomy = Judgement("wide", "judge", "euclidean", "as-is", 0.1, 0.60, 0.5, False, 0.05)
    tight = Judgement("tight", "judge", "euclidean", "as-is", 0.1, 0.61, 0.5, False, 0.2)
    far = Judgement("far", "judge", "cosine", "as-is", 0.9, -0.5, 0.3, False, 0.1)
    found = verdict(FaceVerdict(face(0), True, True, (roomy, tight, far)))
    assert found.closest == tight
    assert nearest_words(found) == "closest to a link: tight, 22 % beyond its threshold (as-is, margin 20 %)"


def test_the_reason_says_how_far_the_change_shows() -> None:
    for after, words in ((0.1, "protected"), (0.8, "not protected")):
        found = replace(verdict(judged(face(0), after)), jod=Jod(9.95, 9.5, 9.1))
        reason = decide(Policy(), found)[1]
        assert words in reason
        assert reason.endswith("; change: not visible on a phone, slightly on a desktop")


def test_nothing_to_judge_is_not_protected() -> None:
    assert (verdict().kind, verdict().protected, verdict().provisional, verdict().closest) == (
        "no-face",
        False,
        False,
        None,
    )
    tiny = verdict(judged(face(0, size=12), 0.1))
    assert (tiny.kind, tiny.protected) == ("no-face", False)
    assert verify_words(verdict(), Policy()).startswith("no face was found")
    assert verify_words(tiny, Policy()) == "no face to protect: of 1 face 1 smaller than 24 px"


def test_levels_only_lead_up() -> None:
    assert escalation_levels(Policy()) == ("balanced", "strong", "utmost")
    assert escalation_levels(Policy(attack={"strength": "utmost"})) == ("utmost",)  # type: ignore[arg-type]
    assert escalation_levels(Policy(attack={"strength": "subtle"})) == ("subtle", "balanced", "strong", "utmost")  # type: ignore[arg-type]
    assert escalation_levels(Policy(attack={"strength": "balanced"}, escalate=())) == ("balanced",)  # type: ignore[arg-type]
    assert escalation_levels(Policy(escalate=("utmost", "strong"))) == ("balanced", "strong", "utmost")
    assert escalation_levels(Policy(attack={"strength": "strong"}, escalate=("balanced",))) == ("strong",)  # type: ignore[arg-type]


def test_an_escalation_ends() -> None:
    escalation = Escalation(("balanced", "strong"))
    assert escalation.add([1])
    assert not escalation.add([1])
    assert escalation.escalate([1])
    assert not escalation.escalate([1])
    assert [escalation.strength(number) for number in (0, 1)] == ["", "strong"]


def test_a_face_that_a_person_wants_left_is_not_cloaked(tmp_path: Path) -> None:
    left, other = face(0), face(100)
    engine = Scripted([left, other], {left: [1], other: [1, 0.1]})
    decision = FaceDecision("leave", left.box, "command", "2026-01-02T03:04:05+00:00")
    asked = replace(job("photo.png", Policy(), tmp_path), decisions=(decision,))
    outcome = protect(engine, asked, lambda _: None)  # type: ignore[arg-type]
    assert engine.strengths == [{other: "balanced"}]
    assert (outcome.decision, outcome.strengths) == ("publish", ("", "balanced"))
    terms = [each.terms for each in engine.asked if isinstance(each, Review | Judge)]
    assert {each.decisions for each in terms} == {(decision,)}, "both looks are told"


@pytest.mark.parametrize(
    ("tried", "following"),
    [
        ([], "subtle"),
        (["", ""], "subtle"),
        (["", "balanced"], "strong"),
        (["strong", "balanced"], "utmost"),
        (["utmost", ""], None),
    ],
)
def test_the_next_strength_is_beyond_all_that_were_tried(tried: list[str], following: str | None) -> None:
    assert next_strength(tried) == following

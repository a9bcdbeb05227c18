"""The rules that fail closed, each held at both of its sides: `benchmarks/mutants.py` weakens them line by line."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from uncnn.daemon.config import ConfigError, Policy
from uncnn.daemon.config.overrides import overridden
from uncnn.daemon.files.opening import PublishError
from uncnn.daemon.files.publish import publish
from uncnn.daemon.files.standing import holds, reads_as
from uncnn.daemon.jobs.duplicates import EarlierResult
from uncnn.daemon.jobs.photo_job import _judge
from uncnn.daemon.ledger import State
from uncnn.daemon.protect.pipeline import decide
from uncnn.daemon.protect.verifier import _judgement, _paired
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.geometry import SAME_FACE, same_face
from uncnn.plugins.recognisers.cards import DEFAULT_MARGIN, read_card

PHOTO = Path("trip/a.jpg")
POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))


def face(left: float = 0, size: float = 50) -> Face:
    points: Any = tuple((left + size * x, size * y) for x, y in POINTS)
    return Face((left, 0, left + size, size), points, 0.9)


def judgement(linked: bool, role: str = "judge", view: str = "as-is") -> Judgement:
    return Judgement("stern", role, "cosine", view, 0.99, 0.9 if linked else 0.0, 0.3, linked)  # type: ignore[arg-type]


def judged(*judgements: Judgement, left: float = 0, size: float = 50, **more: Any) -> FaceVerdict:
    own = {"required": True, "found_again": True, **more}
    return FaceVerdict(face(left, size), **own, judgements=judgements)


def verdict(*faces: FaceVerdict) -> Verdict:
    return Verdict("0" * 64, 1e-3, ("as-is", "jpeg-75"), faces)


LINKED, FREE = judgement(linked=True), judgement(linked=False)
GOOD, BAD = judged(FREE, FREE), judged(FREE, LINKED, left=100)
ASKED = judged(LINKED, required=False, spared=True, decided="leave", left=400)
ANIMAL = judged(LINKED, required=False, spared=True, decided="not-a-person", left=500)
LEFT, SMALL = judged(LINKED, required=False, spared=True), judged(LINKED, required=False, size=12)


@pytest.mark.parametrize(
    ("judgements", "protected"),
    [
        ([FREE, FREE], True),
        ([LINKED, LINKED], False),
        ([FREE, LINKED], False),
        ([LINKED, FREE], False),
        ([], False),
        ([judgement(linked=False, role="surrogate")], False),
        ([judgement(linked=True, role="surrogate"), LINKED], False),
        ([FREE, judgement(linked=False, role="surrogate")], True),
        ([FREE, judgement(linked=True, role="surrogate")], False),
    ],
)
def test_a_face_is_protected_where_some_judge_was_asked_and_nobody_links_it(
    judgements: list[Judgement], protected: bool
) -> None:
    assert judged(*judgements).protected is protected


@pytest.mark.parametrize(
    ("faces", "protected"),
    [
        ([GOOD], True),
        ([BAD], False),
        ([GOOD, BAD], False),
        ([BAD, GOOD], False),
        ([GOOD, SMALL], True),
        ([SMALL], False),  # nothing was shown of it
        ([LEFT], False),
        ([], False),
    ],
)
def test_a_photo_is_protected_where_some_face_is_asked_for_and_each_of_these_is(
    faces: list[FaceVerdict], protected: bool
) -> None:
    assert verdict(*faces).protected is protected


@pytest.mark.parametrize("no_face", ["publish", "hold", "skip"])
@pytest.mark.parametrize("unprotected", ["hold", "publish-anyway"])
@pytest.mark.parametrize(
    ("faces", "decision"),
    [
        ([GOOD], "publish"),
        ([BAD], "unprotected"),
        ([GOOD, BAD], "unprotected"),
        ([BAD, LEFT], "unprotected"),
        ([BAD, SMALL], "unprotected"),
        ([GOOD, SMALL, LEFT], "publish"),
        ([LEFT], "publish"),
        ([LEFT, SMALL], "publish"),
        ([GOOD, ASKED, ANIMAL], "publish"),
        ([BAD, ASKED], "unprotected"),
        ([ASKED], "publish"),
        ([ASKED, ANIMAL], "publish"),
        ([ANIMAL], "no face"),
        ([ANIMAL, LEFT], "publish"),
        ([SMALL], "no face"),
        ([], "no face"),
    ],
)
def test_what_a_policy_does_with_each_kind_of_photo(
    no_face: Any, unprotected: Any, faces: list[FaceVerdict], decision: str
) -> None:
    policy = Policy(no_face=no_face, unprotected=unprotected)
    wanted = {"unprotected": "hold" if unprotected == "hold" else "publish", "no face": no_face}.get(decision, decision)
    found, reason = decide(policy, verdict(*faces))
    assert found == wanted
    bad = sum(each.required and not each.protected for each in faces)
    required = sum(each.required for each in faces)
    assert (f"{bad} of {required} face" in reason) == (decision == "unprotected")
    assert ("publish-anyway" in reason) == (decision == "unprotected" and unprotected == "publish-anyway")
    assert (f"no_face: {no_face}" in reason) == (decision == "no face")
    left, small = (decision != "unprotected" and any(each in faces for each in some) for some in ([LEFT], [SMALL]))
    assert ("1 face left unchanged" in reason) == left
    assert re.findall("1 face left as you asked(?!:)", reason) == ["1 face left as you asked"] * faces.count(ASKED)
    assert ("1 face left as you asked: not a person" in reason) == (ANIMAL in faces)
    assert (f"1 smaller than {policy.faces.smallest_px} px" in reason) == small


TURNED = judged(FREE, FREE, uncertain="turned", left=200)
FAINT = judged(LINKED, uncertain="found only by the second search", required=False, left=300)


@pytest.mark.parametrize(
    ("faces", "uncertain", "decision"),
    [
        ([TURNED], "hold", "hold"),
        ([TURNED], "cloak", "publish"),
        ([TURNED], "publish", "publish"),
        ([FAINT], "hold", "hold"),
        ([FAINT], "publish", "no face"),
        ([GOOD, FAINT], "hold", "hold"),
        ([GOOD, FAINT], "publish", "publish"),
        ([BAD, TURNED], "cloak", "hold"),
        ([GOOD, replace(FAINT, face=face(300, size=12))], "hold", "publish"),
        ([GOOD, replace(FAINT, spared=True)], "hold", "publish"),
        ([GOOD, ANIMAL], "hold", "publish"),
        ([GOOD], "hold", "publish"),
        ([replace(BAD, uncertain="turned")], "cloak", "hold"),
        ([replace(BAD, uncertain="turned")], "hold", "hold"),
    ],
)
def test_a_face_in_doubt_is_never_passed_over(faces: list[FaceVerdict], uncertain: Any, decision: str) -> None:
    for no_face in ("publish", "hold", "skip"):
        found, reason = decide(Policy(uncertain=uncertain, no_face=no_face), verdict(*faces))  # type: ignore[arg-type]
        assert found == (no_face if decision == "no face" else decision)
        doubts = [each for each in faces if each.uncertain and not each.spared and each.face.size_px >= 24]
        told = doubts and (uncertain == "hold" or BAD not in faces)
        assert ("1 uncertain face (" in reason) == bool(told)
        assert ("policy uncertain: hold" in reason) == (bool(doubts) and uncertain == "hold")
        assert ("no sure face found" in reason) == (decision == "no face")
        assert ("), left unchanged" in reason) == (FAINT in faces and uncertain != "hold")
        assert ("among them" in reason) == (faces == [TURNED] and uncertain != "hold")
        assert ("in doubt" in reason) == (uncertain == "cloak" and decision == "hold" and bool(faces[0].uncertain))


@pytest.mark.parametrize("faces", [[GOOD], [BAD], [LEFT], [TURNED], []])
def test_a_decision_that_changed_nothing_is_said_whatever_becomes_of_the_photo(faces: list[FaceVerdict]) -> None:
    for uncertain in ("hold", "cloak"):
        policy = Policy(uncertain=uncertain)  # type: ignore[arg-type]
        plain = decide(policy, verdict(*faces))
        said = decide(policy, replace(verdict(*faces), unapplied=("your decision was not applied",)))
        assert said == (plain[0], f"{plain[1]}; your decision was not applied")


def test_what_a_policy_does_is_said_in_its_own_words() -> None:
    said = {choice: decide(Policy(no_face=choice), verdict())[1] for choice in ("publish", "hold", "skip")}
    assert "published with its metadata cleaned" in said["publish"]
    assert ": held (" in said["hold"]
    assert ": skipped (" in said["skip"]


@pytest.mark.parametrize(
    ("decision", "states"),
    [("publish", [State.VERIFIED, State.PUBLISHING]), ("hold", [State.HELD]), ("skip", [State.SKIPPED])],
)
def test_only_what_is_to_be_published_gets_on_the_way(
    decision: Any, states: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[State, Any, Any]] = []

    def move(job: Any, state: State, *_arguments: Any, same_as: Any = None, proof: Any = None, **_named: Any) -> Any:
        steps.append((state, same_as, proof))
        copies.append(_named.get("kept"))
        return job

    monkeypatch.setattr("uncnn.daemon.jobs.photo_job.proof_of", lambda *_: "proof")
    monkeypatch.setattr("uncnn.daemon.jobs.photo_job._kept", lambda *_: "kept")
    copies: list[Any] = []
    taken: Any = None
    job: Any = SimpleNamespace(relative=PHOTO)
    source: Any = SimpleNamespace(policy=Policy(), folder=SimpleNamespace(publish=Path("out")))
    context: Any = SimpleNamespace(ledger=SimpleNamespace(move=move), engine=SimpleNamespace(roster=None))
    judged_now: Any = SimpleNamespace(
        decision=decision, reason="", sha256="", fingerprint=None, verdict=None, strengths=()
    )
    _judge(context, job, source, judged_now, taken)
    assert [state for state, _, _ in steps] == states
    assert steps[0][1:] == (None, "proof"), "what was judged is kept"
    assert copies[0] == ("kept" if decision == "hold" else None), "the judged copy is kept of held photos alone"
    steps.clear()
    earlier: Any = 7
    _judge(context, job, source, EarlierResult(decision, "", earlier), taken)
    assert [state for state, _, _ in steps] == states
    assert steps[0][1:] == (earlier, None), "what was judged before is named"


CONTENT = b"what was verified"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    file = tmp_path / "candidate"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("changed", [b"what was verifieD", b"", CONTENT + b"!", CONTENT[:-1]])
def test_bytes_that_were_not_verified_are_not_published(candidate: Path, changed: bytes) -> None:
    candidate.write_bytes(changed)
    with pytest.raises(PublishError, match=f"but {SHA256} was verified"):
        publish(candidate, candidate.parent / "out", PHOTO, SHA256)
    assert not [path for path in (candidate.parent / "out").rglob("*") if path.is_file()]


def test_what_is_not_there_or_no_file_does_not_hold_the_bytes(tmp_path: Path) -> None:
    content = b"verified"
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    opened = os.open(tmp_path, os.O_RDONLY)
    try:
        found = [
            (holds(opened, name, *wanted), reads_as(opened, name, *wanted))
            for name in ("file", "gone", "folder", "link")
            for wanted in [(len(content), hashlib.sha256(content).hexdigest())]
        ]
    finally:
        os.close(opened)
    assert found == [(True, True), (False, False), (False, False), (False, False)]


def test_a_candidate_that_is_gone_is_not_published(candidate: Path) -> None:
    candidate.unlink()
    with pytest.raises(PublishError, match="candidate cannot be read"):
        publish(candidate, candidate.parent / "out", PHOTO, SHA256)


def test_only_the_very_bytes_under_the_name_count_as_published_before(candidate: Path) -> None:
    out = candidate.parent / "out"
    (out / "trip").mkdir()
    first = out / PHOTO
    for there, placed in (
        (lambda: first.write_bytes(CONTENT), PHOTO),
        (lambda: first.write_bytes(CONTENT[:-1] + b"D"), Path("trip/a (2).jpg")),
        (lambda: first.write_bytes(CONTENT + b"!"), Path("trip/a (2).jpg")),
        (first.mkdir, Path("trip/a (2).jpg")),
        (lambda: first.symlink_to(candidate), Path("trip/a (2).jpg")),
        (lambda: os.mkfifo(first), Path("trip/a (2).jpg")),
    ):
        there()
        assert publish(candidate, out, PHOTO, SHA256) == out / placed
        assert (out / placed).read_bytes() == CONTENT
        for path in (out / "trip").iterdir():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


PICTURE = np.zeros((60, 400, 3), np.uint8)


def paired(known: list[Face], seen: list[Face]) -> tuple[list[Face], list[Face], list[bool]]:
    pair = _paired(PICTURE, PICTURE, known, seen)
    return pair.faces, pair.again, pair.found_again


def test_faces_of_both_photos_are_paired_and_none_is_lost() -> None:
    known, near, other, far = face(0), face(2), face(100), face(300)
    assert paired([known], [near]) == ([known], [near], [True])
    assert paired([known], []) == ([known], [known], [False])
    assert paired([], [far]) == ([far], [far], [True])
    assert paired([known], [far]) == ([known, far], [known, far], [False, True])
    assert paired([known, other], [far, near]) == ([known, other, far], [near, other, far], [True, False, True])
    assert paired([known, other], [other, near]) == ([known, other], [near, other], [True, True])


def test_a_face_that_was_found_again_is_nobody_elses() -> None:
    """Two known faces in one place, found again once: the second is where it was."""
    first, second, again = face(0), face(1), face(2)
    assert paired([first, second], [again]) == ([first, second], [again, second], [True, False])
    assert paired([first], [again, second]) == ([first], [again], [True]), "seen twice, known once: judged once"


def moved(each: Face, across: float) -> Face:
    landmarks: Any = tuple((x + across, y) for x, y in each.landmarks)
    return Face(each.box, landmarks, each.score)


def test_landmarks_at_the_very_limit_are_another_face() -> None:
    points: Any = ((0.0, 0.0), (80.0, 0.0), (40.0, 40.0), (10.0, 70.0), (70.0, 70.0))
    one = Face((0, 0, 80, 80), points, 0.9)
    assert SAME_FACE * 80 == 28
    assert not same_face(one, moved(one, 28))
    assert same_face(one, moved(one, 27.99))


@pytest.mark.parametrize("across", [1, -1])
def test_a_face_is_the_same_where_its_landmarks_are_near_by_its_own_size(across: float) -> None:
    one, other = face(60), face(60, size=5)
    eyes = 0.4 * 50
    assert same_face(one, moved(one, across * 0.99 * SAME_FACE * eyes))
    assert not same_face(one, moved(one, across * 1.01 * SAME_FACE * eyes))
    assert not same_face(one, other)


def refused(tmp_path: Path, policy: Policy, *texts: str) -> list[str]:
    """Return the keys that a folder's files may not say under a policy: all of a refusal, in their order."""
    for source, text in zip((".", "trip"), texts, strict=False):
        (tmp_path / source).mkdir(exist_ok=True)
        (tmp_path / source / ".uncnn.yaml").write_text(text)
    try:
        overridden(policy, tmp_path, PHOTO)
    except ConfigError as error:
        return [problem.path for problem in error.problems]
    return []


def policy_of(**fields: Any) -> Policy:
    return Policy.model_validate(fields)


STRICT = policy_of(protect={"far": 1e-2, "views": ["as-is", "jpeg-75"]}, no_face="hold", faces={"rotated": True})
AIMED = policy_of(faces={"who": "all-but-enrolled", "smallest_px": 30})


@pytest.mark.parametrize(
    ("policy", "text", "places"),
    [
        (STRICT, "protect: {far: 1.0e-2}", []),
        (STRICT, "protect: {far: 1.0e-3}", ["protect.far"]),
        (STRICT, "protect: {views: [jpeg-75, as-is]}", []),
        (STRICT, "protect: {views: [jpeg-75, half-size]}", ["protect.views"]),
        (STRICT, "protect: {views: [half-size]}", ["protect.views"]),
        (STRICT, "protect: {far: 1.0e-3, views: [as-is]}", ["protect.far", "protect.views"]),
        (
            policy_of(protect={"far": 1e-2, "views": ["as-is", "jpeg-75"]}),
            "protect: {views: [as-is, jpeg-75, half-size]}",
            [],
        ),
        (policy_of(protect={"views": ["half-size"]}), "protect: {far: 1.0e-2}", []),
        (STRICT, "no_face: publish", ["no_face"]),
        (STRICT, "no_face: hold", []),
        (policy_of(no_face="skip"), "no_face: publish", ["no_face"]),
        (policy_of(no_face="publish"), "no_face: publish", []),
        (STRICT, "attack: {strength: strong}", []),
        (STRICT, "faces: {smallest_px: 24}", []),
        (STRICT, "faces: {smallest_px: 25}", ["faces.smallest_px"]),
        (AIMED, "faces: {smallest_px: 30, who: all-but-enrolled}", []),
        (AIMED, "faces: {who: all}", []),
        (AIMED, "faces: {who: only-enrolled}", ["faces.who"]),
        (AIMED, "attack: {strength: strong}", []),
        (STRICT, "output: {name: '{stem}{suffix}'}\nprotect: {far: 1.0e-4}", ["output.name", "protect.far"]),
        (
            STRICT,
            "attack: {name: pgd}\npublish: /srv\nno_face: hold\nno_face: hold",
            ["attack.name", "publish", "no_face"],
        ),
    ],
)
def test_a_folder_can_ask_for_more_and_never_for_less(
    tmp_path: Path, policy: Policy, text: str, places: list[str]
) -> None:
    assert refused(tmp_path, policy, text) == places


def test_a_folder_below_cannot_take_back_what_the_one_above_asks_for(tmp_path: Path) -> None:
    above = "protect: {far: 1.0e-2}\nno_face: hold\nfaces: {smallest_px: 12}\n"
    below = "protect: {far: 1.0e-3}\nno_face: publish\nfaces: {smallest_px: 13}\n"
    assert refused(tmp_path, Policy(), above) == []
    assert refused(tmp_path, Policy(), above, below) == ["protect.far", "no_face", "faces.smallest_px"]


def test_every_mistake_of_a_folder_is_said_at_once(tmp_path: Path) -> None:
    text = "protect: {far: 1.0e-4}\nno_face: hold\nno_face: publish\n"
    assert sorted(refused(tmp_path, Policy(), text)) == ["no_face", "protect.far"]
    wrong = "publish: /srv\nprotect: {far: 7}\nattack: {name: pgd}\nno_face: hold\nno_face: hold\n"
    assert {"no_face", "publish", "protect.far"} <= set(refused(tmp_path, Policy(), wrong))


@pytest.mark.parametrize("text", ["attack: {steps: 0}\n", "attack: {strength: strong, steps: 0}\n"])
def test_a_folder_cannot_set_an_attacks_own_parameters(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, Policy(), text) == ["attack.steps"]
    said = "a folder cannot set this (here it is not set)"
    with pytest.raises(ConfigError, match=re.escape(said)):
        overridden(Policy(), tmp_path, PHOTO)


def test_a_candidate_that_is_gone_is_not_released(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="there is no such file"):
        publish(tmp_path / "gone", tmp_path, Path("photo.jpg"), "0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / ".uncnn.yaml"
    (tmp_path / "real.yaml").write_text("no_face: hold\n")
    {"link": lambda: file.symlink_to(tmp_path / "real.yaml"), "folder": file.mkdir, "fifo": lambda: os.mkfifo(file)}[
        kind
    ]()
    with pytest.raises(ConfigError, match="not a regular file"):
        overridden(Policy(), tmp_path, PHOTO)


def test_what_a_folder_does_not_say_stays_as_it_is(tmp_path: Path) -> None:
    own = Policy.model_validate({"faces": {"who": "all-but-enrolled", "smallest_px": 30}, "protect": {"far": 1e-3}})
    (tmp_path / ".uncnn.yaml").write_text("faces: {smallest_px: 20}\nprotect: {far: 1.0e-2}\n")
    found = overridden(own, tmp_path, PHOTO)
    assert (found.faces.who, found.faces.smallest_px) == ("all-but-enrolled", 20)
    assert (found.protect.far, found.protect.views) == (1e-2, own.protect.views)
    assert found.attack == own.attack


CARD = read_card(EMBEDDED / "mobileface-v2").model_copy(update={"thresholds": {1e-3: 0.36}, "margin": 0.2})


@pytest.mark.parametrize(
    ("before", "after", "margin", "linked"),
    [
        (0.9, 0.30, 0.0, False),
        (0.9, 0.37, 0.0, True),
        (0.9, 0.30, "calibrated", True),
        (0.9, 0.00, "calibrated", False),
        (0.3, 0.00, 0.0, True),  # it does not know the unchanged face either
        (float("nan"), 0.00, 0.0, True),
        (0.9, float("nan"), 0.0, True),
    ],
)
def test_a_face_is_linked_where_it_is_near_or_where_the_answer_proves_nothing(
    before: float, after: float, margin: Any, linked: bool
) -> None:
    found = _judgement(SimpleNamespace(card=CARD), "as-is", before, after, 1e-3, margin)  # type: ignore[arg-type]
    assert found.linked is linked
    assert found.margin == (0.2 if margin == "calibrated" else margin)
    bare = SimpleNamespace(card=CARD.model_copy(update={"margin": None}))
    assert _judgement(bare, "as-is", before, after, 1e-3, "calibrated").margin == DEFAULT_MARGIN  # type: ignore[arg-type]


@pytest.mark.parametrize(("metric", "known", "unknown"), [("cosine", 0.36, 0.3599), ("euclidean", 0.36, 0.3601)])
def test_who_does_not_link_the_unchanged_photo_is_blind(metric: Any, known: float, unknown: float) -> None:
    def seen(before: float) -> bool:
        return Judgement("stern", "judge", metric, "as-is", before, 0.0, 0.36, False).blind

    assert [seen(value) for value in (known, unknown, float("nan"))] == [False, True, True]

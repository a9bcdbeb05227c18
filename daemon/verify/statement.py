"""What a verdict says in words: who was asked and how, who still links a face, and how close it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger.decisions import Kind
from uncnn.daemon.verify.jod import change_words
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict, families_of, judges_of
from uncnn.plugins.recognisers.cards import rate_text

DECIDED: Final[dict[Kind, str]] = {"leave": "left as you asked", "not-a-person": "left as you asked: not a person"}
SECOND_JUDGE: Final = "get a judge of another family with `uncnn-daemon models pull --pack small`"


def protected_words(verdict: Verdict) -> str:
    """Return in a line that the faces of a protected verdict are, by whose word, and how far the change shows."""
    judgements = [judgement for face in verdict.required for judgement in face.judgements]
    state = "protected, provisionally" if verdict.provisional else "protected"
    said = f"{faces_words(len(verdict.required))} {state}: not linked by {_asked(judgements)}"
    said += f"{_details(verdict)}{_change(verdict)}"
    return f"{said}; {SECOND_JUDGE}" if verdict.provisional else said


def without_details(words: str, verdict: Verdict) -> str:
    """Return `protected_words` without what the table of the verdict says too."""
    return words.replace(_details(verdict), "")


def _details(verdict: Verdict) -> str:
    return f"; {nearest_words(verdict)}; {_asked_briefly(verdict)}"


def unprotected_words(verdict: Verdict) -> str:
    """Return in a line how many faces of a verdict are not protected, and who links one."""
    linked = [face for face in verdict.required if not face.protected]
    return (
        f"{len(linked)} of {faces_words(len(verdict.required))} not protected: {worst_link(linked)}{_change(verdict)}"
    )


def _change(verdict: Verdict) -> str:
    return "" if verdict.jod is None else f"; change: {change_words(verdict.jod)}"


def verify_words(verdict: Verdict, policy: Policy) -> str:
    """Return what was shown of a pair of photos, in a line."""
    if verdict.kind != "no-face":
        return protected_words(verdict) if verdict.protected else unprotected_words(verdict)
    if not verdict.faces:
        return "no face was found in either photo, so nothing could be checked"
    spared = sum(face.spared for face in verdict.faces)
    left = f"{spared} left unchanged (policy faces.who: {policy.faces.who})"
    small = f"{len(verdict.faces) - spared} smaller than {policy.faces.smallest_px} px"
    said = [words for number, words in ((spared, left), (len(verdict.faces) - spared, small)) if number]
    return f"no face to protect: of {faces_words(len(verdict.faces))} {' and '.join(said)}"


def left_words(policy: Policy, verdict: Verdict) -> str:
    """Return in words which faces were left as they are, and why; "" where none was."""
    spared = sum(face.spared and not face.decided for face in verdict.faces)
    small = sum(not face.spared and not is_large(policy, face) for face in verdict.faces)
    words = [f"{faces_words(spared)} left unchanged (policy faces.who: {policy.faces.who})"] if spared else []
    words += [asked] if (asked := asked_for_words(verdict)) else []
    words += [f"{small} smaller than {policy.faces.smallest_px} px"] if small else []
    left = [face for face in verdict.faces if face.left_in_doubt and is_large(policy, face)]
    words += [f"{doubt_words(left)}, left unchanged"] if left else []
    return ", ".join(words)


def asked_for_words(verdict: Verdict) -> str:
    """Return in words which faces were left as they are because a person asked for it; "" where none was."""
    counts = Counter(face.decided for face in verdict.faces if face.decided)
    return ", ".join(f"{faces_words(number)} {DECIDED[kind]}" for kind, number in counts.items())


def doubt_words(faces: Iterable[FaceVerdict]) -> str:
    """Return in words how many faces are in doubt, and why: `2 uncertain faces (1 turned, 1 may be an animal)`."""
    counts = Counter(face.uncertain for face in faces)
    why = ", ".join(f"{number} {words}" for words, number in counts.items())
    return f"{faces_words(counts.total(), 'uncertain face')} ({why})"


def is_large(policy: Policy, face: FaceVerdict) -> bool:
    """Return whether a face is as large as the policy asks for."""
    return face.face.size_px >= policy.faces.smallest_px


def nearest_words(verdict: Verdict) -> str:
    """Return which recogniser came nearest to a link, and how far it was from one."""
    closest = verdict.closest
    if closest is None:
        return "no recogniser was asked"
    margin = f", margin {percent(closest.margin)}" if closest.margin else ""
    beyond = max(closest.inside, 0.0)
    return f"closest to a link: {closest.recogniser}, {percent(beyond)} beyond its threshold ({closest.view}{margin})"


def asked_words(verdict: Verdict) -> str:
    """Return what was asked of the recognisers: at which false accept rate, with which margin, in which views."""
    return f"FAR {rate_text(verdict.far)}, {_margin(verdict)}, {', '.join(verdict.views)}"


def _asked_briefly(verdict: Verdict) -> str:
    number = len(verdict.views)
    return (
        f"checked at FAR {rate_text(verdict.far)}, {_margin(verdict)}, {'1 view' if number == 1 else f'{number} views'}"
    )


def _margin(verdict: Verdict) -> str:
    if verdict.margin == "calibrated":
        return "calibrated margins"
    return f"a margin of {percent(verdict.margin)}" if verdict.margin else "no margin"


def worst_link(faces: Iterable[FaceVerdict]) -> str:
    """Return in words the first recogniser, judges before attacked ones, that still links one of `faces`."""
    found = [(face, judgement) for face in faces for judgement in face.judgements]
    if not any(judgement.role == "judge" for _, judgement in found):
        return "no judge was asked"
    linked = [(face, judgement) for face, judgement in found if judgement.linked]
    face, judgement = min(linked, key=lambda pair: pair[1].role != "judge")
    left, top = (round(value) for value in face.face.box[:2])
    return f"{_named(judgement)} {_link(judgement, f'the face at {left},{top}')}"


def _link(judgement: Judgement, face: str) -> str:
    if judgement.blind:
        words = f"cannot recognise {face} in the original either"
        return f"{words} (view {judgement.view}), so its answer proves nothing"
    sign = ">=" if judgement.metric == "cosine" else "<="
    if judgement.inside > 0:
        words = f"{judgement.after:.3f} {sign} {judgement.limit:.3f}, its threshold with a margin of "
        return f"is too close to linking {face} ({words}{percent(judgement.margin)}, {judgement.view})"
    return f"links {face} ({judgement.after:.3f} {sign} {judgement.threshold:.3f}, {judgement.view})"


def _named(judgement: Judgement) -> str:
    return judgement.recogniser if judgement.role == "judge" else f"{judgement.recogniser} (attacked)"


def _asked(judgements: list[Judgement]) -> str:
    """Return how many judges of how many families, and how many attacked recognisers, were asked."""
    judges, families = len(judges_of(judgements)), families_of(judgements)
    attacked = len({each.recogniser for each in judgements if each.role == "surrogate"})
    of = "one family" if families == 1 else f"{families} families"
    words = "1 judge only" if judges == 1 else f"{judges} judges of {of}"
    return f"{words} and {attacked} attacked recogniser{'' if attacked == 1 else 's'}" if attacked else words


def faces_words(number: int, noun: str = "face") -> str:
    """Return so many faces in words."""
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def percent(share: float) -> str:
    """Return a share as `18 %`."""
    return f"{100 * share:.0f} %"

"""What the verifier found: for each face, whether each recogniser still links it to the original."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import TypeAdapter

from uncnn.daemon.config.policies import Margin
from uncnn.daemon.ledger.decisions import Kind
from uncnn.daemon.verify.jod import Jod
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import Metric, distance, value_at

SURE: Final = 2  # judges of different families that a verdict takes to be more than provisional


@dataclass(frozen=True, slots=True)
class Judgement:
    """One recogniser's answer in one view."""

    recogniser: str
    role: Literal["surrogate", "judge"]
    metric: Metric  # cosine: larger is more alike; euclidean: smaller
    view: str
    before: float  # original against the same view of the original
    after: float  # original against this view of the published photo, at its worst
    threshold: float
    linked: bool  # `after` is on the side of the threshold that calls it the same person, or too near to it
    margin: float = 0.0  # how far beyond the threshold `after` must lie, as a share of the distance that it stands for
    family: str = ""  # of the network: two of one family tend to err together; "" where it is not known

    @property
    def limit(self) -> float:
        """Return the similarity or distance that `after` must get beyond: the threshold, with the margin."""
        return value_at(self.metric, (1 + self.margin) * distance(self.metric, self.threshold))

    @property
    def inside(self) -> float:
        """Return how far beyond the threshold `after` lies, as a share of the threshold's distance; below 0: linked."""
        return distance(self.metric, self.after) / distance(self.metric, self.threshold) - 1

    @property
    def blind(self) -> bool:
        """Return whether the unchanged photo itself is not linked in this view, so that the answer proves nothing."""
        return not (self.before >= self.threshold if self.metric == "cosine" else self.before <= self.threshold)


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What became of one face."""

    face: Face
    required: bool  # False: smaller than the policy asks for, or spared
    found_again: bool  # the detector finds it on the published bytes
    judgements: tuple[Judgement, ...]
    spared: bool = False  # left alone because of whose it is, or because a person decided so
    moved: float = 0.0  # how far its pixels were moved at most, as a share of the distance between the eyes
    uncertain: str = ""  # why it may be no face, or was not seen by all: "" where nothing is in doubt
    zoom: float | None = None  # how far its change shows to who looks closely, in JOD; None: it is too small to tell
    decided: Kind | None = None  # what a person decided about it

    @property
    def protected(self) -> bool:
        """Return whether a judge was asked, and no recogniser, judge or attacked, links the face in any view."""
        return bool(judges_of(self.judgements)) and not any(judgement.linked for judgement in self.judgements)

    @property
    def left_in_doubt(self) -> bool:
        """Return whether it is as it was in the original, and was in doubt."""
        return bool(self.uncertain) and not self.required and not self.spared

    @property
    def provisional(self) -> bool:
        """Return whether it is protected by the word of judges of one family alone."""
        return self.protected and families_of(self.judgements) < SURE

    @property
    def closest(self) -> Judgement | None:
        """Return the judgement that came nearest to a link, by what was asked of it; None: there is none."""
        return nearest(self.judgements)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The proof that goes with the published bytes, and with no others."""

    sha256: str  # of the published bytes
    far: float
    views: tuple[str, ...]
    faces: tuple[FaceVerdict, ...]
    fingerprint: str | None = None  # of the picture in them, whatever the file says besides
    margin: Margin = "calibrated"
    jod: Jod | None = None  # how far the change shows, what was moved counted; None: nobody asked at that time
    unapplied: tuple[str, ...] = ()  # decisions of a person that changed nothing, and why, a line each

    @property
    def required(self) -> tuple[FaceVerdict, ...]:
        """Return the faces that the policy asks for."""
        return tuple(face for face in self.faces if face.required)

    @property
    def protected(self) -> bool:
        """Return whether there is a face that the policy asks for, and each of them is protected."""
        return bool(self.required) and all(face.protected for face in self.required)

    @property
    def provisional(self) -> bool:
        """Return whether it is protected, and a face of it by the word of judges of one family alone."""
        return self.protected and any(face.provisional for face in self.required)

    @property
    def kind(self) -> Literal["protected", "not-protected", "no-face"]:
        """Return in a word what was shown; `no-face`: there was none to judge, so nothing was."""
        if not self.required:
            return "no-face"
        return "protected" if self.protected else "not-protected"

    @property
    def closest(self) -> Judgement | None:
        """Return the judgement of a face that the policy asks for that came nearest to a link."""
        return nearest(judgement for face in self.required for judgement in face.judgements)


def judges_of(judgements: Iterable[Judgement]) -> list[str]:
    """Return the names of the judges that were asked, each once."""
    return list(dict.fromkeys(each.recogniser for each in judgements if each.role == "judge"))


def families_of(judgements: Sequence[Judgement]) -> int:
    """Return of how many families the judges are; one whose family is not known counts with the first."""
    found = {each.family for each in judgements if each.role == "judge"}
    return len(found - {""}) or len(found)


def nearest(judgements: Iterable[Judgement]) -> Judgement | None:
    """Return the judgement that came nearest to a link, by what was asked of it; NaN is nearest, None where none is."""

    def room(each: Judgement) -> float:
        beyond = (1 + each.inside) / (1 + each.margin)
        return -1.0 if math.isnan(beyond) or each.blind else beyond

    return min(judgements, key=room, default=None)


VERDICT = TypeAdapter(Verdict)
"""A verdict as JSON."""

"""What is asked of those that look at photos, change and judge them, and what they answer.

A face is known by its number: its place in the list of the job's faces, those of the worker first, then those that only
the second look shows, then those that only a copy showed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from uncnn.daemon.config.policies import Margin, Metadata, Who
from uncnn.daemon.explain.explained import ExplainedFace, RecogniserAnswer
from uncnn.daemon.explain.members import Member
from uncnn.daemon.files.formats import WrittenAs
from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.wire import Ask
from uncnn.daemon.verify.detection import Detection, Uncertain
from uncnn.daemon.verify.jod import Jod, Visibility
from uncnn.daemon.verify.verdict import Verdict
from uncnn.plugins.api import Face, Rotated
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

CANDIDATE: Final = "candidate"
MOVED: Final = "moved"
SQUARES: Final = "squares"
PICTURE: Final = "comparison"
MASK: Final = "mask"
"""Endings of what is made of a photo, beside it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a process works with, once its models are loaded."""

    device: str
    providers: tuple[str, ...] = ()  # of ONNX Runtime
    canaries: CanaryAnswers | None = None  # when its models were last asked


@dataclass(frozen=True, slots=True)
class Ready(Ask[Loaded]):
    """Load the models, or say how those are that are loaded."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What there is in a photo."""

    faces: tuple[Face, ...]
    format: str
    size: tuple[int, int]  # width, height
    notes: tuple[str, ...]
    fingerprint: str | None  # of the picture, whatever its file says besides


@dataclass(frozen=True, slots=True)
class Look(Ask[Looked]):
    """Find the faces of a photo."""

    photo: Content
    name: str  # what a person calls it
    rotated: Rotated  # whether faces at any in-plane angle are looked for


@dataclass(frozen=True, slots=True)
class AttackChoice:
    """Which attack is run, and the enrolled people that it may target."""

    name: str
    parameters: dict[str, Any]
    people: People = field(default_factory=People)


@dataclass(frozen=True, slots=True)
class Next:
    """A photo whose turn comes soon: its faces may share a batch."""

    photo: Content
    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The photo as it would be published."""

    candidate: Content
    notes: tuple[str, ...]
    moved: Content | None = None  # the squares of the faces whose pixels were moved, see `verify.moved`


@dataclass(frozen=True, slots=True)
class Change(Ask[Changed]):
    """Change the faces of a photo, each with its own strength."""

    photo: Content
    name: str
    rotated: Rotated
    faces: tuple[Face, ...]  # of the job, by number
    strengths: tuple[str, ...]  # one a face; "": it is left as it is
    attack: AttackChoice
    format: WrittenAs
    quality: int | Literal["same"]
    metadata: Metadata = "none"
    smallest_px: float = 0.0  # of the photos that follow, smaller faces are left as they are
    following: tuple[Next, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy asks of a judge."""

    far: float
    views: tuple[str, ...]
    margin: Margin
    smallest_px: float
    rotated: Rotated
    uncertain: Uncertain
    who: Who
    people: People = field(default_factory=People)  # whom `who` speaks of
    decisions: tuple[FaceDecision, ...] = ()  # of a person, about single faces of this one photo


@dataclass(frozen=True, slots=True)
class LookAhead(Ask[None]):
    """Look at an original while the worker does, so that it was looked at once more when it is reviewed."""

    photo: Content
    name: str
    rotated: Rotated


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The faces of an original after the second look: the first ones are those that the worker found."""

    detections: tuple[Detection, ...]
    spared: tuple[bool, ...]  # one a face: left alone because of whose it is, or because a person decided so


@dataclass(frozen=True, slots=True)
class Review(Ask[Reviewed]):
    """Look at an original once more, independently of the worker, which found `faces`."""

    photo: Content
    name: str
    faces: tuple[Face, ...]
    terms: Terms


@dataclass(frozen=True, slots=True)
class Judge(Ask[Verdict]):
    """Judge a copy of a photo; the first faces of the verdict are those of the job, by number."""

    original: Content
    released: Content
    terms: Terms
    detections: tuple[Detection, ...] | None = None  # the answer to `Review`; None: who judges looks by itself alone
    late: tuple[Face, ...] = ()  # that only earlier copies showed: their numbers go on after those
    moved: Content | None = None  # what `Changed` says


@dataclass(frozen=True, slots=True)
class Description:
    """One recogniser's embedding of a face."""

    recogniser: str
    sha256: str
    embedding: list[float]


@dataclass(frozen=True, slots=True)
class Described:
    """Who is in a photo."""

    faces: int  # without those of the background
    models: tuple[Description, ...]  # none, unless there is one face


@dataclass(frozen=True, slots=True)
class Describe(Ask[Described]):
    """Embed the only face of a photo with every recogniser."""

    photo: Content
    name: str
    rotated: Rotated


@dataclass(frozen=True, slots=True)
class MakeMask(Ask[Content]):
    """Make a mask of a person: the answer is for `PersonMask.load`."""

    photos: tuple[Content, ...]  # that show the person alone
    names: tuple[str, ...]  # of the photos, for a person
    rotated: Rotated
    strength: str  # that it is made for; it can be drawn at any
    steps: int


@dataclass(frozen=True, slots=True)
class Explained:
    """Whom recognisers take the faces of a photo for, the largest first, and those of its copy."""

    faces: tuple[ExplainedFace, ...]  # none where the copy has another size
    too_small: int  # faces
    further: int  # faces beyond the most that were asked for, and those that only the copy shows
    size: tuple[int, int]  # width, height
    copy_size: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Explain(Ask[Explained]):
    """Say whom recognisers take the faces of a photo for, and those of its copy: enrolled people, strangers, nobody."""

    photo: Content
    name: str
    copy: Content | None
    recognisers: tuple[str, ...]  # that are asked
    rotated: Rotated
    smallest_px: float
    most: int  # faces at most
    members: tuple[Member, ...]  # of the gallery, beside the strangers


@dataclass(frozen=True, slots=True)
class Classification:
    """Whom the classifier takes each of the faces for."""

    answers: tuple[RecogniserAnswer, ...]


@dataclass(frozen=True, slots=True)
class Classify(Ask[Classification]):
    """Say whom a closed-set classifier takes faces of a photo for, and those of its copy."""

    photo: Content
    name: str  # of the photo, for a person
    copy: Content | None
    model: Content  # an ONNX file
    classifier: str  # what a person calls it
    names: tuple[str, ...]  # of its classes, in their order
    faces: tuple[Face, ...]
    again: tuple[Face | None, ...]  # in the copy
    order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The judges' embeddings of one face of a photo."""

    face: Face | None
    found: bool  # the detector finds it
    embeddings: dict[str, dict[str, list[float]]]  # by judge and view


@dataclass(frozen=True, slots=True)
class Embed(Ask[Embedded]):
    """Embed one face, found anew, in each of the views."""

    photo: Content
    name: str
    judges: tuple[str, ...]
    views: tuple[str, ...]
    near: Face | None  # which face; None: the one that the photo is of
    rotated: Rotated


@dataclass(frozen=True, slots=True)
class Compared:
    """How visible a change is."""

    jod: Jod
    visibility: Visibility | None  # of the face; None: it is too small


@dataclass(frozen=True, slots=True)
class Compare(Ask[Compared]):
    """Measure how visible the change of a photo is, and that of one face."""

    original: Content
    released: Content
    name: str
    face: Face
    moved: Content | None


@dataclass(frozen=True, slots=True)
class Crop(Ask[Content]):
    """Cut the square of a face out of versions of one photo; the answer is for `read_squares`."""

    photos: tuple[Content, ...]
    name: str
    face: Face


@dataclass(frozen=True, slots=True)
class Shown:
    """A comparison for people."""

    picture: Content
    change: str  # in words
    regions: list[dict[str, Any]]  # the figures of the photo and of each face
    left_out: int  # faces that there was no room for


@dataclass(frozen=True, slots=True)
class Show(Ask[Shown]):
    """Make a picture or a page of two versions of a photo."""

    original: Content
    original_name: str
    copy: Content
    copy_name: str
    kind: Literal["png", "html"]


@dataclass(frozen=True, slots=True)
class FacesCut:
    """The faces of two versions of a photo, for a test in which nobody is told which is which."""

    squares: Content  # for `read_squares`: of each face the pictures that `blinded.cut` says
    sizes_px: list[float]  # of the longer side of each face
    left_out: int  # faces that both versions show alike, or that are too small


@dataclass(frozen=True, slots=True)
class CutFaces(Ask[FacesCut]):
    """Cut the faces out of a photo, of its copy, and of the photo after the copy's encoder."""

    original: Content
    original_name: str
    copy: Content
    copy_name: str


@dataclass(frozen=True, slots=True)
class Portray(Ask[Content]):
    """Make a picture of faces, and of whom the recognisers take each for, beside the first photo."""

    photo: Content
    name: str
    copy: Content | None
    copy_name: str
    faces: tuple[ExplainedFace, ...]

"""What is asked of the two processes that work on a clip, and what they answer.

A clip lies in a private folder of its own, and so does all that is made of it: a message names files by their endings
or their numbers, never by a path that an answer brought.
"""

from __future__ import annotations

from dataclasses import dataclass

from uncnn.daemon.config.policies import Margin, Who
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice
from uncnn.daemon.protect.wire import Ask
from uncnn.daemon.verify.verdict import FaceVerdict
from uncnn.daemon.video.clip_info import ClipInfo


@dataclass(frozen=True, slots=True)
class Followed:
    """What there is in a clip; the tracks of its faces lie beside it."""

    info: ClipInfo
    frames: int
    faces: int  # tracks
    segments: int
    spans: tuple[tuple[int, int], ...]  # of each track: the first and the last window in which it is
    lots: tuple[tuple[int, ...], ...]  # windows that are tried together, one lot after another


@dataclass(frozen=True, slots=True)
class Follow(Ask[Followed]):
    """Find the faces of a clip and follow them."""

    clip: Content
    name: str  # what a person calls it
    smallest_px: float


@dataclass(frozen=True, slots=True)
class ToldApart:
    """Whose faces are left alone."""

    spared: tuple[bool, ...]  # a track each


@dataclass(frozen=True, slots=True)
class TellApart(Ask[ToldApart]):
    """Say which faces of a clip a policy leaves alone, because of whose they are."""

    clip: Content
    name: str
    who: Who
    people: People
    far: float


@dataclass(frozen=True, slots=True)
class Raised:
    """A track that has another strength in one window than the clip."""

    track: int
    window: int
    strengths: tuple[str, ...]  # one after another, from the first on: each continues the change of the one before


@dataclass(frozen=True, slots=True)
class Tried:
    """Windows of which the frames that are judged are encoded."""

    windows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Try(Ask[Tried]):
    """Change the faces of some windows, and encode those of their frames that are judged."""

    clip: Content
    name: str
    windows: tuple[int, ...]
    strength: str
    raised: tuple[Raised, ...]
    attack: AttackChoice
    spared: tuple[int, ...] = ()  # tracks that are left as they are


@dataclass(frozen=True, slots=True)
class Rendered:
    """A segment that is encoded."""

    segment: int
    made: bool  # False: it was there


@dataclass(frozen=True, slots=True)
class Render(Ask[Rendered]):
    """Change the faces of one segment and encode it; one that was made before is kept."""

    clip: Content
    name: str
    segment: int
    strength: str
    raised: tuple[Raised, ...]
    attack: AttackChoice
    spared: tuple[int, ...] = ()  # tracks that are left as they are


@dataclass(frozen=True, slots=True)
class Join(Ask[Content]):
    """Put the segments and the sound of the original together."""

    clip: Content
    name: str
    strength: str
    raised: tuple[Raised, ...]
    attack: AttackChoice
    spared: tuple[int, ...] = ()  # tracks that are left as they are


@dataclass(frozen=True, slots=True)
class TrackVerdict:
    """What became of one face of a clip: at its worst over all frames that were looked at."""

    face: FaceVerdict
    linked_seconds: tuple[float, ...]  # when it is linked, first to last
    windows: tuple[int, ...]  # in which it was judged
    linked_windows: tuple[int, ...]
    mean_linked: bool  # by what all its frames have in common


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A face that no track covers."""

    seconds: float
    place: tuple[int, int]  # left, top; pixels


@dataclass(frozen=True, slots=True)
class ClipVerdict:
    """What the verifier says of a clip."""

    sha256: str  # of the published bytes
    views: tuple[str, ...]
    tracks: tuple[TrackVerdict, ...]
    uncovered: tuple[Uncovered, ...]
    samples: int  # frames that were looked at


@dataclass(frozen=True, slots=True)
class JudgeClip(Ask[ClipVerdict]):
    """Judge a copy of a clip."""

    original: Content
    released: Content
    name: str
    far: float
    margin: Margin
    smallest_px: float
    spared: tuple[int, ...] = ()  # tracks that are not judged


@dataclass(frozen=True, slots=True)
class JudgeTrial(Ask[ClipVerdict]):
    """Judge what was tried of a clip: no copy that could be published, so that the verdict names no bytes."""

    original: Content
    name: str
    windows: tuple[int, ...]
    far: float
    margin: Margin
    smallest_px: float
    spared: tuple[int, ...] = ()  # tracks that are not judged

"""Faces of a clip followed from frame to frame: which detections are of one face, and where it is in between.

Association with two thresholds as in Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection
Box", ECCV 2022: sure detections first, then fainter ones to the tracks that are left. We go forward, then backward
from where each track begins, and fill gaps; a Kalman filter is not needed at several looks a second, so each box is
expected to move on as it did. Pure functions of numbers: frames are counted in the order in which they are shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from uncnn.plugins.api import Face
from uncnn.plugins.geometry import Floats

SURE: Final = 0.46
"""From this score on a detection begins a track: the least score of a face in a photo."""

FAINT: Final = 0.15
"""From this score on it continues one."""

FAR: Final = 1.3
"""Times its size: farther from where it is expected a face is not found. Boxes of one that runs do not overlap."""

LIKE: Final = 1.6
"""Times as large or as small a face becomes at most from one look to the next."""

MOVED_ON: Final = 2
"""Times as long as from one look to the next a face is expected to move on as it did; then it is waited for there."""

SMOOTHED_LOOKS: Final = 0.6
"""Standard deviation, in looks, of the weights by which landmarks are averaged: detectors jitter by 1 to 2 %."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The faces that a detector saw in one frame, fainter ones too."""

    frame: int
    faces: tuple[Face, ...]


@dataclass(slots=True)
class Track:
    """One face: where it was seen, by frame. `first` and `last` are the frames from and to which it is changed."""

    seen: dict[int, Face] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    frames: list[int] = field(init=False, repr=False)  # of `seen`, in their order

    def __post_init__(self) -> None:
        """Put the frames in order, once: a track of an hour has thousands, and is asked for every frame."""
        self.frames = sorted(self.seen)

    def take(self, frame: int, face: Face) -> None:
        """Note that the face was seen in a frame in which it was not yet."""
        self.seen[frame] = face
        insort(self.frames, frame)

    def covers(self, frame: int) -> bool:
        """Return whether the face is changed in a frame."""
        return self.first <= frame <= self.last

    @property
    def size_px(self) -> float:
        """Return the size of the largest face, in pixels of the frame."""
        return max(face.size_px for face in self.seen.values())

    def landmarks(self, frame: int) -> Floats:
        """Return the five points in a frame, (5, 2): between two looks on the line from one to the other."""
        return self._between(frame, lambda face: np.array(face.landmarks))

    def box(self, frame: int) -> Floats:
        """Return the box in a frame, (4,)."""
        return self._between(frame, lambda face: np.array(face.box))

    def _between(self, frame: int, of: Callable[[Face], Floats]) -> Floats:
        """Return a value of the face at a frame; before the first look and after the last one it goes on."""
        if len(self.frames) < 2:
            return of(self.seen[self.frames[0]])
        after = min(max(bisect_left(self.frames, frame), 1), len(self.frames) - 1)
        one, other = self.frames[after - 1], self.frames[after]
        share = (frame - one) / (other - one)
        return (1 - share) * of(self.seen[one]) + share * of(self.seen[other])


def tracks_of(
    looks: Sequence[Looked], cuts: Collection[int], patience: int, prolonged: Callable[[Face], int], frames: int
) -> list[Track]:
    """Return the tracks of the faces seen in `looks`, which are in the order of their frames, landmarks smoothed.

    `cuts` are the first frames of new shots: no track goes over one. A track that is not seen for `patience` frames
    ends. By so many frames as `prolonged` says of the face at its first and at its last look it goes on there, but not
    over a cut or beyond the clip's `frames`: a face is there before it is found.
    """
    shots = sorted(cuts)
    left = {look.frame: list(look.faces) for look in looks}
    tracks = _forward(looks, left, shots, patience)
    _backward(tracks, left, sorted(left, reverse=True), shots, patience)
    for track in tracks:
        start, end = _shot(track.frames[0], shots, frames)
        first, last = track.frames[0], track.frames[-1]
        track.first = max(first - prolonged(track.seen[first]), start)
        track.last = min(last + prolonged(track.seen[last]), end)
        track.seen = _smoothed(track.seen)
    return sorted(tracks, key=lambda track: (track.first, -track.size_px))


def _forward(looks: Sequence[Looked], left: dict[int, list[Face]], cuts: Sequence[int], patience: int) -> list[Track]:
    """Return the tracks that sure detections begin; what they take is gone from `left`."""
    tracks: list[Track] = []
    for look in looks:
        open_ones = [track for track in tracks if _continues(track, look.frame, cuts, patience)]
        for least, most in ((SURE, np.inf), (FAINT, SURE)):
            faces = [face for face in left[look.frame] if least <= face.score < most]
            for track, face in matched(open_ones, look.frame, faces):
                _take(track, look.frame, face, left)
                open_ones = [other for other in open_ones if other is not track]
        for face in [face for face in left[look.frame] if face.score >= SURE]:
            tracks.append(Track())
            _take(tracks[-1], look.frame, face, left)
    return tracks


def _backward(
    tracks: Sequence[Track], left: dict[int, list[Face]], frames: Sequence[int], cuts: Sequence[int], patience: int
) -> None:
    """Continue the tracks to before their beginnings with detections that were too faint to begin them."""
    for frame in frames:
        open_ones = [
            track
            for track in tracks
            if frame < track.frames[0] <= frame + patience
            and _shot_number(track.frames[0], cuts) == _shot_number(frame, cuts)
        ]
        faces = [face for face in left[frame] if face.score >= FAINT]
        for track, face in matched(open_ones, frame, faces):
            _take(track, frame, face, left)


def _continues(track: Track, frame: int, cuts: Sequence[int], patience: int) -> bool:
    latest = track.frames[-1]
    return latest < frame <= latest + patience and _shot_number(latest, cuts) == _shot_number(frame, cuts)


def _take(track: Track, frame: int, face: Face, left: Mapping[int, list[Face]]) -> None:
    track.take(frame, face)
    left[frame].remove(face)


def matched(tracks: Sequence[Track], frame: int, faces: Sequence[Face]) -> list[tuple[Track, Face]]:
    """Return which of `faces` belongs to which track, the nearest pairs first, each in one pair."""
    pairs = []
    for one, track in enumerate(tracks):
        expected = expected_box(track, frame)
        pairs += [(_nearness(expected, np.array(face.box)), one, other) for other, face in enumerate(faces)]
    found: list[tuple[Track, Face]] = []
    taken_tracks, taken_faces = set[int](), set[int]()
    for nearness, one, other in sorted(pairs, key=lambda pair: -pair[0]):
        if nearness > 0 and one not in taken_tracks and other not in taken_faces:
            taken_tracks.add(one)
            taken_faces.add(other)
            found.append((tracks[one], faces[other]))
    return found


def expected_box(track: Track, frame: int) -> Floats:
    """Return the box in which a face is expected: it moves on as between the two looks nearest to `frame`."""
    place = bisect_left(track.frames, frame)
    seen = sorted(track.frames[max(place - 2, 0) : place + 2], key=lambda each: abs(each - frame))
    latest = np.array(track.seen[seen[0]].box)
    if len(seen) < 2:
        return latest
    step = (latest - np.array(track.seen[seen[1]].box)) / (seen[0] - seen[1])
    most = MOVED_ON * abs(seen[0] - seen[1])
    moved: Floats = latest + step * min(max(frame - seen[0], -most), most)
    return moved


def _nearness(expected: Floats, box: Floats) -> float:
    """Return how near a box lies to where one is expected, 0..1; 0: it is another face's."""
    sizes = [max(float((each[2:] - each[:2]).max()), 1e-6) for each in (expected, box)]
    if max(sizes) > LIKE * min(sizes):
        return 0.0
    apart = float(np.linalg.norm((expected[:2] + expected[2:] - box[:2] - box[2:]) / 2))
    return max(1 - apart / (FAR * min(sizes)), 0.0)


def iou(one: Floats, other: Floats) -> float:
    """Return what two boxes, (4,), have in common, as a share of what they have together."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common
    return common / both if both > 0 else 0.0


def _shot_number(frame: int, cuts: Sequence[int]) -> int:
    return bisect_right(cuts, frame)


def _shot(frame: int, cuts: Sequence[int], frames: int) -> tuple[int, int]:
    """Return the first and the last frame of the shot that a frame is in."""
    number = _shot_number(frame, cuts)
    start = cuts[number - 1] if number else 0
    return start, (cuts[number] if number < len(cuts) else frames) - 1


def _smoothed(seen: Mapping[int, Face]) -> dict[int, Face]:
    """Return the faces with landmarks averaged over those before and after, along the line on which they move."""
    frames = np.array(sorted(seen), dtype=np.float64)
    if len(frames) < 3:
        return dict(seen)
    points = np.array([seen[int(frame)].landmarks for frame in frames])
    sigma = SMOOTHED_LOOKS * float(np.median(np.diff(frames)))
    result = {}
    for number, frame in enumerate(frames):
        near = slice(max(number - 2, 0), number + 3)
        weights = np.exp(-0.5 * ((frames[near] - frame) / sigma) ** 2)
        weights /= weights.sum()
        centre = float(weights @ frames[near])
        mean = np.tensordot(weights, points[near], 1)
        spread = float(weights @ (frames[near] - centre) ** 2)
        slope = np.tensordot(weights * (frames[near] - centre), points[near], 1) / max(spread, 1e-9)
        fitted = mean + slope * (frame - centre)  # a local line: a mean alone would lag behind at the ends
        left_eye, right_eye, nose, left, right = ((float(x), float(y)) for x, y in fitted)
        face = seen[int(frame)]
        result[int(frame)] = Face(face.box, (left_eye, right_eye, nose, left, right), face.score)
    return result

"""When each frame of a clip is shown, and where its faces are: what is known of it once it was looked through.

A clip is cut into windows: in each, a face has one change. Some windows are a segment, which is encoded by itself.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.plugins.api import Face
from uncnn.plugins.tracking import Track

WINDOW_SECONDS: Final = 2.0
"""A change is renewed so often: what stays the same for longer can be found by averaging, and taken away."""

FADE_SECONDS: Final = 0.5
"""So long one change goes over into the next."""

SEGMENT_WINDOWS: Final = 5
KEY_FRAMES: Final = 8
"""Of a face in a window: so many pictures its change is made for."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A clip that was looked through."""

    info: ClipInfo
    stamps: tuple[int, ...]  # of each frame, ticks
    tracks: tuple[Track, ...]

    @property
    def frames(self) -> int:
        """Return how many frames there are."""
        return len(self.stamps)

    @property
    def windows(self) -> int:
        """Return how many windows there are."""
        return self.window_of(self.frames - 1) + 1

    @property
    def segments(self) -> int:
        """Return how many segments there are."""
        return -(-self.windows // SEGMENT_WINDOWS)

    def seconds(self, frame: int) -> float:
        """Return when a frame is shown, from the first one on."""
        return (self.stamps[frame] - self.stamps[0]) * self.info.tick_seconds

    def window_of(self, frame: int) -> int:
        """Return the window of a frame."""
        return int(self.seconds(frame) / WINDOW_SECONDS)

    def frames_in(self, window: int) -> range:
        """Return the frames of a window: none, where one frame is shown for longer."""
        return range(self._first(window), self._first(window + 1))

    def frames_of_segment(self, segment: int) -> range:
        """Return the frames of a segment."""
        windows = self.windows_of_segment(segment)
        return range(self._first(windows.start), self._first(windows.stop))

    def windows_of_segment(self, segment: int) -> range:
        """Return the windows of a segment."""
        return range(segment * SEGMENT_WINDOWS, min((segment + 1) * SEGMENT_WINDOWS, self.windows))

    def shown_in(self, track: Track, window: int) -> range:
        """Return the frames of a window in which a face is changed."""
        frames = self.frames_in(window)
        return range(max(frames.start, track.first), min(frames.stop, track.last + 1))

    def key_frames(self, track: Track, window: int) -> list[int]:
        """Return the frames for which a face's change is made in a window: as many as there are, some twice."""
        frames = self.shown_in(track, window)
        return [int(each) for each in np.linspace(frames.start, frames.stop - 1, KEY_FRAMES).round()] if frames else []

    def span(self, track: Track) -> range:
        """Return the windows in which a face is."""
        return range(self.window_of(track.first), self.window_of(track.last) + 1)

    def lots(self) -> list[tuple[int, ...]]:
        """Return the windows in which there are faces, in lots that are tried one after another.

        A window in which a face is seen first is a lot of its own: what it takes there is where the next one begins.
        The others of a segment go together, which decodes and starts less often.
        """
        spans = [self.span(track) for track in self.tracks]
        begun = {span.start for span in spans}
        lots: list[tuple[int, ...]] = []
        for window in sorted({window for span in spans for window in span}):
            apart = window in begun or window - 1 in begun or window % SEGMENT_WINDOWS == 0
            if apart or lots[-1][-1] != window - 1:
                lots.append(())
            lots[-1] += (window,)
        return lots

    def samples(self, windows: Collection[int] | None = None) -> dict[int, list[int]]:
        """Return the frames that are judged, in their order: one a second, and one of each face in each window.

        With the numbers of the tracks that have to be judged in each: all that are there. `windows`: of these alone.
        """
        chosen = set(range(self.windows) if windows is None else windows)
        count = int(self.seconds(self.frames - 1)) + 1
        wanted = {self._at_second(second + 0.5) for second in range(count)}
        for track in self.tracks:
            for window in chosen.intersection(self.span(track)):
                keys = self.key_frames(track, window)
                wanted.update(keys[len(keys) // 2 : len(keys) // 2 + 1])
        return {
            frame: [number for number, track in enumerate(self.tracks) if track.covers(frame)]
            for frame in sorted(wanted)
            if self.window_of(frame) in chosen
        }

    def trial(self, windows: Collection[int]) -> list[int]:
        """Return the frames that are encoded for a trial of some windows: the samples, and the frame before the first.

        A segment begins with a frame that needs no other and is better than those after it: it is none that is judged.
        """
        samples = list(self.samples(windows))
        return [*(first - 1 for first in samples[:1] if first), *samples]

    def share_of_window(self, frame: int) -> float:
        """Return how much of its window's own change a frame has, 0..1; the rest is that of the window before."""
        window = self.window_of(frame)
        if window == 0:
            return 1.0
        return min((self.seconds(frame) - window * WINDOW_SECONDS) / FADE_SECONDS, 1.0)

    def _first(self, window: int) -> int:
        ticks = self.stamps[0] + window * WINDOW_SECONDS / self.info.tick_seconds
        first = bisect_left(self.stamps, ticks - 1)
        while first < self.frames and self.window_of(first) < window:  # where a tick is no whole number of windows
            first += 1
        while first > 0 and self.window_of(first - 1) >= window:
            first -= 1
        return first

    def _at_second(self, second: float) -> int:
        ticks = self.stamps[0] + second / self.info.tick_seconds
        return min(bisect_left(self.stamps, ticks), self.frames - 1)


def write_timeline(timeline: Timeline, file: Path) -> None:
    """Write what is known of a clip, whole or not at all. Raises OSError."""
    tracks = [
        {
            "first": track.first,
            "last": track.last,
            "seen": [[frame, face.box, face.landmarks, face.score] for frame, face in sorted(track.seen.items())],
        }
        for track in timeline.tracks
    ]
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps({"info": asdict(timeline.info), "stamps": timeline.stamps, "tracks": tracks}))
    temporary.replace(file)


def read_timeline(file: Path) -> Timeline:
    """Return what is known of a clip. Raises OSError, ValueError, KeyError, TypeError: it is no such file."""
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read(file: Path, _changed: int) -> Timeline:
    stored: dict[str, Any] = json.loads(file.read_text())
    info = dict(stored["info"])
    for name in ("time_base", "colours", "notes"):
        info[name] = tuple(info[name])
    tracks = []
    for track in stored["tracks"]:
        seen = {int(frame): _face(box, landmarks, score) for frame, box, landmarks, score in track["seen"]}
        tracks.append(Track(seen, int(track["first"]), int(track["last"])))
    return Timeline(ClipInfo(**info), tuple(map(int, stored["stamps"])), tuple(tracks))


def _face(box: list[float], landmarks: list[list[float]], score: float) -> Face:
    x0, y0, x1, y1 = map(float, box)
    left_eye, right_eye, nose, left, right = ((float(x), float(y)) for x, y in landmarks)
    return Face((x0, y0, x1, y1), (left_eye, right_eye, nose, left, right), float(score))

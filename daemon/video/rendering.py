"""Changing the faces of one segment of a clip: the changes are made for its key frames, and put into every frame."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from uncnn.daemon.people.gallery import gallery
from uncnn.daemon.protect.messages import AttackChoice
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.video import planes
from uncnn.daemon.video.clip import frames_at, picture
from uncnn.daemon.video.files import trial_file
from uncnn.daemon.video.messages import Raised
from uncnn.daemon.video.timeline import Timeline
from uncnn.daemon.video.writing import SegmentWriter
from uncnn.plugins.engine.aligned import aligned, placed, scale_of, scales_of, zoom_of
from uncnn.plugins.engine.joint_frames import KeyFrames, perturb_tracks
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_attack, make_budget, make_target

BEGUN: Final = (0.5, 0.5)
"""Of the steps of a budget: how many each run of the attack has that begins a change."""

CONTINUED: Final = (0.25,)
"""And where it goes on from that of the window before."""

RAISED: Final = (0.5,)
"""And where it goes on with more strength."""

_ENDING: Final = "segment.mp4"
_FACES_A_BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class Order:
    """How a clip is to be changed."""

    attack: AttackChoice
    strength: str
    raised: tuple[Raised, ...]
    spared: tuple[int, ...] = ()  # tracks that are left as they are

    def strengths(self, track: int, window: int) -> tuple[str, ...]:
        """Return the strengths that the change of a face in a window goes through."""
        own = next((each for each in self.raised if (each.track, each.window) == (track, window)), None)
        return own.strengths if own else (self.strength,)

    def key(self, windows: Iterable[int]) -> str:
        """Return what tells how these windows are changed from other ways."""
        people = [(person.name, str(person.enrolled), str(person.consented)) for person in self.attack.people.people]
        own = [[each.track, each.window, each.strengths] for each in self.raised if each.window in set(windows)]
        parts = [self.attack.name, self.attack.parameters, people, self.strength, own, self.spared]
        told = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def segment_file(clip: Path, timeline: Timeline, order: Order, segment: int) -> Path:
    """Return where a segment lies that is changed in this way; the window before it fades into it."""
    windows = timeline.windows_of_segment(segment)
    key = order.key(range(max(windows.start - 1, 0), windows.stop))
    return clip.with_name(f"{segment:05d}-{key}.{_ENDING}")


@dataclass(slots=True)
class SegmentRenderer:
    """Changes the faces of one segment."""

    surrogates: Sequence[Recogniser]
    clip: Path
    name: str
    timeline: Timeline
    order: Order
    report: Report

    zooms: list[float] = field(init=False)  # how large each face lies in its frame: the same in all its pictures

    def __post_init__(self) -> None:
        """Choose them by the middle size of each face."""
        seen = (np.array([face.landmarks for face in track.seen.values()]) for track in self.timeline.tracks)
        self.zooms = [zoom_of(float(np.median(scales_of(landmarks)))) for landmarks in seen]

    def render(self, segment: int) -> bool:
        """Make the file of a segment; return whether it was not there yet. Raises VideoError, OSError."""
        target = segment_file(self.clip, self.timeline, self.order, segment)
        if target.is_file() or not self.timeline.frames_of_segment(segment):
            return False
        windows = self.timeline.windows_of_segment(segment)
        changes = self.changes(windows)
        self._encode(self.timeline.frames_of_segment(segment), changes, target)
        return True

    def try_out(self, windows: Sequence[int]) -> None:
        """Change some windows, and encode those of their frames alone that are judged; the changes are kept.

        They follow each other as if they were the whole, so that the encoder spends as many bits on each.

        Raises VideoError, OSError.
        """
        target = trial_file(self.clip)
        target.unlink(missing_ok=True)
        frames = self.timeline.trial(windows)
        if frames:
            self._encode(frames, self.changes(windows), target, packed=True)

    def changes(self, windows: Sequence[int]) -> dict[tuple[int, int], Tensor]:
        """Return each track's change in each of some windows, and in the one before each, by track and window."""
        changes: dict[tuple[int, int], Tensor] = {}
        missing: list[tuple[int, int]] = []
        for window in sorted({*windows, *(each - 1 for each in windows if each)}):
            for number, track in enumerate(self.timeline.tracks):
                if number not in self.order.spared and self.timeline.shown_in(track, window):
                    kept = self._kept(number, window)
                    if kept is not None:
                        changes[number, window] = kept
                    else:
                        missing.append((number, window))
        keys = self._key_pictures(missing)
        for window in dict.fromkeys(window for _, window in missing):
            numbers = [number for number, own in missing if own == window]
            for start in range(0, len(numbers), _FACES_A_BATCH):
                self._make(numbers[start : start + _FACES_A_BATCH], window, keys, changes)
        return changes

    def _make(
        self,
        numbers: Sequence[int],
        window: int,
        keys: dict[tuple[int, int], KeyFrames],
        changes: dict[tuple[int, int], Tensor],
    ) -> None:
        """Make the changes of some tracks in a window, those of as many steps together, and keep them."""
        groups: dict[tuple[str, tuple[float, ...]], list[tuple[int, KeyFrames]]] = {}
        for number in numbers:
            *earlier, strength = self.order.strengths(number, window)
            weaker = self._kept(number, window, tuple(earlier)) if earlier else None
            start = weaker if weaker is not None else changes.get((number, window - 1))
            shares: tuple[float, ...] = RAISED if weaker is not None else BEGUN if start is None else CONTINUED
            own = keys[number, window]
            keyed = replace(own, patches=own.patches.float(), inside=own.inside.float() / 255, start=start)
            groups.setdefault((strength, shares), []).append((number, keyed))
        for (strength, shares), members in groups.items():
            words = "cloaking" if strength == self.order.strength else f"cloaking, {strength}"
            self.report(Stage(words, window, self.timeline.windows))
            parameters = self.order.attack.parameters
            budget = make_budget(strength, parameters)
            made = perturb_tracks(
                [keyed for _, keyed in members],
                make_attack(self.order.attack.name, parameters),
                self.surrogates,
                budget,
                [max(round(budget.steps * share), 1) for share in shares],
                make_target(parameters, lambda: gallery(self.order.attack.people)),
            )
            for (number, _), change in zip(members, made, strict=True):
                kept = change.cpu().half()  # what a command that goes on later reads, to the bit
                changes[number, window] = kept.float()
                self._keep(number, window, kept)

    def _key_pictures(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], KeyFrames]:
        """Return the key frames of some tracks in some windows, from one pass over the clip."""
        where: dict[int, list[tuple[int, int]]] = {}
        for number, window in wanted:
            for frame in set(self.timeline.key_frames(self.timeline.tracks[number], window)):
                where.setdefault(frame, []).append((number, window))
        pictures: dict[tuple[int, int, int], tuple[Tensor, Tensor, float]] = {}
        for frame_number, frame in self._frames(sorted(where)):
            pixels = picture(frame)
            for number, window in where[frame_number]:
                landmarks = self.timeline.tracks[number].landmarks(frame_number)
                zoom = self.zooms[number]
                patch, inside = aligned(pixels, landmarks, zoom)
                # a crowd has hundreds of them in a segment: a byte a sample
                kept = patch.round().byte(), (255 * inside).round().byte()
                pictures[number, window, frame_number] = (*kept, scale_of(landmarks, zoom))
        result = {}
        for number, window in wanted:
            frames = self.timeline.key_frames(self.timeline.tracks[number], window)
            own = [pictures[number, window, frame] for frame in frames]
            info = self.timeline.info
            result[number, window] = KeyFrames(
                torch.cat([patch for patch, _, _ in own]),
                torch.cat([inside for _, inside, _ in own]),
                tuple(scale for _, _, scale in own),
                (info.height, info.width),
                number,
                zoom=self.zooms[number],
            )
        return result

    def _encode(
        self, frames: Sequence[int], changes: dict[tuple[int, int], Tensor], target: Path, packed: bool = False
    ) -> None:
        """Write the frames with their faces changed, whole or not at all; `packed`: one right after the other."""
        info = self.timeline.info
        ticks = max(round(1 / (info.frames_per_second * info.tick_seconds)), 1)
        temporary = target.with_suffix(f".{os.getpid()}.part")  # another, whose parent was killed, may still be at it
        writer = SegmentWriter(temporary, self.timeline.info)
        try:
            for place, (number, frame) in enumerate(self._frames(frames)):
                self.change(frame, number, changes)
                if packed:
                    frame.pts = place * ticks
                writer.write(frame)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        temporary.replace(target)

    def change(self, frame: Any, number: int, changes: dict[tuple[int, int], Tensor]) -> None:
        """Change every face of a frame in place; what no face touches keeps its samples."""
        info, window = self.timeline.info, self.timeline.window_of(number)
        full = planes.is_full_range(info.pixel_format, info.colours[0])
        share, writable = self.timeline.share_of_window(number), False
        for place, track in enumerate(self.timeline.tracks):
            if place in self.order.spared or not track.covers(number):
                continue
            change, before = changes[place, window], changes.get((place, window - 1))
            if before is not None and share < 1:
                change = share * change + (1 - share) * before
            region, pixels = placed(change, track.landmarks(number), self.zooms[place])
            if not writable:
                frame.make_writable()  # a decoder may still look at it
                writable = True
            planes.add(frame, region, pixels.numpy().astype(np.float32), full)

    def _frames(self, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield some frames, in their order, each with its number. Raises VideoError: one is not there any more."""
        stamps = {self.timeline.stamps[number]: number for number in numbers}
        return frames_at(self.clip, self.name, stamps, from_start=0 in numbers)

    def _kept(self, track: int, window: int, strengths: tuple[str, ...] | None = None) -> Tensor | None:
        file = self._change_file(track, window, strengths)
        if not file.is_file():
            return None
        return torch.from_numpy(np.load(file, allow_pickle=False).astype(np.float32))

    def _keep(self, track: int, window: int, change: Tensor) -> None:
        file = self._change_file(track, window, None)
        temporary = file.with_suffix(f".{os.getpid()}.part")
        with temporary.open("wb") as stream:
            np.save(stream, change.numpy())
        temporary.replace(file)

    def _change_file(self, track: int, window: int, strengths: tuple[str, ...] | None) -> Path:
        taken = self.order.strengths(track, window) if strengths is None else strengths
        key = Order(self.order.attack, "-".join(taken), ()).key([window])
        return self.clip.with_name(f"{track}-{window}-{key}.change.npy")

"""The process that judges copies of clips: the file that would be published, read anew. ONNX Runtime, no torch.

It also holds the copy against its original in all that must be the same: the frames' time stamps and the sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np

from uncnn.daemon.protect.messages import Loaded, Ready
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.video.clip import frames_at, frames_of, look_at, opened, picture
from uncnn.daemon.video.errors import VideoError
from uncnn.daemon.video.faces import detector_for, faces_in
from uncnn.daemon.video.files import TIMELINE, file_of, trial_file
from uncnn.daemon.video.judging import VIEWS, TrackJudge
from uncnn.daemon.video.messages import ClipVerdict, JudgeClip, JudgeTrial, TellApart, ToldApart, Uncovered
from uncnn.daemon.video.squeezing import Squeezer
from uncnn.daemon.video.timeline import Timeline, read_timeline
from uncnn.daemon.video.whose import Sparing, left_alone
from uncnn.daemon.video.writing import sounds_of
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.retinaface import DEFAULT_THRESHOLD
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.sessions import providers_for
from uncnn.plugins.tracking import FAINT, Track, iou

LOOK_PIXELS: Final = 1_000_000
"""Of the frames that are judged: twice as many as the worker looked at, so that what it missed is seen."""

COVERED_IOU: Final = 0.35
"""A face and the box of a track that is over it have so much in common at least."""

_EVERY: Final = 30


@dataclass(frozen=True, slots=True)
class VideoVerifier:
    """The models, loaded once."""

    detector: Detector
    recognisers: Sequence[OnnxRecogniser]

    def tell_apart(self, asked: TellApart, report: Report) -> ToldApart:
        """Return which faces a policy leaves alone. Raises VideoError, OSError."""
        original = file_of(asked.clip)
        timeline = read_timeline(original.with_suffix(f".{TIMELINE}"))
        judges = [recogniser for recogniser in self.recognisers if recogniser.card.role == "judge"]
        sparing = Sparing(judges, asked.who, asked.people, asked.far)
        return ToldApart(tuple(left_alone(original, asked.name, timeline, sparing, report)))

    def judge(self, asked: JudgeClip, report: Report) -> ClipVerdict:
        """Return the verdict on a copy.

        Raises VideoError: it cannot be read, or differs from its original in what must be the same. OSError.
        """
        original, released = file_of(asked.original), file_of(asked.released)
        timeline = read_timeline(original.with_suffix(f".{TIMELINE}"))
        _check_same(original, released, timeline, asked.name)
        pairs = _both(original, released, timeline, asked.name)
        verdict = self._verdict(asked, timeline, timeline.samples(), pairs, report)
        with released.open("rb") as stream:
            return replace(verdict, sha256=hashlib.file_digest(stream, "sha256").hexdigest())

    def judge_trial(self, asked: JudgeTrial, report: Report) -> ClipVerdict:
        """Return the verdict on the frames that were tried. Raises VideoError: they cannot be read. OSError."""
        original = file_of(asked.original)
        timeline = read_timeline(original.with_suffix(f".{TIMELINE}"))
        pairs = _tried(original, timeline, asked)
        return self._verdict(asked, timeline, timeline.samples(asked.windows), pairs, report)

    def _verdict(
        self,
        asked: JudgeClip | JudgeTrial,
        timeline: Timeline,
        samples: Mapping[int, list[int]],
        pairs: Iterator[tuple[int, Any, Any]],
        report: Report,
    ) -> ClipVerdict:
        """Return the verdict on frames, each with its number and its original; `samples` are those that are judged."""
        judges = [TrackJudge(self.recognisers, track) for track in timeline.tracks]
        looking = detector_for(self.detector, LOOK_PIXELS, DEFAULT_THRESHOLD)
        uncovered: list[Uncovered] = []
        squeezer = Squeezer(timeline.info)
        waiting: dict[
            int, tuple[int, Pixels, list[Face], list[int]]
        ] = {}  # by time stamp: what is not decoded again yet

        def squeezed(frame: Any | None) -> None:
            for shown in squeezer.squeezed(frame):
                if shown.pts in waiting:
                    number, before, faces, there = waiting.pop(shown.pts)
                    pixels = picture(shown)
                    for place in there:
                        judges[place].look_squeezed(number, before, pixels, faces)

        for number, before, after in pairs:
            if number in samples:
                faces = faces_in(looking, after, timeline.info.quarter_turns, LOOK_PIXELS)
                pixels, shown = picture(before), picture(after)
                asked_of = [place for place in samples[number] if place not in asked.spared]
                there = self._shown(timeline, judges, asked_of, number, before, faces)
                for place in there:
                    judges[place].look(number, pixels, shown, faces)
                uncovered += _uncovered(timeline, number, faces, asked.smallest_px)
                waiting[int(after.pts)] = number, pixels, faces, there
            if timeline.tracks:
                squeezed(after)
            if number % _EVERY == 0:
                report(Stage("checking", number, timeline.frames))
        if timeline.tracks:
            squeezed(None)
            _check_all_seen(waiting, asked.name)
        tracks = tuple(
            judge.left_alone()
            if number in asked.spared
            else judge.verdict(timeline, asked.far, asked.margin, asked.smallest_px)
            for number, judge in enumerate(judges)
        )
        return ClipVerdict("", VIEWS, tracks, tuple(uncovered), len(samples))

    def _shown(
        self,
        timeline: Timeline,
        judges: Sequence[TrackJudge],
        places: Sequence[int],
        number: int,
        before: Any,
        faces: Sequence[Face],
    ) -> list[int]:
        """Return which of the tracks that cover a frame have to be judged in it.

        All whose face the copy shows, and those whose face the original does, as faint as it may be. Where neither
        does, because somebody stands before it, there is no face that could be linked.
        """
        hidden = [place for place in places if not judges[place].is_shown(number, faces)]
        if not hidden:
            return list(places)
        fainter = detector_for(self.detector, LOOK_PIXELS, FAINT)
        there = faces_in(fainter, before, timeline.info.quarter_turns, LOOK_PIXELS)
        return [place for place in places if place not in hidden or judges[place].is_shown(number, there)]


def _both(original: Path, released: Path, timeline: Timeline, name: str) -> Iterator[tuple[int, Any, Any]]:
    """Yield both versions of each frame, with its number.

    Raises VideoError: their time stamps are not the same, or not those that were found before.
    """
    with opened(original, name) as one, opened(released, name) as other:
        pairs = zip_longest(frames_of(one), frames_of(other))
        count = 0
        for number, (before, after) in enumerate(pairs):
            stamp = timeline.stamps[number] if number < timeline.frames else None
            if before is None or after is None or not before.pts == after.pts == stamp:
                raise VideoError("changed", f"{name}: the time stamps of the copy are not those of the original")
            count = number + 1
            yield number, before, after
    if count != timeline.frames:
        raise VideoError("changed", f"{name}: the copy does not have all frames of the original")


def _tried(original: Path, timeline: Timeline, asked: JudgeTrial) -> Iterator[tuple[int, Any, Any]]:
    """Yield both versions of each frame that was tried, with its number. Raises VideoError: one is not there."""
    numbers = timeline.trial(asked.windows)
    if not numbers:
        return
    stamps = {timeline.stamps[number]: number for number in numbers}
    with opened(trial_file(original), asked.name) as container:
        tried = frames_of(container)
        for number, before in frames_at(original, asked.name, stamps, from_start=0 in numbers):
            after = next(tried, None)
            if after is None:
                raise VideoError("changed", f"{asked.name}: a frame that was tried is not there")
            after.pts = before.pts  # which it did not have where it was encoded
            yield number, before, after


def _check_same(original: Path, released: Path, timeline: Timeline, name: str) -> None:
    """Raise VideoError: the copy is turned another way, has another sound, or says more than it may."""
    copy = look_at(released, name)
    if (copy.width, copy.height, copy.quarter_turns) != (
        timeline.info.width,
        timeline.info.height,
        timeline.info.quarter_turns,
    ):
        raise VideoError("changed", f"{name}: the copy is not shown as the original is")
    if _sound(original, name) != _sound(released, name):
        raise VideoError("changed", f"{name}: the sound of the copy is not that of the original")
    with opened(released, name) as container:
        more = [each.type for each in container.streams if each.type not in ("video", "audio")]
        if more or len(container.streams.video) != 1 or container.chapters():
            raise VideoError("changed", f"{name}: the copy has more than a picture and sound in it")


def _sound(file: Path, name: str) -> list[str]:
    """Return of each audio track the hash of its packets and their times."""
    with opened(file, name) as container:
        digests = {each.index: hashlib.sha256() for each in container.streams.audio}
        for packet in sounds_of(container):
            own = digests[packet.stream_index]
            own.update(f"{packet.pts} {packet.duration} {packet.time_base} {packet.size}\n".encode())
            own.update(bytes(packet))
        return [digest.hexdigest() for digest in digests.values()]


def _uncovered(timeline: Timeline, frame: int, faces: Sequence[Face], smallest_px: float) -> Iterator[Uncovered]:
    """Yield the faces of a frame that no track is at."""
    there = [track for track in timeline.tracks if track.covers(frame)]
    for face in faces:
        if face.size_px >= smallest_px and not any(_is_at(track, frame, face) for track in there):
            yield Uncovered(timeline.seconds(frame), (round(face.box[0]), round(face.box[1])))


def _is_at(track: Track, frame: int, face: Face) -> bool:
    """Return whether a track's change lies over a face: its landmarks lie inside of the face's box."""
    centre = track.landmarks(frame).mean(axis=0)
    x0, y0, x1, y1 = face.box
    inside = bool(x0 <= centre[0] <= x1 and y0 <= centre[1] <= y1)
    return inside and iou(track.box(frame), np.array(face.box)) > COVERED_IOU


def _check_all_seen(waiting: dict[int, Any], name: str) -> None:
    """Raise VideoError: a frame that was to be judged after it was encoded once more was not decoded again."""
    if any(there for _, _, _, there in waiting.values()):
        raise VideoError("changed", f"{name}: a frame of the copy could not be judged after it was encoded again")


def make_video_verifier(roster: Roster, device: str) -> Handlers:
    """Return what the process answers. Raises what `protect.verifier.make_verifier` does."""
    providers = providers_for(device)
    recognisers = [OnnxRecogniser.load(model.folder, providers) for model in (*roster.judges, *roster.surrogates)]
    detector = roster.detector.load(device, torch=False)
    canaries = Canaries(detector, recognisers, plugin=roster.detector.plugin)
    verifier = VideoVerifier(detector, recognisers)

    def judge(asked: JudgeClip, report: Report) -> ClipVerdict:
        canaries.count()
        return verifier.judge(asked, report)

    return {
        Ready: lambda _asked, _report: Loaded(device, tuple(recognisers[0].session.get_providers())),
        TellApart: verifier.tell_apart,
        JudgeClip: judge,
        JudgeTrial: verifier.judge_trial,
    }

"""The process that looks through clips, changes their faces and encodes them. The only one of the two with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, Loaded, Ready
from uncnn.daemon.protect.torch_worker import torch_device
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.video.files import TIMELINE, file_of
from uncnn.daemon.video.following import follow
from uncnn.daemon.video.messages import Follow, Followed, Join, Render, Rendered, Tried, Try
from uncnn.daemon.video.rendering import Order, SegmentRenderer, segment_file
from uncnn.daemon.video.timeline import Timeline, read_timeline, write_timeline
from uncnn.daemon.video.writing import join
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Detector
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser


@dataclass(slots=True)
class VideoWorker:
    """The models, loaded once."""

    detector: Detector
    surrogates: Sequence[Recogniser]

    def follow(self, asked: Follow, report: Report) -> Followed:
        """Find the faces of a clip, unless that was done before. Raises VideoError, OSError."""
        file = file_of(asked.clip)
        known = file.with_suffix(f".{TIMELINE}")
        try:
            timeline = read_timeline(known)
        except (OSError, ValueError, KeyError, TypeError):
            timeline = follow(self.detector, file, asked.name, asked.smallest_px, report)
            write_timeline(timeline, known)
        spans = [timeline.span(track) for track in timeline.tracks]
        return Followed(
            timeline.info,
            timeline.frames,
            len(timeline.tracks),
            timeline.segments,
            tuple((span.start, span.stop - 1) for span in spans),
            tuple(timeline.lots()),
        )

    def render(self, asked: Render, report: Report) -> Rendered:
        """Change and encode one segment. Raises VideoError, OSError."""
        file, timeline = file_of(asked.clip), _timeline(asked.clip)
        order = Order(asked.attack, asked.strength, asked.raised, asked.spared)
        made = SegmentRenderer(self.surrogates, file, asked.name, timeline, order, report).render(asked.segment)
        return Rendered(asked.segment, made)

    def try_out(self, asked: Try, report: Report) -> Tried:
        """Change some windows, and encode those of their frames that are judged. Raises VideoError, OSError."""
        file, timeline = file_of(asked.clip), _timeline(asked.clip)
        order = Order(asked.attack, asked.strength, asked.raised, asked.spared)
        SegmentRenderer(self.surrogates, file, asked.name, timeline, order, report).try_out(asked.windows)
        return Tried(asked.windows)

    def join(self, asked: Join, report: Report) -> Content:
        """Put a clip together. Raises VideoError, OSError."""
        report(Stage("putting it together"))
        file, timeline = file_of(asked.clip), _timeline(asked.clip)
        order = Order(asked.attack, asked.strength, asked.raised, asked.spared)
        numbers = [number for number in range(timeline.segments) if timeline.frames_of_segment(number)]
        segments = [segment_file(file, timeline, order, number) for number in numbers]
        target = file.with_suffix(f".{CANDIDATE}")
        join(file, asked.name, timeline.info, segments, target)
        return Content(target)


def _timeline(clip: Content) -> Timeline:
    return read_timeline(file_of(clip).with_suffix(f".{TIMELINE}"))


def make_video_worker(roster: Roster, device: str) -> Handlers:
    """Return what the process answers. Raises what `protect.torch_worker.make_worker` does."""
    torch.set_num_threads(1)  # the surrogates share the cores among them, one a thread
    torch.set_flush_denormal(True)
    chosen = torch_device(device)
    surrogates = [load_recogniser(model.folder, chosen) for model in roster.surrogates]
    detector = roster.detector.load(chosen, torch=False)  # in ONNX Runtime: many small pictures
    canaries = Canaries(detector, plugin=roster.detector.plugin)
    worker = VideoWorker(detector, surrogates)

    def follow(asked: Follow, report: Report) -> Followed:
        canaries.count()
        return worker.follow(asked, report)

    return {
        Ready: lambda _asked, _report: Loaded(chosen),
        Follow: follow,
        Try: worker.try_out,
        Render: worker.render,
        Join: worker.join,
    }

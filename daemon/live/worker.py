"""The process that takes frames, hides faces and sends the frames on. torch is imported where somebody has a mask."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av.error

from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.far_look import FarLook, far_detector
from uncnn.daemon.live.handing import HandedOver
from uncnn.daemon.live.loop import Loop
from uncnn.daemon.live.messages import GoLive, LiveEnded, Masked
from uncnn.daemon.live.sinks import FileSink, LoopbackSink, Sink
from uncnn.daemon.live.sources import LARGEST_PIXELS, LOOK_PIXELS, Latest, Taken, frames_of_camera, frames_of_clip
from uncnn.daemon.live.v4l2 import words_of
from uncnn.daemon.protect.messages import Loaded, Ready
from uncnn.daemon.protect.wire import Handlers, Report
from uncnn.daemon.video.errors import VideoError
from uncnn.daemon.video.faces import detector_for
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Detector
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.sessions import providers_for
from uncnn.plugins.tracking import FAINT

if TYPE_CHECKING:
    from uncnn.daemon.live.masking import Masking

STRENGTH: Final = "utmost"
"""How much of a mask may be seen, as of an attack."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The open files of the process."""

    sink: HandedOver
    sink_is_device: bool
    stop: HandedOver  # can be read from when it is to end

    def opened(self) -> Sink:
        """Return the sink."""
        return (LoopbackSink if self.sink_is_device else FileSink)(self.sink.descriptor)

    def stopped(self) -> bool:
        """Return whether it is to end, as it is when whoever started it is gone."""
        return bool(select.select([self.stop.descriptor], [], [], 0)[0])


def go_live(detector: Detector, ends: Ends, asked: GoLive, report: Report, masking: Masking | None = None) -> LiveEnded:
    """Send what the source shows on, and return what became of it.

    Raises LiveError, VideoError, OSError: nothing went on.
    """
    sink, latest, problem = ends.opened(), Latest(), ""
    far = far_detector(detector, LARGEST_PIXELS)
    far_look = FarLook(far, asked.is_camera or asked.paced) if far is not None else None
    loop = Loop(detector_for(detector, LOOK_PIXELS, FAINT), sink, report, masking, far_look)
    try:
        loop.run(_frames(asked, latest, ends), ends.stopped)
    except (LiveError, VideoError, OSError) as error:
        if not loop.counts.frames:
            raise
        problem = _words(error)
    seconds = loop.counts.seconds
    with suppress(OSError, av.error.FFmpegError):  # a full disk, which was said by then
        sink.close()
    counts = loop.counts
    return LiveEnded(
        counts.frames,
        latest.dropped,
        seconds,
        loop.following.count,
        counts.hidden,
        counts.masked,
        len(masking.linked) if masking is not None else 0,
        counts.within_ms(0.5),
        counts.within_ms(0.95),
        problem,
    )


def _frames(asked: GoLive, latest: Latest, ends: Ends) -> Iterator[Taken]:
    """Return the frames: all of a file, or those for which there is time."""
    if asked.is_camera:
        latest.follow(frames_of_camera(asked.source))
    elif asked.paced:
        latest.follow(frames_of_clip(asked.source, asked.name, True))
    else:
        return frames_of_clip(asked.source, asked.name, False)
    return latest.frames(ends.stopped, asked.name)


def _words(error: Exception) -> str:
    return words_of(error) if isinstance(error, OSError) else str(error)


def make_live_worker(roster: Roster, device: str, ends: Ends, masked: Sequence[Masked] = ()) -> Handlers:
    """Return what the process answers. Raises what loading the detector, judges and masks does."""
    detector = _detector(roster, device)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # who started it says when to end, so that the file is whole
    masking = _masking(roster, device, masked) if masked else None
    judges = masking.judges if masking is not None else ()
    canaries = Canaries(detector, judges, plugin=roster.detector.plugin)

    def live(asked: GoLive, report: Report) -> LiveEnded:
        canaries.count()
        return go_live(detector, ends, asked, report, masking)

    return {Ready: lambda _asked, _report: Loaded(device), GoLive: live}


def _detector(roster: Roster, device: str) -> Detector:
    """Return the detector; ours on one core, so that the look at small faces takes the other one."""
    files = roster.detector.files
    if roster.detector.plugin:
        return roster.detector.load(device, torch=False)
    return load_onnx(files.onnx, providers_for(device), 1, files.onnx_sha256)


def _masking(roster: Roster, device: str, masked: Sequence[Masked]) -> Masking:
    """Return the masks of people, and the judges that watch over them. Raises MaskError, CardError."""
    import torch

    from uncnn.daemon.live.masking import Masking
    from uncnn.plugins.person_mask import PersonMask
    from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
    from uncnn.plugins.registry import make_budget

    torch.set_num_threads(1)  # the cores are busy with frames
    torch.set_flush_denormal(True)
    judges = [OnnxRecogniser.load(model.folder, providers_for(device)) for model in roster.judges]
    known = [(each.person, PersonMask.load(each.file)) for each in masked]
    return Masking(known, judges, make_budget(STRENGTH, {}))

"""Writing a video file again: segments of the picture, then all of them with the sound of the original.

Each segment begins with a frame that needs no other, and no frame refers to a later one, so that packets stand in the
order in which they are shown, and the time stamps of the original go with them to the tick.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av

from uncnn.daemon.video.boxes import display_matrix, set_display_matrix
from uncnn.daemon.video.clip import ENCODERS, opened, video_stream
from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.errors import VideoError
from uncnn.daemon.video.vorbis import without_comments

_CLASSES: Final = ((0.25, 14), (0.12, 16), (0.0, 18))
"""Of x264's constant rate factor, by bits a pixel of the original: 18 is hardly told from it, less keeps more grain."""

_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "libx264": {"preset": "veryfast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "lag-in-frames": "0", "b": "0"},
}
_LOWER: Final = {"libx264": 0, "libx265": 2, "libvpx-vp9": 6}
"""By how much the factor of another encoder is larger for the same picture."""


def rate_factor(info: ClipInfo) -> int:
    """Return the constant rate factor at which a clip is written, no worse than it was by its bits a pixel."""
    share = info.bits_per_second / max(info.width * info.height * info.frames_per_second, 1.0)
    least = next(factor for bits, factor in _CLASSES if share >= bits)
    return least + _LOWER[ENCODERS[info.codec]]


class SegmentWriter:
    """Encodes some frames into a file of their own."""

    def __init__(self, file: Path, info: ClipInfo) -> None:
        """Begin a segment; `close` ends it."""
        encoder = ENCODERS[info.codec]
        self._stack = ExitStack()
        options = {**_timescale(info), "fflags": "+bitexact"}
        self._container = self._stack.enter_context(av.open(str(file), "w", format="mp4", options=options))
        rate = Fraction(info.frames_per_second).limit_denominator(1001)
        own = {**_OPTIONS[encoder], "crf": str(rate_factor(info))}
        stream: Any = self._container.add_stream(encoder, rate=rate, options=own)
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, info.pixel_format
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(*info.time_base)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = info.colours
        self._stream = stream

    def write(self, frame: Any) -> None:
        """Encode a frame, at its time stamp."""
        frame.pict_type = 0  # what kind of frame it was is no order to the encoder
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Encode what is left."""
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._stack.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._stack.close()


def join(original: Path, name: str, info: ClipInfo, segments: Sequence[Path], target: Path) -> None:
    """Write the segments one after another, with the sound of the original, and nothing else of it.

    Raises VideoError: the container does not take them, or the original cannot be read. OSError.
    """
    options = {"fflags": "+bitexact"}
    if info.container in ("mp4", "mov"):
        options |= {**_timescale(info), "movflags": "+faststart"}
    with (
        opened(original, name) as source,
        opened(segments[0], name) as first,
        av.open(str(target), "w", format=info.container, options=options) as made,
    ):
        picture = made.add_stream_from_template(video_stream(first), opaque=True)
        picture.time_base = Fraction(*info.time_base)
        sounds = {each.index: _sound_stream(made, each) for each in source.streams.audio}
        both = heapq.merge(_pictures(segments, name, picture), _sounds(source, sounds), key=lambda pair: pair[0])
        for _, packet in both:
            made.mux(packet)
    matrix = display_matrix(original) if info.container in ("mp4", "mov") else None
    if matrix is not None and not set_display_matrix(target, matrix):
        raise VideoError("unsupported", "the way in which it is turned could not be kept: convert it to MP4")


def _sound_stream(made: Any, original: Any) -> Any:
    """Return the stream of a copy for a track of sound. Raises VideoError: what it says of itself cannot be removed."""
    stream = made.add_stream_from_template(original, opaque=True)
    if original.codec_context.name == "vorbis":  # others say it in tags, which are not copied
        try:
            stream.codec_context.extradata = without_comments(bytes(original.codec_context.extradata or b""))
        except ValueError as error:
            raise VideoError("unsupported", f"what its sound says of itself cannot be removed ({error})") from error
    return stream


def _timescale(info: ClipInfo) -> dict[str, str]:
    """Return by which clock an MP4 is written: the original's, also for when its first frame is shown."""
    ticks = str(info.time_base[1])
    return {"video_track_timescale": ticks, "movie_timescale": ticks}


def sounds_of(container: Any) -> Iterator[Any]:
    """Yield the packets of all audio tracks in their order."""
    if container.streams.audio:
        yield from (packet for packet in container.demux(*container.streams.audio) if packet.size)


def _pictures(segments: Sequence[Path], name: str, stream: Any) -> Iterator[tuple[float, Any]]:
    for segment in segments:
        with opened(segment, name) as container:
            for packet in container.demux(video_stream(container)):
                if packet.size:
                    packet.stream = stream
                    yield float(packet.dts * packet.time_base), packet


def _sounds(source: Any, streams: dict[int, Any]) -> Iterator[tuple[float, Any]]:
    for packet in sounds_of(source):
        time = packet.dts if packet.dts is not None else packet.pts or 0
        packet.stream = streams[packet.stream_index]
        yield float(time * packet.time_base), packet

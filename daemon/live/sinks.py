"""Where frames go: a loopback device, which other programs take for a camera, or a video file."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from typing import Any, Final, Protocol

import av

from uncnn.daemon.live.v4l2 import set_output_format
from uncnn.plugins.api import Pixels

TICKS: Final = 90_000  # a second
_OPTIONS: Final = {"preset": "superfast", "crf": "20", "bf": "0", "g": "60"}
_MUXER: Final = {"movflags": "hybrid_fragmented", "fflags": "+bitexact"}
"""What was written until a kill can be played; what was ended is a plain file."""


class Sink(Protocol):
    """Takes frames of one size one after another."""

    def send(self, pixels: Pixels, stamp: float) -> None:
        """Take a frame, (H, W, 3) uint8 RGB, shown at `stamp` seconds. Raises OSError: it takes no more."""
        ...

    def close(self) -> None:
        """Take no more."""
        ...


class FileSink:
    """Writes an MP4 into an open file."""

    def __init__(self, descriptor: int) -> None:
        """Begin; the file is `close`d by whoever opened it."""
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(os.fdopen(os.dup(descriptor), "wb"))
        self._container = self._stack.enter_context(av.open(self._writer, "w", format="mp4", options=_MUXER))
        self._stream: Any = None
        self._latest = -1

    def send(self, pixels: Pixels, stamp: float) -> None:
        """Encode a frame."""
        if self._stream is None:
            self._begin(pixels.shape[1], pixels.shape[0])
        ticks = max(round(stamp * TICKS), self._latest + 1)
        frame: Any = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
        self._latest = ticks
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Encode what is left, and end the file."""
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._stack.close()

    def _begin(self, width: int, height: int) -> None:
        self._stream = self._container.add_stream("libx264", rate=30, options=_OPTIONS)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, TICKS)


class LoopbackSink:
    """Writes into an open device of v4l2loopback."""

    def __init__(self, descriptor: int) -> None:
        """Begin; the device is closed by whoever opened it."""
        self._descriptor = descriptor
        self._size: tuple[int, ...] | None = None

    def send(self, pixels: Pixels, stamp: float) -> None:
        """Write a frame. Raises OSError. LiveError: the device takes another size."""
        del stamp  # it is shown when it comes
        if self._size is None:
            self._size = pixels.shape[:2]
            set_output_format(self._descriptor, pixels.shape[1], pixels.shape[0])
        os.write(self._descriptor, packed(pixels))

    def close(self) -> None:
        """Write no more."""


def packed(pixels: Pixels) -> bytes:
    """Return a frame of even width, (H, W, 3) uint8 RGB, in YUYV, two bytes a pixel without padding."""
    frame: Any = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuyv422")
    content: bytes = frame.to_ndarray().tobytes()
    return content

"""A clip as those see it who were sent it: encoded once more, at CRF 28, as messengers and sites do."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av

from uncnn.daemon.video.clip_info import ClipInfo

CRF_28: Final = "crf-28"
_FORMAT: Final = "yuv420p"


class Squeezer:
    """Encodes frame after frame, and decodes what comes of it; nothing is written."""

    def __init__(self, info: ClipInfo) -> None:
        """Begin a clip."""
        encoder: Any = av.CodecContext.create("libx264", "w")
        # an odd border is cut off by a pixel, as H.264 with colours at half size has it
        encoder.width, encoder.height, encoder.pix_fmt = info.width & ~1, info.height & ~1, _FORMAT
        encoder.time_base = Fraction(*info.time_base)
        encoder.framerate = Fraction(info.frames_per_second).limit_denominator(1001)
        encoder.options = {"crf": "28", "preset": "veryfast", "tune": "zerolatency"}
        self._encoder: Any = encoder
        self._decoder: Any = av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1

    def squeezed(self, frame: Any | None) -> Iterator[Any]:
        """Yield the frames that can be seen now that `frame` was sent; None: it was the last one."""
        if frame is not None:
            own = frame.reformat(self._encoder.width, self._encoder.height, _FORMAT)
            own.pts, own.time_base, own.pict_type = frame.pts, frame.time_base, 0
            packets = self._encoder.encode(own)
        else:
            packets = self._encoder.encode()
        for packet in packets:
            yield from self._decoder.decode(packet)
        if frame is None:
            yield from self._decoder.decode()

"""Where frames come from: a camera, or a video file. Only the sandboxed process calls this."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av
import av.error

from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.v4l2 import words_of
from uncnn.daemon.text import printable
from uncnn.daemon.video.clip import frames_of, opened, picture, upright
from uncnn.plugins.api import Pixels

LARGEST_PIXELS: Final = 640 * 480
"""Of a frame that goes on: a larger one is made smaller, so that it shows no face that is too small to be found."""

LOOK_PIXELS: Final = 480 * 360
"""Of the picture in which faces are looked for, in every frame."""

SILENT_SECONDS: Final = 5.0
"""A camera that gives no frame for so long is given up."""

_WANTED: Final = {"video_size": "640x480"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame as it came."""

    frame: Any  # av.VideoFrame
    arrived: float  # monotonic seconds
    stamp: float  # seconds since the first frame

    def pixels(self, most: int = LARGEST_PIXELS) -> Pixels:
        """Return it upright as (H, W, 3) uint8 RGB of even sides, of so many pixels at most."""
        turns = round(self.frame.rotation / 90) % 4
        width, height = size_of(self.frame.width, self.frame.height, most)
        return upright(picture(self.frame, width, height), turns)


def size_of(width: int, height: int, most: int = LARGEST_PIXELS) -> tuple[int, int]:
    """Return the size at which a frame of this size goes on, both even."""
    scale = min((most / (width * height)) ** 0.5, 1.0)
    return max(int(width * scale) & ~1, 2), max(int(height * scale) & ~1, 2)


def frames_of_clip(file: Path, name: str, paced: bool) -> Iterator[Taken]:
    """Yield the frames of a video file; `paced`: as fast as they are shown. Raises VideoError, OSError."""
    began, first = None, 0.0
    with opened(file, name) as container:
        for frame in frames_of(container):
            now, shown = time.monotonic(), float((frame.pts or 0) * (frame.time_base or 0))
            if began is None:
                began, first = now, shown
            stamp = shown - first
            if paced and began + stamp > now:
                time.sleep(began + stamp - now)
            yield Taken(frame, time.monotonic(), stamp)


def frames_of_camera(device: Path) -> Iterator[Taken]:
    """Yield what a camera gives, until it is unplugged. Raises LiveError."""
    name, began = printable(device), None
    try:
        with av.open(str(device), format="v4l2", options=_WANTED) as container:
            for frame in container.decode(video=0):
                now = time.monotonic()
                began = now if began is None else began
                yield Taken(frame, now, now - began)
    except av.error.FFmpegError as error:
        words = words_of(OSError(error.errno, error.strerror))
        raise LiveError("camera", f"{name}: {words}") from error
    raise LiveError("camera", f"{name}: it gives no more frames; plug it in again")


@dataclass(slots=True)
class Latest:
    """The newest frame of a source that waits for nobody: one that was not taken in time is dropped."""

    dropped: int = 0
    _waiting: Taken | None = None
    _over: bool = False
    _error: Exception | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self, frames: Iterator[Taken]) -> None:
        """Read a source in a thread of its own, which ends with the process."""
        threading.Thread(target=self._read, args=(frames,), name="source", daemon=True).start()

    def frames(self, stopped: Callable[[], bool], name: str) -> Iterator[Taken]:
        """Yield the newest frame again and again. Raises LiveError: none comes; what the source raises."""
        while True:
            waited = time.monotonic()
            with self._changed:
                while self._waiting is None and not self._over:
                    if stopped():
                        return
                    if time.monotonic() - waited > SILENT_SECONDS:
                        remedy = "end other programs that use it, or plug it in again"
                        raise LiveError("silent", f"{name} gave no frame for {SILENT_SECONDS:.0f} s: {remedy}")
                    self._changed.wait(0.1)
                taken, self._waiting = self._waiting, None
            if taken is None:
                if self._error is not None:
                    raise self._error
                return
            yield taken

    def _read(self, frames: Iterator[Taken]) -> None:
        try:
            for taken in frames:
                with self._changed:
                    self.dropped += self._waiting is not None
                    self._waiting = taken
                    self._changed.notify()
        except Exception as error:  # told by the thread that waits for frames
            self._error = error
        with suppress(RuntimeError), self._changed:
            self._over = True
            self._changed.notify()

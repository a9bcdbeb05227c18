"""The two slots of the service: photos in one, videos in another, so that no photo waits for minutes behind a video.

Videos have processes of their own. While photos wait, a video rests between two of its segments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Config
from uncnn.daemon.control.shared_engine import SharedEngine
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.service.worker_thread import Finished, Task, Totals, WorkerThread
from uncnn.daemon.video.protector import ClipProtector
from uncnn.plugins.api import UncnnError

REST_SECONDS: Final = 600.0
"""So long at most a video rests between two segments: photos that never end do not keep it for ever."""

_LOOK_SECONDS: Final = 0.5


class Ending(UncnnError):
    """The service ends: the video is given back."""


class Workers:
    """Both threads, as one. `ring` is called when a task is finished."""

    def __init__(
        self, config: Config, ring: Callable[[], None], engine_started: Callable[[str, ProcessEngine], None]
    ) -> None:
        """Nothing is begun yet."""
        self._photos = WorkerThread(config, ring, engine_started)
        clips = ClipProtector(config.device, self._rest)
        self._videos = WorkerThread(config, ring, lambda _device, _engine: None, clips)
        self._both = (self._photos, self._videos)

    def start(self) -> None:
        """Begin."""
        for thread in self._both:
            thread.start()

    @property
    def engine(self) -> SharedEngine:
        """Return the processes for photos, which commands borrow."""
        return self._photos.engine

    @property
    def began(self) -> float | None:
        """Return when the present photo was begun; a video has no deadline."""
        return self._photos.began

    @property
    def alive(self) -> bool:
        """Return whether both threads run."""
        return all(thread.alive for thread in self._both)

    @property
    def doing(self) -> str:
        """Return the photo and the video that are being done, and their stages."""
        return "; ".join(thread.doing for thread in self._both if thread.doing)

    @property
    def problem(self) -> str:
        """Return what keeps all photos, or all videos, from being done."""
        return "; ".join(dict.fromkeys(thread.problem for thread in self._both if thread.problem))

    @property
    def totals(self) -> Totals:
        """Return what was done of photos since the service started."""
        return self._photos.totals

    def put(self, task: Task) -> None:
        """Let a photo or video be done, where it is not waiting for that already."""
        (self._videos if is_video_name(task.found.relative.name) else self._photos).put(task)

    def has(self, number: int, relative: Path) -> bool:
        """Return whether a photo or video waits or is being done."""
        return any(thread.has(number, relative) for thread in self._both)

    def waiting(self, number: int) -> list[Task]:
        """Return the tasks of a folder that are not finished."""
        return [task for thread in self._both for task in thread.waiting(number)]

    def take_back(self, number: int) -> None:
        """Forget the tasks of a folder that are not begun: it is blocked, or watched no more."""
        for thread in self._both:
            thread.take_back(number)

    def finished(self) -> Iterator[Finished]:
        """Yield what was finished since the last call."""
        for thread in self._both:
            yield from thread.finished()

    def go_by(self, config: Config) -> None:
        """Do what comes next by this configuration, and try again what waits."""
        for thread in self._both:
            thread.go_by(config)

    def stop(self, seconds: float) -> bool:
        """End: what is being done is given back. Return whether both threads ended in this time."""
        deadline = time.monotonic() + seconds
        for thread in self._both:
            thread.ask_to_stop()
        ended = [thread.stop(deadline) for thread in self._both]
        return all(ended)

    def _rest(self) -> None:
        """Wait in the thread of the videos until no photo waits. Raises Ending."""
        deadline = time.monotonic() + REST_SECONDS
        while self._photos.busy and not self._videos.stopping and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if self._videos.stopping:
            raise Ending("the service ends")

"""The thread that takes dropped photos, or videos, down their path, one after another."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from uncnn.daemon.config import Config
from uncnn.daemon.protect.process_engine import LOADING
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.video.protector import ClipProtector
from uncnn.daemon.web.cloaking import cloak, cloak_clip
from uncnn.daemon.web.dropped import UNDONE, DroppedPhoto, DroppedPhotos
from uncnn.daemon.web.engines import Lent, lent_engine
from uncnn.plugins.api import UncnnError

IDLE_SECONDS: Final = 60.0
"""After so long without a photo the processes end, which hold a gigabyte."""

ENDING_SECONDS: Final = 2.0
REST_SECONDS: Final = 600.0
"""So long at most a video rests between two segments while photos come."""

ATTEMPTS: Final = 2
"""Of a photo whose process died: another one may have brought it to that."""

_REPORT_SECONDS: Final = 0.25
_LOG: Final = logging.getLogger(__name__)


class Ending(UncnnError):
    """The page ends, and with it the video that is worked on."""


@dataclass(slots=True)
class Progress:
    """Notes how far a photo is, not more often than anybody sees."""

    photos: DroppedPhotos
    photo: str
    last: float = 0.0
    name: str = ""

    def __call__(self, stage: Stage) -> None:
        """Note a stage."""
        now = time.monotonic()
        if stage.name != self.name or now - self.last > _REPORT_SECONDS:
            self.name, self.last = stage.name, now
            self.photos.change(self.photo, stage=stage)


@dataclass(slots=True)
class WorkerThread:
    """Works until it is stopped; whatever a photo does costs that photo alone."""

    config: Config
    device: str
    photos: DroppedPhotos
    videos: bool = False  # these, and no photos
    whose: str = ""  # whose processes are asked, for a person; "": none are
    _stopping: bool = False
    _lent: Lent | None = None
    _clips: ClipProtector | None = None
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Begin to wait for photos."""
        self._thread = threading.Thread(target=self._work, name="uncnn-dropped", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End what is at work; the folder that the processes saw is removed."""
        self._stopping = True
        self.photos.close()
        lent, deadline = self._lent, time.monotonic() + ENDING_SECONDS
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < deadline:
            if lent is not None:
                lent.end()  # once more where a process was only being started
            if self._clips is not None:
                self._clips.kill()
            self._thread.join(0.1)
            lent = self._lent or lent
        if lent is not None:
            shutil.rmtree(lent.spool, ignore_errors=True)  # where the thread hangs

    def _work(self) -> None:
        while not self._stopping:
            photo = self.photos.take(IDLE_SECONDS, self.videos)
            if photo is not None:
                self._with_engine(photo)

    def _with_engine(self, photo: DroppedPhoto | None) -> None:
        """Work on photos as long as they come; an engine that cannot be had costs the photo that was at hand."""
        at_hand = photo
        try:
            with (
                lent_engine(self.config.models, self.device, self.config.servers) as lent,
                ClipProtector(self.device, self._rest, lent.spool) as self._clips,  # all is gone with the page
            ):
                self._lent = lent
                while at_hand is not None and not self._stopping:
                    self._take(lent, at_hand)
                    at_hand = self.photos.take(IDLE_SECONDS, self.videos)
        except Exception as error:
            if at_hand is not None:
                self._fail(at_hand, error)
        finally:
            self._lent, self._clips, self.whose = None, None, ""

    def _take(self, lent: Lent, photo: DroppedPhoto) -> None:
        """Take one photo down its path, and note what went wrong."""
        report = Progress(self.photos, photo.id)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._clips is not None and photo.is_video:
                    cloak_clip(lent.engine.roster, self._clips, lent.spool, self.photos, photo, report)
                    return
                if not lent.engine.started:
                    report(Stage(LOADING))
                    lent.engine.start()
                self.whose = lent.engine.whose
                cloak(lent.engine, lent.spool, self.photos, photo, report)
            except ProcessDied as error:
                if attempt == ATTEMPTS or self._stopping:
                    self._fail(photo, error)
                    return
            except Exception as error:
                self._fail(photo, error)
                return
            else:
                return

    def _rest(self) -> None:
        """Wait with a video until no photo waits, for a while. Raises Ending."""
        deadline = time.monotonic() + REST_SECONDS
        while not self._stopping and time.monotonic() < deadline:
            if not any(photo.status in UNDONE and not photo.is_video for photo in self.photos.all()):
                break
            time.sleep(_REPORT_SECONDS)
        if self._stopping:
            raise Ending("the page ends")

    def _fail(self, photo: DroppedPhoto, error: Exception) -> None:
        """Note that a photo failed; what no person can fix is said on the terminal alone."""
        if isinstance(error, UncnnError):
            words = str(error)
        else:
            _LOG.error("%s failed", photo.name, exc_info=error)
            words = "that failed for a reason of uncnn's own: the terminal of uncnn-daemon web says which"
        self.photos.change(photo.id, status="error", stage=None, words=words)

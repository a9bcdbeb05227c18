"""The photos that were dropped on the page: what is known of each, and their files, until they are forgotten.

The files lie in a private folder that no sandboxed process sees. All are gone with the page; what a killed one left is
removed by whatever runs next.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.messages import Box

FORGET_SECONDS: Final = 3600.0
"""After this time a photo that is done is forgotten."""

MOST_PHOTOS: Final = 500
MOST_BYTES: Final = 8_000_000_000
VIDEO_LIMIT: Final = 2_000_000_000
"""Bytes of a video: with its copy it takes half of the room; a larger one is for the command, or a watched folder."""

Status: TypeAlias = Literal["waiting", "working", "protected", "uncertain", "held", "not-protected", "no-face", "error"]
UNDONE: Final[frozenset[Status]] = frozenset({"waiting", "working"})


@dataclass(frozen=True, slots=True)
class JudgedCopy:
    """The copy of a photo, as it was judged."""

    name: str  # that it is downloaded by
    sha256: str
    size: int  # bytes
    crc32: int
    given: bool  # whoever asks gets it: the policy or the person lets it go


@dataclass(frozen=True, slots=True)
class DroppedPhoto:
    """What is known of a photo."""

    id: str
    name: str
    size: int  # bytes
    sha256: str
    policy: Policy
    policy_name: str
    added: datetime
    changed: float  # of the clock, when it was last another
    status: Status = "waiting"
    stage: Stage | None = None
    words: str = ""
    seconds: float | None = None
    picture: tuple[int, int] | None = None  # width and height
    boxes: tuple[Box, ...] = ()  # of the faces that were found, before there is a verdict
    faces: tuple[dict[str, Any], ...] = ()  # of the verdict, see `faces.faces_json`
    notes: tuple[str, ...] = ()
    verdict: bytes | None = None  # JSON, compressed
    copy: JudgedCopy | None = None
    likenesses: bytes | None = None  # JSON, compressed: whom recognisers take its faces for

    @property
    def is_video(self) -> bool:
        """Return whether it is taken for a video: by its name."""
        return is_video_name(self.name)


class NoRoom(Exception):
    """More photos than can be taken."""


class TooManyAtOnce(Exception):
    """More photos are being sent than are taken at once."""


class DroppedPhotos:
    """All of them, used by the page and by the thread that works on them."""

    def __init__(self, folder: Path, changes: Changes, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep the files in the private `folder`."""
        self.folder = folder
        self._changes = changes
        self._clock = clock
        self._arrived = threading.Condition()
        self._photos: dict[str, DroppedPhoto] = {}
        self._sending: dict[str, int] = {}  # bytes so far of what is being sent
        self._closed = False

    def begin(self, at_once: int) -> str:
        """Return the id of a photo that is about to be sent, one of so many `at_once`. Raises NoRoom, TooManyAtOnce."""
        with self._arrived:
            if len(self._sending) >= at_once:
                raise TooManyAtOnce
            identity = secrets.token_hex(12)
            self._sending[identity] = 0
        try:
            self.grow(identity, 0)
        except NoRoom:
            self.give_up(identity)
            raise
        return identity

    def grow(self, identity: str, size: int) -> None:
        """Note that so many bytes more of a photo came. Raises NoRoom."""
        with self._arrived:
            self._sending[identity] += size
            held = sum(photo.size + (photo.copy.size if photo.copy else 0) for photo in self._photos.values())
            if len(self._photos) + len(self._sending) > MOST_PHOTOS or held + sum(self._sending.values()) > MOST_BYTES:
                raise NoRoom

    def give_up(self, identity: str) -> None:
        """Be done with a photo that did not come whole."""
        with self._arrived:
            self._sending.pop(identity, None)
        self.file(identity, "part").unlink(missing_ok=True)

    def add(self, identity: str, name: str, sha256: str, policy: Policy, policy_name: str) -> DroppedPhoto:
        """Take up a photo that came whole, and lies in its file `part`. Raises OSError."""
        part = self.file(identity, "part")
        size = part.stat().st_size
        part.rename(self.file(identity, "photo"))
        photo = DroppedPhoto(identity, name, size, sha256, policy, policy_name, datetime.now(UTC), self._clock())
        with self._arrived:
            self._sending.pop(identity, None)
            self._photos[identity] = photo
            self._arrived.notify_all()
        self._changes.tell()
        return photo

    def all(self) -> list[DroppedPhoto]:
        """Return the photos in the order in which they came."""
        with self._arrived:
            return list(self._photos.values())

    def get(self, identity: str) -> DroppedPhoto | None:
        """Return one of them, None where it is not known, or no longer."""
        with self._arrived:
            return self._photos.get(identity)

    def take(self, patience_seconds: float, videos: bool = False) -> DroppedPhoto | None:
        """Return the next photo, or video, that waits, which is in work from then on; None: none came in time."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._closed or self._waiting(videos) is not None, patience_seconds)
            found = self._waiting(videos)
            if found is None or self._closed:
                return None
            taken = self._photos[found.id] = replace(found, status="working", changed=self._clock())
        self._changes.tell()
        return taken

    def close(self) -> None:
        """Let whoever waits for a photo go: none is taken any more."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def change(self, identity: str, **values: Any) -> bool:
        """Note something of a photo; return whether it is known yet."""
        with self._arrived:
            photo = self._photos.get(identity)
            if photo is not None:
                self._photos[identity] = replace(photo, changed=self._clock(), **values)
                self._arrived.notify_all()
        self._changes.tell()
        return photo is not None

    def forget(self, identity: str) -> bool:
        """Forget a photo, and remove its files; return whether it was known."""
        with self._arrived:
            known = self._photos.pop(identity, None) is not None
        for file in self.folder.glob(f"{identity}.*") if known else ():
            file.unlink(missing_ok=True)
        self._changes.tell()
        return known

    def forget_old(self) -> None:
        """Forget the photos that have been done for an hour."""
        now = self._clock()
        for photo in self.all():
            if self.seconds_left(photo, now) <= 0:
                self.forget(photo.id)

    def seconds_left(self, photo: DroppedPhoto, now: float | None = None) -> float:
        """Return after how many seconds a photo is forgotten; one that is not done yet is not."""
        now = self._clock() if now is None else now
        return FORGET_SECONDS if photo.status in UNDONE else photo.changed + FORGET_SECONDS - now

    def file(self, identity: str, ending: str) -> Path:
        """Return where a file of a photo lies; the id is one that this made, or one that is known."""
        return self.folder / f"{identity}.{ending}"

    def _waiting(self, videos: bool) -> DroppedPhoto | None:
        found = self._photos.values()
        return next((each for each in found if each.status == "waiting" and each.is_video == videos), None)

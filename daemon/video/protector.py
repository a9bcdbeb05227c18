"""Clips on their way: the folder in which each is worked on, and the processes, started when the first clip comes.

The folder is known by the clip, the policy and the models, and stays until it is known what becomes of the clip: after
a kill the segments that are done are not done again. Nothing heavy is imported here.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

from uncnn.daemon.files.folders import private, state_dir
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob
from uncnn.daemon.protect.wire import Report, RequestError, Stage
from uncnn.daemon.text import printable
from uncnn.daemon.video.engine import VideoEngine
from uncnn.daemon.video.needed import what_keeps_videos
from uncnn.daemon.video.pipeline import protect_clip
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError

ROOM: Final = 3
"""So many times its own bytes a clip needs: its private copy, its segments, and the copy that they make."""

BUSY_SECONDS: Final = 1.0
"""Between two looks whether another command is done with a clip."""

OLDEST_SECONDS: Final = 7 * 86400.0
"""So long the folder of a clip that nobody went on with is kept."""

_FORM: Final = 1  # counts up when what lies in a folder means something else: it is begun anew
_SOURCE: Final = "source.clip"


class ClipBusy(UncnnError):
    """Another command works on the same clip."""


class ClipGone(UncnnError):
    """The clip in the folder is no longer the one that is worked on."""


class ClipProtector:
    """Protects clips one after another. Use it in a `with` block."""

    def __init__(self, device: str, rest: Callable[[], None] | None = None, root: Path | None = None) -> None:
        """Nothing is started yet; `device` is that of the configuration, `root` a private folder, else `clips_dir`.

        `rest` is called between two steps of a clip, and while another command works on it, which ends `protect` where
        there is none. What it raises ends the clip.
        """
        self.device = device
        self._rest = rest
        self._root = root
        self._engine: VideoEngine | None = None
        self._made_for: tuple[Roster, str] | None = None  # the engine
        self._done: Path | None = None
        self._held = ExitStack()  # the folder of the clip that is worked on, or whose copy is still needed

    def protect(
        self, job: PhotoJob, sha256: str, roster: Roster, report: Report, check: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Return what becomes of a clip, whose bytes have this `sha256`; `forget` when its copy is not needed any more.

        Nobody else works in its folder until then, or until `leave`.

        `check` is called between two steps, and raises where the clip is not wanted any more.

        Raises:
            RequestError, ProcessDied, VideoPolicyError: as `protect_clip`. ClipBusy. ClipGone, from `check`.
            FolderError, OSError.
        """
        root = self._root or clips_dir()
        if self._root is None:
            _sweep(root)
        told = "\0".join([sha256, job.policy.digest(), roster.digest(), str(_FORM)])
        folder = root / hashlib.sha256(told.encode()).hexdigest()[:32]
        self.leave()
        with ExitStack() as held:
            self._hold_soon(held, folder, report)
            clip = folder / _SOURCE
            if not clip.exists():
                _put(job.photo, clip)
            try:
                outcome = protect_clip(
                    self._started(roster, root), _moved(job, clip), report, partial(self._pause, check)
                )
            except ClipGone:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            except RequestError as error:
                if error.fault == "photo":  # another run finds the same
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            self._done, self._held = folder, held.pop_all()
        return outcome

    def forget(self) -> None:
        """Remove the folder of the clip whose outcome was the last."""
        if self._done is not None:
            shutil.rmtree(self._done, ignore_errors=True)
        self.leave()

    def leave(self) -> None:
        """Let others have the folder of the clip whose outcome was the last; it stays, to be gone on with."""
        self._done = None
        self._held.close()

    def kill(self) -> None:
        """End the processes now, from any thread: what is asked of them fails with ProcessDied."""
        engine = self._engine
        if engine is not None:
            engine.kill()

    def close(self) -> None:
        """End the processes, and let others have the folder of the last clip."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self.leave()

    def __enter__(self) -> ClipProtector:
        """Return the protector."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self.close()

    def _started(self, roster: Roster, root: Path) -> VideoEngine:
        if self._engine is None or self._made_for != (roster, self.device):
            self.close()
            self._engine, self._made_for = VideoEngine(roster, self.device, root), (roster, self.device)
        return self._engine

    def _pause(self, check: Callable[[], None]) -> None:
        """Let others go first, and see whether the clip is still wanted."""
        if self._rest is not None:
            self._rest()
        check()

    def _hold_soon(self, held: ExitStack, folder: Path, report: Report) -> None:
        """Have `held` hold the folder of a clip, once nobody else does. Raises ClipBusy where none waits."""
        while True:
            try:
                held.enter_context(_locked(folder))
                return
            except ClipBusy:
                if self._rest is None:
                    raise
            report(Stage("another command works on it"))
            time.sleep(BUSY_SECONDS)
            self._rest()


def why_not(clips: ClipProtector | None) -> str:
    """Return in words why clips are not taken, "" where they are."""
    if clips is None:
        return "videos are cloaked by the command `uncnn-daemon cloak`, not here"
    return what_keeps_videos()


def room_missing(spool: Path, size: int) -> str:
    """Return in words that there is no room for a clip of so many bytes, "" where there is or nobody knows."""
    try:
        free, needed = shutil.disk_usage(spool).free, ROOM * size
    except OSError:
        return ""
    if free >= needed:
        return ""
    room = f"{needed / 1e9:.1f} GB of room in {printable(spool.parent)}"
    return f"the video needs {room}, where {free / 1e9:.1f} GB are free: make room"


def clips_dir() -> Path:
    """Return the folder of the clips that are worked on, made 0700. Raises FolderError."""
    return private(state_dir() / "clips")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a clip inside the block, made where it is missing. Raises ClipBusy, OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(opened), folder.lstat()):
                raise FileNotFoundError  # whoever had it removed it, and somebody else has made it anew
        except (BlockingIOError, FileNotFoundError) as error:
            raise ClipBusy("another command works on the same video: wait for it to end") from error
        os.utime(folder)
        yield
    finally:
        os.close(opened)


def _put(photo: Content, clip: Path) -> None:
    """Put the private copy of a clip into its folder: by a second name where the file system can."""
    assert photo.file is not None  # `take` hands a file over
    temporary = clip.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    try:
        os.link(photo.file, temporary)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        shutil.copyfile(photo.file, temporary)
        temporary.chmod(0o600)
    temporary.replace(clip)


def _moved(job: PhotoJob, clip: Path) -> PhotoJob:
    return PhotoJob(Content(clip), job.name, job.policy, job.people)


def _sweep(root: Path) -> None:
    """Remove the folders that nobody went on with for long."""
    oldest = time.time() - OLDEST_SECONDS
    for folder in root.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)

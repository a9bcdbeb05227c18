"""Two processes for clips without networks and codecs: what a clip says in words is what becomes of it.

A clip has three segments. The second segment of a `hanging` one waits until there is a
file `go on`, one that `kills` ends its process at the second segment, once.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from functools import partial
from pathlib import Path

import stub_handlers
from stub_handlers import FACE

from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, Loaded, Ready
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement
from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.engine import VideoEngine
from uncnn.daemon.video.files import file_of
from uncnn.daemon.video.messages import (
    ClipVerdict,
    Follow,
    Followed,
    Join,
    JudgeClip,
    JudgeTrial,
    Render,
    Rendered,
    TellApart,
    ToldApart,
    TrackVerdict,
    Tried,
    Try,
)

INFO = ClipInfo("mp4", "h264", 320, 180, 0, (1, 1000), "yuv420p", (0, 2, 2, 2), 1, 30.0, 0, 1, ())


class StubVideoEngine(VideoEngine):
    """Starts, asks and ends its processes as the real one does."""

    def _working(self) -> Child:
        if self._worker is None or not self._worker.alive:
            self._worker = Child("video worker", partial(make_worker, str(data_dir())))
        return self._worker

    def _verifying(self) -> Child:
        if self._verifier is None or not self._verifier.alive:
            self._verifier = Child("video verifier", partial(make_verifier, str(data_dir())))
        return self._verifier


def make_worker(log: str) -> Handlers:
    def follow(asked: Follow, _report: Report) -> Followed:
        content = asked.clip.read()
        if b"damaged" in content:
            raise stub_handlers.PhotoError("damaged", f"{asked.name}: damaged or not whole")
        return Followed(INFO, 90, 1, 3, ((0, 0),), ((0,),))

    def render(asked: Render, report: Report) -> Rendered:
        made = file_of(asked.clip).with_name(f"{asked.segment}-{len(asked.raised)}.segment")
        if made.exists():
            return Rendered(asked.segment, False)
        content, once = asked.clip.read(), Path(log, "killed once")
        report(Stage("cloaking", asked.segment, 3))
        with Path(log, "rendered").open("a") as writer:
            writer.write(f"{asked.name} {asked.segment}\n")
        if asked.segment == 1 and b"kills" in content and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while asked.segment == 1 and b"hanging" in content and not Path(log, "go on").exists():
            time.sleep(0.05)
        made.touch()
        return Rendered(asked.segment, True)

    def join(asked: Join, _report: Report) -> Content:
        return asked.clip.beside(CANDIDATE, b"cloaked " + asked.clip.read())

    return {
        Ready: lambda _asked, _report: Loaded("stub"),
        Follow: follow,
        Try: lambda asked, _report: Tried(asked.windows),
        Render: render,
        Join: join,
    }


def make_verifier(_log: str) -> Handlers:
    def judge(asked: JudgeClip | JudgeTrial, _report: Report) -> ClipVerdict:
        released = (asked.released if isinstance(asked, JudgeClip) else asked.original).read()
        if asked.spared == (0,):
            bare = TrackVerdict(FaceVerdict(FACE, False, False, (), spared=True), (), (), (), False)
            return ClipVerdict(hashlib.sha256(released).hexdigest(), ("as-is",), (bare,), (), 3)
        linked = b"unprotected" in released
        judgement = Judgement("stub", "judge", "cosine", "as-is", 1.0, 0.9 if linked else 0.1, 0.5, linked)
        face = FaceVerdict(FACE, True, True, (judgement,))
        seconds, windows = ((1.0,), (0,)) if linked else ((), ())
        track = TrackVerdict(face, seconds, (0,), windows, False)
        return ClipVerdict(hashlib.sha256(released).hexdigest(), ("as-is",), (track,), (), 3)

    return {
        Ready: lambda _asked, _report: Loaded("stub"),
        TellApart: lambda asked, _report: ToldApart((asked.who == "only-enrolled",)),
        JudgeClip: judge,
        JudgeTrial: judge,
    }

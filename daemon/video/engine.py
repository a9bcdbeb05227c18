"""The two sandboxed processes that work on clips: not those of the running service, since a clip takes minutes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, Ready
from uncnn.daemon.protect.process_engine import LOADING, PREPARE_SECONDS
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import Ask, Handlers, Report, Stage
from uncnn.daemon.sandbox.rules import sandbox_for
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
    Tried,
    Try,
)
from uncnn.exporters.registry.store import Roster

Answer = TypeVar("Answer")

JOB_SECONDS: Final = 24 * 3600.0
"""The longest that one request may take: to look through a film."""


class VideoEngine:
    """A worker and a verifier of clips, started when they are first asked, until `close`.

    All calls raise RequestError, which says whether the clip or a model is at fault, and ProcessDied.
    """

    def __init__(self, roster: Roster, device: str, folder: Path) -> None:
        """Nothing is started yet; both see `folder` and nothing else of the person's."""
        self._roster = roster
        self._device = device
        self._folder = folder
        self._worker: Child | None = None
        self._verifier: Child | None = None

    def follow(self, asked: Follow, report: Report) -> Followed:
        """Return what there is in a clip."""
        return self._ask(self._working(), asked, report)

    def tell_apart(self, asked: TellApart, report: Report) -> ToldApart:
        """Return which faces the policy leaves alone."""
        return self._ask(self._verifying(), asked, report)

    def try_out(self, asked: Try, report: Report) -> Tried:
        """Change some windows, and encode those of their frames that are judged."""
        return self._ask(self._working(), asked, report)

    def judge_trial(self, asked: JudgeTrial, report: Report) -> ClipVerdict:
        """Return what the verifier says of what was tried."""
        return self._ask(self._verifying(), asked, report)

    def render(self, asked: Render, report: Report) -> Rendered:
        """Change and encode a segment."""
        return self._ask(self._working(), asked, report)

    def join(self, asked: Join, report: Report) -> Content:
        """Return a copy of the clip. Raises UncnnError: the process named another file."""
        return asked.clip.check_beside(CANDIDATE, self._ask(self._working(), asked, report))

    def judge(self, asked: JudgeClip, report: Report) -> ClipVerdict:
        """Return what the verifier says of a copy."""
        return self._ask(self._verifying(), asked, report)

    def kill(self) -> None:
        """End both processes now, from any thread: what is asked of them fails with ProcessDied."""
        for child in (self._worker, self._verifier):
            if child is not None:
                child.end_now()

    def close(self) -> None:
        """End both processes."""
        for child in (self._worker, self._verifier):
            if child is not None:
                child.close()
        self._worker = self._verifier = None

    def _working(self) -> Child:
        if self._worker is None or not self._worker.alive:
            self._worker = self._child("video worker", _make_worker, "uncnn.daemon.video.worker")
        return self._worker

    def _verifying(self) -> Child:
        if self._verifier is None or not self._verifier.alive:
            self._verifier = self._child("video verifier", _make_verifier, "uncnn.daemon.video.verifier")
        return self._verifier

    def _child(self, name: str, make: Any, module: str) -> Child:
        sandbox = sandbox_for(self._folder, self._roster.files(), self._device)
        return Child(name, partial(make, self._roster, self._device), sandbox, [module])

    def _ask(self, child: Child, asked: Ask[Answer], report: Report) -> Answer:
        if not child.answered:
            report(Stage(LOADING))
            child.call(Ready(), PREPARE_SECONDS)
        return child.call(asked, JOB_SECONDS, report)


def _make_worker(roster: Roster, device: str) -> Handlers:
    from uncnn.daemon.video.worker import make_video_worker  # torch and FFmpeg: only in the spawned process

    return make_video_worker(roster, device)


def _make_verifier(roster: Roster, device: str) -> Handlers:
    from uncnn.daemon.video.verifier import make_video_verifier  # likewise

    return make_video_verifier(roster, device)

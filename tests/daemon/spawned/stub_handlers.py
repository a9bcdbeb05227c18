"""A worker and a verifier without networks, quick to start: what a photo says in words is what becomes of it.

What it says after a `#` is its metadata: no part of the picture.
"""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import time
from pathlib import Path

from uncnn.daemon.explain.explained import Candidate, ExplainedFace, Identification, RecogniserAnswer
from uncnn.daemon.protect.messages import (
    CANDIDATE,
    Change,
    Changed,
    Describe,
    Described,
    Description,
    Explain,
    Explained,
    Judge,
    Loaded,
    Look,
    Looked,
    Ready,
    Review,
    Reviewed,
)
from uncnn.daemon.protect.wire import Handlers, Report
from uncnn.daemon.verify.decided import applied
from uncnn.daemon.verify.detection import Detection
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.plugins.api import Face, UncnnError
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

FACE = Face((10.0, 10.0, 60.0, 60.0), ((20.0, 25.0), (50.0, 25.0), (35.0, 40.0), (25.0, 50.0), (45.0, 50.0)), 0.9)
OTHER = Face((62.0, 30.0, 94.0, 62.0), ((70.0, 40.0), (86.0, 40.0), (78.0, 48.0), (72.0, 55.0), (84.0, 55.0)), 0.9)


class PhotoError(UncnnError):
    """Answered as the real one is: by its fault and its kind."""

    fault = "photo"

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def make_worker(log: str) -> Handlers:
    if (loading := Path(log, "loading seconds")).exists():
        time.sleep(float(loading.read_text()))

    def look(asked: Look, _report: Report) -> Looked:
        content = asked.photo.read()
        with Path(log, "looked").open("ab") as writer:
            writer.write(content + b"\n")
        _fail(content, asked.name)
        faces = () if b"no face" in content else (FACE, OTHER) if b"twins" in content else (FACE,)
        return Looked(faces, "JPEG", (100, 100), (), _picture(content))

    def change(asked: Change, _report: Report) -> Changed:
        content = asked.photo.read()
        with Path(log, "cloaked").open("ab") as writer:
            writer.write(content + b"\n")
        released = content if b"unchanged" in content else b"cloaked " + content
        released += f" at {asked.strengths[0]}".encode() if b"needs" in content else b""
        return Changed(asked.photo.beside(CANDIDATE, released), ())

    return {Ready: lambda _asked, _report: Loaded("stub"), Look: look, Change: change}


def _picture(content: bytes) -> str:
    return hashlib.sha256(content.partition(b"#")[0]).hexdigest()


def _fail(content: bytes, name: str) -> None:
    if b"kills" in content:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"damaged" in content:
        raise PhotoError("damaged", f"{name} cannot be read: export it again")
    if b"truncated" in content:
        raise PhotoError("truncated", f"{name} is cut short: copy it again")
    if b"full disk" in content:
        raise OSError(errno.ENOSPC, "No space left on device")
    if b"slow" in content:
        time.sleep(600)


class UnsoundError(UncnnError):
    """Raised as the real one is: with what all models said."""

    fault = "model"
    canaries = CanaryAnswers("2026-01-02T03:04:05+00:00", ("detector",), ("stub",), "stub links two strangers")


def make_verifier(log: str) -> Handlers:
    """Return a verifier; the words in the file `links` link a photo too, `sees` lets it find faces everywhere.

    Where there is a file `unsound` its models are not what they should be.
    """
    if Path(log, "unsound").exists():
        raise UnsoundError(UnsoundError.canaries.problem)

    def review(asked: Review, _report: Report) -> Reviewed:
        detections = tuple(Detection(face, "", True, True) for face in asked.faces)
        kinds = applied(asked.terms.decisions, asked.faces, len(asked.faces)).kinds
        return Reviewed(detections, tuple(kind is not None for kind in kinds))

    def judge(asked: Judge, _report: Report) -> Verdict:
        released = asked.released.read()
        if b"judged for long" in released and not (at_work := Path(log, "at work")).exists():  # the first time alone
            at_work.write_text(str(os.getpid()))
            time.sleep(600)
        with Path(log, "verified").open("ab") as writer:
            writer.write(released + b"\n")
        links, sees = Path(log, "links"), Path(log, "sees").exists()
        words = [b"unprotected", *(links.read_bytes().split() if links.exists() else [])]
        if b"dies" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"hangs" in words and b"hangs" in released:
            time.sleep(600)
        too_weak = b"needs utmost" in released and b"at utmost" not in released
        linked = too_weak or any(word in released for word in words)
        judgement = Judgement("stub", "judge", "cosine", "as-is", 1.0, 0.9 if linked else 0.1, 0.5, linked)
        doubt = "it may be an animal" if b"animal" in released else ""
        there = () if b"no face" in released and not sees else (FACE, OTHER) if b"twins" in released else (FACE,)
        said = applied(asked.terms.decisions, there, len(there))
        faces = tuple(
            FaceVerdict(face, not kind, True, (judgement,), bool(kind), uncertain="" if kind else doubt, decided=kind)
            for face, kind in zip(there, said.kinds, strict=True)
        )
        sha256 = hashlib.sha256(released).hexdigest()
        return Verdict(sha256, 1e-3, ("as-is",), faces, _picture(released), unapplied=said.unapplied)

    def describe(asked: Describe, _report: Report) -> Described:
        content = asked.photo.read()
        _fail(content, asked.name)
        faces = 0 if b"no face" in content else 3 if b"crowd" in content else 1
        who = [0.0, 1.0] if b"somebody else" in content else [1.0, 0.0]
        return Described(faces, (Description("stub", "0" * 64, who),) if faces == 1 else ())

    def explain(asked: Explain, _report: Report) -> Explained:
        _fail(asked.photo.read(), asked.name)
        known = [Candidate(member.name, "person", 0.9, 0.8) for member in asked.members]
        before = Identification((*known, Candidate("stranger 1", "stranger", 0.1, 0.1)), 0.05, 0.05, True)
        after = Identification((Candidate("stranger 2", "stranger", 0.1, 0.1),), 0.4, 0.5, False, 0.9)
        answers = tuple(
            RecogniserAnswer(name, "judge", "none", "cosine", 1000, before, after) for name in asked.recognisers
        )
        return Explained((ExplainedFace(1, FACE, FACE, True, answers),), 0, 0, (100, 100), (100, 100))

    return {
        Ready: lambda _asked, _report: Loaded("stub", (), CanaryAnswers("2026-01-02T03:05:00+00:00", ("stub",))),
        Review: review,
        Judge: judge,
        Describe: describe,
        Explain: explain,
    }

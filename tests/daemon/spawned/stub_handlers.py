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

from uncnn.daemon.processes import Handler, Message, Report
from uncnn.plugins.api import UncnnError

FACE = {
    "box": [10.0, 10.0, 60.0, 60.0],
    "landmarks": [[20.0, 25.0], [50.0, 25.0], [35.0, 40.0], [25.0, 50.0], [45.0, 50.0]],
    "score": 0.9,
}


class PhotoError(UncnnError):
    """Answered as the real one is: by its name and its kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def make_worker(log: str) -> Handler:
    if (loading := Path(log, "loading seconds")).exists():
        time.sleep(float(loading.read_text()))

    def handle(request: Message, _report: Report) -> Message:
        if request["do"] == "ready":
            return {"device": "stub"}
        content = Path(request["source"]).read_bytes()
        if request["do"] == "look":
            with Path(log, "looked").open("ab") as writer:
                writer.write(content + b"\n")
            _fail(content, request["name"])
            faces = [] if b"no face" in content else [FACE]
            return {"faces": faces, "format": "JPEG", "notes": [], "fingerprint": _picture(content)}
        with Path(log, "cloaked").open("ab") as writer:
            writer.write(content + b"\n")
        released = content if b"unchanged" in content else b"cloaked " + content
        Path(request["destination"]).write_bytes(released)
        return {"notes": []}

    return handle


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


def make_verifier(log: str) -> Handler:
    """Return a verifier; the words in the file `links` link a photo too, `sees` lets it find faces everywhere."""

    def handle(request: Message, _report: Report) -> Message:
        if request["do"] == "ready":
            return {}
        if request["do"] == "look":
            sightings = [
                {"face": face, "uncertain": "", "certain_enough": True, "known": True} for face in request["faces"]
            ]
            return {"sightings": sightings}
        released = Path(request["released"]).read_bytes()
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
        linked = any(word in released for word in words)
        judgement = {"recogniser": "stub", "role": "judge", "metric": "cosine", "view": "as-is", "before": 1.0}
        judgement |= {"after": 0.9 if linked else 0.1, "threshold": 0.5, "linked": linked}
        face = {"face": FACE, "required": True, "found_again": True, "judgements": [judgement]}
        face |= {"uncertain": "it may be an animal" if b"animal" in released else ""}
        faces = [] if b"no face" in released and not sees else [face]
        told = {"sha256": hashlib.sha256(released).hexdigest(), "fingerprint": _picture(released)}
        return {**told, "far": 1e-3, "views": ["as-is"], "faces": faces}

    return handle

"""One dropped photo on its way: looked at, changed, judged; what came of it is noted as it comes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.files.publish import PublishError, snapshot
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, detect, people_for, protect
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.verify.faces import faces_json
from uncnn.daemon.verify.figures import verdict_json
from uncnn.daemon.video.protector import ClipGone, ClipProtector, room_missing
from uncnn.daemon.web.dropped import VIDEO_LIMIT, DroppedPhoto, DroppedPhotos, JudgedCopy, Status
from uncnn.daemon.web.likenesses import likenesses
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError

_CHUNK: Final = 1 << 20
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class CopyError(UncnnError):
    """The copy of a photo is not the one that was judged."""


def cloak(
    engine: EitherEngine, spool: Path, photos: DroppedPhotos, photo: DroppedPhoto, report: Callable[[Stage], None]
) -> None:
    """Take a photo down its path, in a folder of its own in the `spool`.

    Raises:
        RequestError: it is no photo, or a plugin failed. ProcessDied: the engine did. PublishError, PeopleError,
        FolderError. CopyError: the copy was changed after it was judged.
    """
    with tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True) as own:
        taken = snapshot(photos.folder, Path(photos.file(photo.id, "photo").name), Path(own))
        job = PhotoJob(Content(taken.path), photo.name, photo.policy, people_for(photo.policy))
        detected = detect(engine, job, report)
        looked = detected.looked
        photos.change(photo.id, picture=looked.size, boxes=tuple(face.box for face in looked.faces))
        outcome = protect(engine, job, report, detected=detected)
        if _noted(photos, photo, outcome) and outcome.verdict.faces:
            alike = likenesses(engine, job.photo, photo.name, outcome.candidate, photo.policy)
            photos.change(photo.id, likenesses=alike)


def cloak_clip(
    roster: Roster,
    clips: ClipProtector,
    spool: Path,
    photos: DroppedPhotos,
    photo: DroppedPhoto,
    report: Callable[[Stage], None],
) -> None:
    """Take a video down its path.

    Raises what `ClipProtector.protect` does, ClipGone where it was forgotten meanwhile. CopyError. PublishError: there
    is no room. VideoPolicyError.
    """

    def check() -> None:
        if photos.get(photo.id) is None:
            raise ClipGone(f"{photo.name} was forgotten")

    if keeps := room_missing(spool, photo.size):
        raise PublishError("no-space", f"{photo.name}: {keeps}")
    with tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True) as own:
        taken = snapshot(photos.folder, Path(photos.file(photo.id, "photo").name), Path(own), VIDEO_LIMIT)
        job = PhotoJob(Content(taken.path), photo.name, photo.policy, people_for(photo.policy))
        try:
            _noted(photos, photo, clips.protect(job, taken.sha256, roster, report, check))
        finally:
            clips.forget()


def _noted(photos: DroppedPhotos, photo: DroppedPhoto, outcome: Outcome) -> bool:
    """Keep the copy, and note what became of a photo; return whether it is known yet and has a copy.

    Raises CopyError, PublishError.
    """
    copy = _kept(photos, photo, outcome)
    known = photos.change(
        photo.id,
        status=_status(outcome),
        stage=None,
        words=outcome.reason,
        seconds=round(outcome.seconds, 1),
        faces=faces_json(outcome.verdict, outcome.strengths),
        notes=outcome.notes,
        verdict=zlib.compress(json.dumps(verdict_json(outcome.verdict, outcome.strengths)).encode()),
        copy=copy,
    )
    if not known:  # it was forgotten meanwhile
        photos.file(photo.id, "copy").unlink(missing_ok=True)
    return known and copy is not None


def _status(outcome: Outcome) -> Status:
    """Return in a word what became of a photo."""
    if outcome.decision == "hold":
        return "held"
    if outcome.verdict.kind == "no-face":
        return "uncertain" if outcome.uncertain else "no-face"
    if not outcome.verdict.protected:
        return "not-protected"
    return "uncertain" if outcome.left_uncertain else "protected"


def _kept(photos: DroppedPhotos, photo: DroppedPhoto, outcome: Outcome) -> JudgedCopy | None:
    """Keep the copy that was judged, if the policy does not skip the photo. Raises CopyError, PublishError."""
    source = outcome.candidate.file
    if source is None or outcome.decision == "skip":
        return None
    target, digest, size, crc32 = photos.file(photo.id, "copy"), hashlib.sha256(), 0, 0
    try:
        with source.open("rb") as reader, os.fdopen(os.open(target, _CREATE, 0o600), "wb") as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
                writer.write(chunk)
    except OSError as error:
        raise PublishError.of(error, target, "written") from error
    if digest.hexdigest() != outcome.sha256:
        target.unlink()
        raise CopyError(f"the copy of {photo.name} was changed after it was judged: try again")
    name = photo.policy.released_name(Path(photo.name)).name
    return JudgedCopy(name, outcome.sha256, size, crc32, outcome.decision == "publish")

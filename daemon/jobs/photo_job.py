"""One photo of a watched folder on its way: snapshot, ledger, protect, publish; every step in the ledger first."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from uncnn.daemon.files.folders import FolderError
from uncnn.daemon.files.kept import discard, keep
from uncnn.daemon.files.names import is_video_name, longest_name
from uncnn.daemon.files.publish import PublishError, Snapshot, snapshot
from uncnn.daemon.files.scan import Found
from uncnn.daemon.files.standing import state_of
from uncnn.daemon.jobs.duplicates import (
    EarlierResult,
    find_judged_copy,
    find_published_copy,
    find_same_picture,
    made_for,
    made_with,
)
from uncnn.daemon.jobs.recovery import prune_kept, released_before
from uncnn.daemon.jobs.release import release
from uncnn.daemon.jobs.result import Done, Status
from uncnn.daemon.ledger import Job, Kept, Ledger, LedgerError, State, TransitionError
from uncnn.daemon.ledger.doubts import NO_DOUBTS, Doubts
from uncnn.daemon.ledger.states import IN_WORK
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.engine import LoadedEngine
from uncnn.daemon.protect.messages import Next
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, detect, people_for, protect
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import Report, RequestError
from uncnn.daemon.text import printable
from uncnn.daemon.verify.keeping import proof_of
from uncnn.daemon.video.protector import ClipGone, ClipProtector, room_missing, why_not
from uncnn.daemon.watch.backlog import SourceFolder, source_of
from uncnn.plugins.api import Fault, UncnnError

_LOG: Final = logging.getLogger(__name__)

ENVIRONMENT: Final = frozenset(
    {
        "no-space",
        "permission",
        "read-only",
        "missing",
        "not-a-folder",
        "input-output",
        "stale",
        "too-many-files",
        "busy",
        "replaced",
        "unsupported",
    }
)
"""Faults of the machine, not of the photo: no attempt is spent on them."""

PASSING: Final = frozenset({"truncated", "no-memory"})
"""What is wrong with a photo and may not be for long: it is still being written, or others have the memory."""

WAITING: Final[frozenset[Fault]] = frozenset({"policy", "model"})
"""Where a fault lies that no photo can help: no attempt is spent, the folder waits until it is put right."""

HOPELESS: Final = frozenset({"name-too-long", "no-name"})
"""Faults of publishing that another attempt meets again."""

_STATUS: Final[dict[State, Status]] = {
    State.PUBLISHED: "published",
    State.SKIPPED: "skipped",
    State.HELD: "held",
    State.QUARANTINED: "error",
    State.RETRY: "error",
    State.SUPERSEDED: "skipped",
}


Result: TypeAlias = Outcome | EarlierResult
"""What is to become of a photo: found out on itself, or before."""


class InternalError(UncnnError):
    """A fault of uncnn's own that a photo met: it costs that photo an attempt, and no other anything."""


class Stopped(UncnnError):
    """The service ends; the photo was given back."""


class FolderBlocked(UncnnError):
    """A fault of disk, permission, mount or a model: nothing more can be done for this folder at present."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What photos are worked on with.

    `start` is called before a photo needs the models, `stopping` says whether a process that died was ended on purpose,
    `following` copies the photos that come next into a folder, `renew` queues what was done if it is to be done again,
    `clips` protects video files, where they are taken, `anew`: nothing that became of the same picture holds.
    """

    ledger: Ledger
    engine: LoadedEngine
    spool: Path
    report: Report
    start: Callable[[], None]
    stopping: Callable[[], bool] = lambda: False
    following: Callable[[Path], list[Next]] = lambda _folder: []
    renew: Callable[[Job, SourceFolder], Job] = lambda job, _place: job
    clips: ClipProtector | None = None
    anew: bool = False


def take(context: JobContext, source: SourceFolder, found: Found, still_settling: Callable[[Found], bool]) -> Done:
    """Take a settled file down its path, and return what became of it; `still_settling`: whether one that changed is.

    Raises FolderBlocked, LedgerError, and what `context.start` raises.
    """
    name = source.name(found.relative)
    is_clip = is_video_name(found.relative.name)
    if is_clip and (refused := why_not(context.clips) or room_missing(context.spool, found.size)):
        return Done(name, "error", f"{name}: {refused}", taken=False)
    with _own_folder(context.spool) as own:
        try:
            taken = snapshot(source.folder.watch, found.relative, own)
        except PublishError as error:
            if error.kind in {"no-space", "read-only", "too-many-files", "stale"}:  # no fault of this one file
                raise FolderBlocked(str(error)) from error
            passing = error.kind in {"changed", "missing"}
            return Done(name, "waiting" if passing else "error", str(error), taken=passing)
        changed = Found(found.relative, taken.size, taken.mtime_ns, taken.ctime_ns, taken.device, taken.inode)
        if changed != found and still_settling(changed):
            return Done(name, "waiting", "it is still being written: it is taken when it has settled")
        job = context.ledger.enqueue(source.number, found.relative, taken.sha256, source.digest, source_of(taken))
        job = context.renew(job, source)
        if job.state is State.QUEUED:
            try:
                return _work(context, source, job, taken)
            except TransitionError:  # another command took it first, or it was given up meanwhile
                job = context.ledger.job(job.id) or job
            finally:
                if context.clips is not None:
                    context.clips.leave()
    return done_before(source, job)


def done_before(source: SourceFolder, job: Job) -> Done:
    """Return what became of a photo when it was done, or that it is being done."""
    reason = "it is being cloaked already" if job.state in IN_WORK else f"as before: {job.reason or job.state}"
    status = _STATUS.get(job.state, "waiting")
    return Done(source.name(job.relative), status, reason, _where(source, job), number=job.id, before=True)


@contextmanager
def _own_folder(spool: Path) -> Iterator[Path]:
    """Give a folder in the spool for one photo; it is gone afterwards. Raises FolderBlocked: it cannot be made."""
    try:
        folder = tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True)
    except OSError as error:
        raise FolderBlocked(str(PublishError.of(error, spool, "written"))) from error
    with folder as own:
        yield Path(own)


def _work(context: JobContext, source: SourceFolder, job: Job, taken: Snapshot) -> Done:
    """Claim a queued photo, and protect and release it; the models are not loaded for a published copy."""
    outcome: Result | None = find_published_copy(context.ledger, job) or find_judged_copy(job, taken.path.parent)
    stands = released_before(source.folder.publish, job)
    if outcome is None and stands is None and not is_video_name(job.relative.name):  # which has processes of its own
        context.start()
    job = context.ledger.claim(job)
    if job.state is not State.RUNNING:
        return _done(source, job)
    if stands is not None:
        return _done(source, _noted(context.ledger, job, source, stands))
    try:
        outcome = outcome or _found_out(context, source, job, taken)
        job = _judge(context, job, source, outcome, taken)
        if job.state is State.PUBLISHING:
            job = _release(context.ledger, job, source, outcome, taken)
        if context.clips is not None:
            context.clips.forget()
    except (LedgerError, TransitionError):
        raise
    except ClipGone as error:
        if context.clips is not None:
            context.clips.forget()
        job = context.ledger.give_back(job, State.QUEUED)
        context.ledger.supersede([job], str(error))
        return Done(source.name(job.relative), "skipped", str(error), number=job.id)
    except Exception as error:
        if context.stopping():
            context.ledger.give_back(job, State.QUEUED)
            raise Stopped("the service ends") from error
        failed = _known(error)
        job = _failed(context.ledger, job, failed)
        return _done(source, job, suspect=_is_suspect(failed))
    except BaseException:  # the run is being stopped
        if job.state is State.RUNNING:
            context.ledger.give_back(job, State.QUEUED)
        raise
    return _done(source, job, outcome)


def _noted(ledger: Ledger, job: Job, source: SourceFolder, stands: Path) -> Job:
    """Write down that a photo is published, which an attempt that was cut short had done."""
    for state in (State.VERIFIED, State.PUBLISHING):
        job = ledger.move(job, state, job.reason)
    placed = state_of(source.folder.publish / stands)
    return ledger.move(
        job, State.PUBLISHED, "published by an attempt that was cut short", published=stands, placed=placed
    )


def _found_out(context: JobContext, source: SourceFolder, job: Job, taken: Snapshot) -> Result:
    """Return what is to become of a photo: what became of the same picture before, or what protecting it comes to."""
    name, own = printable(job.relative.name), taken.path.parent
    policy = source.policy if job.strength is None else source.policy.at_strength(job.strength)
    models = made_for(job, made_with(context.engine.roster))  # with the people as they are, or were a moment before
    photo = PhotoJob(Content(taken.path), name, policy, people_for(policy), job.decisions)
    if is_video_name(name):
        return _clip_found_out(context, source, job, taken, photo, models)
    detected = detect(context.engine, photo, context.report)
    if detected.looked.fingerprint is not None:
        job = context.ledger.pictures.note(job, detected.looked.fingerprint, models)
        earlier = find_published_copy(context.ledger, job) or _same_picture(context, job, source, own)
        if earlier is not None:
            return earlier
    following = context.following(own)
    return _all_the_same(job, protect(context.engine, photo, context.report, following, detected))


def _same_picture(context: JobContext, job: Job, source: SourceFolder, spool: Path) -> EarlierResult | None:
    return None if context.anew else find_same_picture(context.ledger, job, source.policy.metadata, spool)


def _clip_found_out(
    context: JobContext, source: SourceFolder, job: Job, taken: Snapshot, clip: PhotoJob, models: str
) -> Result:
    """Return what is to become of a clip; the same one is known by its bytes. Raises ClipGone: it changed meanwhile."""
    assert context.clips is not None  # `take`
    roster, ledger = context.engine.roster, context.ledger
    job = ledger.pictures.note(job, f"video {taken.sha256}", models)
    earlier = _same_picture(context, job, source, taken.path.parent)
    if earlier is not None:
        return earlier

    def check() -> None:
        if source.watched and not _stands_as(source.folder.watch / job.relative, taken):
            raise ClipGone("the video was removed or changed while it was being cloaked")

    outcome = context.clips.protect(clip, taken.sha256, roster, context.report, check)
    check()
    return _all_the_same(job, outcome)


def _stands_as(path: Path, taken: Snapshot) -> bool:
    """Return whether a file is what it was when it was copied."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns, found.st_ino) == (taken.size, taken.mtime_ns, taken.inode)


def _all_the_same(job: Job, outcome: Outcome) -> Outcome:
    """Return the outcome, to be published where it would be held and a person asked for it all the same."""
    if job.anyway and outcome.decision == "hold":
        return replace(outcome, decision="publish", reason=f"{outcome.reason}; a person published it all the same")
    return outcome


def _kept(ledger: Ledger, job: Job, source: SourceFolder, outcome: Result, taken: Snapshot) -> Kept | None:
    """Keep the judged copy of a photo that is held, so that a person looks at it and releases it as it is."""
    if outcome.candidate is None or outcome.candidate.file is None or not outcome.sha256:
        return None
    wanted, output = _wanted(source, job), source.policy.output
    try:
        name = keep(outcome.candidate.file, job.id, wanted.suffix)
        prune_kept(ledger, job)
    except FolderError:  # the photo is held all the same, and cloaked again when it is published
        return None
    if name is None:
        return None
    mtime = taken.mtime_ns if output.times == "same" else None
    return Kept(name, outcome.sha256, outcome.fingerprint, os.fsencode(wanted), output.mode, mtime)


def _judge(context: JobContext, job: Job, source: SourceFolder, outcome: Result, taken: Snapshot) -> Job:
    """Write down what the policy decided on the verdict, or on the one that holds for this photo too."""
    ledger, earlier, proof = context.ledger, None, None
    if isinstance(outcome, EarlierResult):
        earlier = outcome.earlier
    else:
        proof = proof_of(outcome.verdict, outcome.strengths, source.policy, context.engine.roster)
    if outcome.decision != "publish":
        state = State.HELD if outcome.decision == "hold" else State.SKIPPED
        kept = _kept(ledger, job, source, outcome, taken) if state is State.HELD else None
        return ledger.move(job, state, outcome.reason, same_as=earlier, proof=proof, kept=kept)
    job = ledger.move(
        job,
        State.VERIFIED,
        outcome.reason,
        released_sha256=outcome.sha256,
        released_fingerprint=outcome.fingerprint,
        same_as=earlier,
        proof=proof,
    )
    return ledger.move(job, State.PUBLISHING, outcome.reason, published=_wanted(source, job))


def _release(ledger: Ledger, job: Job, source: SourceFolder, outcome: Result, taken: Snapshot) -> Job:
    """Publish the verified bytes, and write down where they are. Raises PublishError."""
    assert outcome.candidate is not None
    assert outcome.candidate.file is not None  # what is handed over as a file comes back as one
    output = source.policy.output
    job, _ = release(
        ledger,
        job,
        outcome.candidate.file,
        source.folder.publish,
        _wanted(source, job),
        outcome.sha256,
        output.mode,
        taken.mtime_ns if output.times == "same" else None,
        outcome.reason,
    )
    if job.kept is not None:
        with suppress(FolderError):  # it goes with the old ones
            discard(job.id)
    return job


def _known(error: Exception) -> UncnnError | OSError:
    """Return a failure as what is said of it; one that nobody foresaw is logged."""
    if isinstance(error, UncnnError | OSError):
        return error
    _LOG.error("a photo met a fault of uncnn's", exc_info=error)
    return InternalError(f"internal error, {type(error).__name__}: {printable(str(error))}")


def _failed(ledger: Ledger, job: Job, error: UncnnError | OSError) -> Job:
    """Write down a failure: of the machine, of the photo for good, or one that may pass.

    Raises FolderBlocked.
    """
    kind = getattr(error, "kind", "")
    is_photo = isinstance(error, RequestError) and error.fault == "photo"
    wrong = isinstance(error, UncnnError) and error.fault in WAITING
    if (kind in ENVIRONMENT and not is_photo) or wrong:
        ledger.give_back(job, State.BLOCKED, str(error))
        raise FolderBlocked(str(error)) from error
    if (is_photo and kind not in PASSING) or kind in HOPELESS:
        return ledger.move(job, State.QUARANTINED, str(error))
    return ledger.retry(job, str(error))


def _is_suspect(error: UncnnError | OSError) -> bool:
    """Return whether neither the photo nor the machine failed, but a plugin, a model or a process."""
    is_photo = isinstance(error, RequestError) and error.fault == "photo"
    return isinstance(error, RequestError | ProcessDied | InternalError) and not is_photo


def _done(source: SourceFolder, job: Job, outcome: Result | None = None, suspect: bool = False) -> Done:
    again = job.state is State.RETRY and source.watched
    message = f"{job.reason}; it is tried again" if again else job.reason
    own = outcome if isinstance(outcome, Outcome) else None
    doubts = Doubts.of(job.faces, job.uncertain, job.provisional) if job.state is State.PUBLISHED else NO_DOUBTS
    where = _where(source, job)
    name = source.name(job.relative)
    return Done(name, _STATUS[job.state], message, where, own, suspect=suspect, doubts=doubts, number=job.id)


def _where(source: SourceFolder, job: Job) -> Path | None:
    is_out = job.state is State.PUBLISHED and job.published is not None
    return source.folder.publish / job.published if is_out and job.published else None


def _wanted(source: SourceFolder, job: Job) -> Path:
    policy = source.policy
    if is_video_name(job.relative.name):  # a format is one of photos
        output = policy.output.model_copy(update={"format": "same"})
        policy = policy.model_copy(update={"output": output})
    return policy.released_name(job.relative, longest_name(source.folder.publish))

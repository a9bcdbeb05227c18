"""The path of a clip: follow its faces, change them segment by segment, judge the copy, escalate, decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, attack_of, decide, escalation_levels
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.text import clock
from uncnn.daemon.verify.verdict import Verdict
from uncnn.daemon.video.engine import VideoEngine
from uncnn.daemon.video.messages import (
    ClipVerdict,
    Follow,
    Followed,
    Join,
    JudgeClip,
    JudgeTrial,
    Raised,
    Render,
    TellApart,
    TrackVerdict,
    Try,
)
from uncnn.daemon.video.needed import what_keeps_videos
from uncnn.daemon.video.tried import TriedStrengths
from uncnn.plugins.api import UncnnError


class VideoPolicyError(UncnnError):
    """Clips are not done here."""

    fault = "policy"


@dataclass(slots=True)
class Escalation:
    """Which strengths the change of each face goes through in each window, by track and window."""

    levels: tuple[str, ...]
    paths: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)  # where it is not the first level alone

    def carry_on(self, track: int, window: int) -> None:
        """Begin a face's window with the strength that the window before came to: it goes on from that change."""
        before = self.paths.get((track, window - 1))
        if before is not None:
            self.paths[track, window] = before[-1:]

    def escalate(self, places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Put these one level higher; return those that could be.

        One that began with the strongest, since the window before needed it, is given as much once more: it had fewer
        steps than one that began with the first.
        """
        able = []
        for place in places:
            path = self.paths.get(place, self.levels[:1])
            higher = self.levels[self.levels.index(path[-1]) + 1 :][:1]
            again = path[-1:] if len(path) == 1 and path[0] != self.levels[0] else ()
            if higher or again:
                self.paths[place] = (*path, *(higher or again))
                able.append(place)
        return able

    def strength(self, track: int) -> str:
        """Return the highest strength of a face."""
        own = [self.levels.index(path[-1]) for (other, _), path in self.paths.items() if other == track]
        return self.levels[max(own, default=0)]

    def messages(self) -> tuple[Raised, ...]:
        """Return it as the worker is told."""
        return tuple(Raised(track, window, path) for (track, window), path in sorted(self.paths.items()))


def protect_clip(
    engine: VideoEngine, job: PhotoJob, report: Report, pause: Callable[[], None] = lambda: None
) -> Outcome:
    """Return what becomes of a clip; the verdict is on exactly the bytes of the outcome's candidate.

    `pause` is called between two steps; what it raises ends the clip, and the steps that are done are kept.

    Raises:
        RequestError: it cannot be taken, or a plugin failed. ProcessDied. VideoPolicyError: what videos
        need is not installed.
    """
    began, policy = time.monotonic(), job.policy
    if keeps := what_keeps_videos():
        raise VideoPolicyError(f"{job.name}: {keeps}")
    followed = engine.follow(Follow(job.photo, job.name, policy.faces.smallest_px), report)
    escalation, attack = Escalation(escalation_levels(policy)), attack_of(policy, job.people)
    first = escalation.levels[0]
    spared = _spared(engine, job, followed, report)
    if len(escalation.levels) > 1:
        _try_out(engine, job, followed, spared, escalation, report, pause)
    while True:
        raised = escalation.messages()
        for segment in range(followed.segments):
            report(Stage("cloaking", segment, followed.segments))
            pause()
            engine.render(Render(job.photo, job.name, segment, first, raised, attack, spared), report)
        candidate = engine.join(Join(job.photo, job.name, first, raised, attack, spared), report)
        report(Stage("checking"))
        far, margin = policy.protect.far, policy.protect.margin
        asked = JudgeClip(job.photo, candidate, job.name, far, margin, policy.faces.smallest_px, spared)
        verdict = engine.judge(asked, report)
        if not escalation.escalate(_weak(verdict.tracks)):
            break
    judged = _verdict(verdict, policy)
    decision, reason = decide(policy, judged)
    if verdict.uncovered and policy.unprotected == "hold":
        first_one = verdict.uncovered[0]
        left, top = first_one.place
        decision, reason = (
            "hold",
            f"a face at {left},{top} is not followed, first at {clock(first_one.seconds)}; {reason}",
        )
    reason += _when(verdict.tracks)
    strengths = tuple("" if number in spared else escalation.strength(number) for number in range(len(verdict.tracks)))
    seconds = time.monotonic() - began
    return Outcome(
        decision, reason, candidate, judged, strengths, followed.info.container, followed.info.notes, seconds
    )


def _spared(engine: VideoEngine, job: PhotoJob, followed: Followed, report: Report) -> tuple[int, ...]:
    """Return the tracks that the policy leaves alone. Raises as `protect_clip`."""
    who = job.policy.faces.who
    if who == "all" or not followed.faces:
        return ()
    asked = TellApart(job.photo, job.name, who, job.people, job.policy.protect.far)
    return tuple(number for number, alone in enumerate(engine.tell_apart(asked, report).spared) if alone)


def _try_out(
    engine: VideoEngine,
    job: PhotoJob,
    followed: Followed,
    spared: tuple[int, ...],
    escalation: Escalation,
    report: Report,
    pause: Callable[[], None],
) -> None:
    """Escalate by the frames that will be judged, encoded alone: to encode and judge all takes most of a round.

    One lot of windows after another: a face is tried at every strength where it is seen first, and goes on from there.
    What is published is judged as a whole all the same. Raises as `protect_clip`; OSError.
    """
    policy, attack, first = job.policy, attack_of(job.policy, job.people), escalation.levels[0]
    clip = job.photo.file
    assert clip is not None  # `take` hands a file over
    tried = TriedStrengths.beside(clip, followed, spared, attack, escalation.levels)
    done, escalation.paths = tried.read()
    spans = {track: span for track, span in enumerate(followed.spans) if track not in spared}
    for number, lot in enumerate(followed.lots):
        if number < done:
            continue
        for window in lot:
            for track, (begun, ended) in spans.items():
                if begun < window <= ended:
                    escalation.carry_on(track, window)
        windows = tuple(each for each in lot if any(begun <= each <= ended for begun, ended in spans.values()))
        while windows:
            report(Stage("cloaking", number, len(followed.lots)))
            pause()
            raised = escalation.messages()
            engine.try_out(Try(job.photo, job.name, windows, first, raised, attack, spared), report)
            far, margin = policy.protect.far, policy.protect.margin
            asked = JudgeTrial(job.photo, job.name, windows, far, margin, policy.faces.smallest_px, spared)
            places = escalation.escalate(_weak(engine.judge_trial(asked, report).tracks))
            windows = tuple(sorted({window for _, window in places}))
        tried.write(number + 1, escalation.paths)


def _weak(tracks: Sequence[TrackVerdict]) -> list[tuple[int, int]]:
    """Return the tracks and windows in which a face is linked: all of a track's where the mean of its frames is."""
    return [
        (number, window)
        for number, track in enumerate(tracks)
        if track.face.required and not track.face.protected
        for window in (track.windows if track.mean_linked else track.linked_windows)
    ]


def _verdict(verdict: ClipVerdict, policy: Policy) -> Verdict:
    """Return it in the form of a photo's: a track is a face."""
    faces = tuple(track.face for track in verdict.tracks)
    return Verdict(verdict.sha256, policy.protect.far, verdict.views, faces, None, policy.protect.margin)


def _when(tracks: Sequence[TrackVerdict]) -> str:
    """Return in words when a face is linked, "" where none is."""
    seconds = sorted(each for track in tracks if track.face.required for each in track.linked_seconds)
    if not seconds:
        return ""
    several = f" and {len(seconds) - 1} more times until {clock(seconds[-1])}" if len(seconds) > 1 else ""
    return f"; linked at {clock(seconds[0])}{several}"

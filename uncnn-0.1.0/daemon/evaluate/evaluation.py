"""The evaluation: photos of people, cloaked at several strengths, against three adversaries and every judge.

from uncnn.daemon.commands import settings_for
from uncnn.daemon.evaluate.evaluation import evaluate
from uncnn.daemon.evaluate.plan import make_plan

settings = settings_for(None, None, None, None, None, ["research"], None)
evaluation = evaluate(settings, make_plan(Path("people"), photos=4))
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from uncnn.daemon.commands import Settings, work
from uncnn.daemon.config import Attack
from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Codes, Curve, Judge
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.daemon.evaluate.machine import Machine, peak_bytes
from uncnn.daemon.evaluate.plan import UNCLOAKED, Plan
from uncnn.daemon.evaluate.probe import linear_probe
from uncnn.daemon.evaluate.shots import take_shots
from uncnn.daemon.evaluate.values import Progress, Sample, Session, Shot
from uncnn.daemon.processes import Message
from uncnn.daemon.verify.visibility import Visibility
from uncnn.plugins.cards import Embeddings


@dataclass(frozen=True, slots=True)
class Finding:
    """What one judge makes of one strength in one view: the share of photos that still speak for their person."""

    judge: str
    strength: str
    view: str
    match: Rate  # cloaked probe, clean gallery: linked to another photo of the person
    own_photo: Rate  # the stricter question: linked to its own original
    rank1: Rate  # cloaked probe found first in the clean gallery, among all others and the distractors
    gallery_match: Rate  # clean probe, cloaked gallery: the same pairs, counted by clean photo
    gallery_rank1: Rate  # clean probe found first in the cloaked gallery
    linear_probe: Rate  # clean photos named by a classifier that was trained on cloaked ones
    curve: Curve  # cloaked probe, clean gallery


@dataclass(frozen=True, slots=True)
class Look:
    """What one strength looks like, over all photos, and what it takes."""

    strength: str
    mean: Visibility | None  # None: no face is large enough for the metrics
    worst_tenth: float | None  # of SSIMULACRA2: a tenth of the faces is below
    seconds: float  # a face, without finding it
    found_again: float  # share of the faces that the detector finds on the released bytes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was found."""

    plan: Plan
    attack: Attack
    surrogates: tuple[str, ...]
    judges: tuple[Judge, ...]
    people: int
    distractors: int
    shots: tuple[Shot, ...]
    findings: tuple[Finding, ...]  # by strength, view and judge, UNCLOAKED first
    looks: tuple[Look, ...]  # by strength, UNCLOAKED first
    samples: tuple[Sample, ...]
    machine: Machine
    left_out: tuple[str, ...]  # photos and people, and why

    def of(self, strength: str, view: str) -> list[Finding]:
        """Return what every judge makes of a strength in a view."""
        return [found for found in self.findings if (found.strength, found.view) == (strength, view)]

    def worst(self, measure: str, strength: str, view: str) -> Rate:
        """Return the highest of the judges' rates of `measure`, a field of `Finding`."""
        rates: list[Rate] = [getattr(found, measure) for found in self.of(strength, view)]
        return max(rates, key=lambda found: found.value)


class _Silent:
    """Hears of the progress and says nothing."""

    def begin(self, name: str) -> None:
        """Say nothing."""

    def report(self, progress: Message) -> None:
        """Say nothing."""


def evaluate(settings: Settings, plan: Plan, progress: Progress | None = None) -> Evaluation:
    """Return what cloaks by `settings` are worth on the photos of `plan`; each strength is tried, none is escalated.

    Raises:
        EvaluationError: too few photos show a face. CardError: a judge was not calibrated at the plan's rate.
        RequestError: a model is missing or broken, or the attack failed. ProcessDied: a process was killed.
    """
    heard = progress or _Silent()
    started = time.monotonic()
    with work(settings.models, settings.device) as (crew, spool):
        judges = tuple(
            Judge(model.card.name, model.card.metric, model.card.threshold(plan.far)) for model in crew.roster.judges
        )
        device = crew.start()
        session = take_shots(crew, plan, settings.policy, spool, heard)
        memory = (peak_bytes(crew.worker.pid), peak_bytes(crew.verifier.pid))
        surrogates = tuple(model.card.name for model in crew.roster.surrogates)
    heard.report({"stage": "playing the adversaries"})
    findings = tuple(findings_of(session, plan, judges))
    return Evaluation(
        plan,
        settings.policy.attack,
        surrogates,
        judges,
        len({shot.person for shot in session.shots}),
        max((len(own) for own in session.distractors.values()), default=0),
        session.shots,
        findings,
        tuple(_look(session, strength) for strength in (UNCLOAKED, *plan.strengths)),
        session.samples,
        Machine(device, os.cpu_count() or 1, time.monotonic() - started, *memory),
        session.left_out,
    )


def findings_of(session: Session, plan: Plan, judges: Iterable[Judge]) -> Iterable[Finding]:
    """Yield what each judge makes of each strength in each view."""
    _, people = np.unique([shot.person for shot in session.shots], return_inverse=True)
    judges = list(judges)
    clean = {judge.name: np.stack([shot.clean[judge.name] for shot in session.shots]) for judge in judges}
    for strength in (UNCLOAKED, *plan.strengths):
        for view in plan.views:
            for judge in judges:
                cloaked = np.stack([shot.takes[strength].told[judge.name][view] for shot in session.shots])
                others = session.distractors.get(judge.name)
                yield _finding(judge, (strength, view), clean[judge.name], cloaked, people, others)


def _finding(
    judge: Judge,
    what: tuple[str, str],
    clean: Embeddings,
    cloaked: Embeddings,
    people: Codes,
    distractors: Embeddings | None,
) -> Finding:
    return Finding(
        judge.name,
        *what,
        match=rate(adversaries.verification(judge, cloaked, clean, people), people),
        own_photo=rate(adversaries.own_photo(judge, cloaked, clean), people),
        rank1=rate(adversaries.identification(judge, cloaked, clean, people, distractors), people),
        gallery_match=rate(adversaries.verification(judge, clean, cloaked, people), people),
        gallery_rank1=rate(adversaries.identification(judge, clean, cloaked, people, distractors), people),
        linear_probe=rate(linear_probe(cloaked, clean, people), people),
        curve=adversaries.curve(judge, cloaked, clean, people, distractors),
    )


def _look(session: Session, strength: str) -> Look:
    takes = [shot.takes[strength] for shot in session.shots]
    seen = [take.visibility for take in takes if take.visibility is not None]
    worst = float(np.percentile([one.ssimulacra2 for one in seen], 10)) if seen else None
    seconds = statistics.fmean(take.seconds for take in takes)
    return Look(strength, _mean(seen), worst, seconds, statistics.fmean(take.found_again for take in takes))


def _mean(seen: list[Visibility]) -> Visibility | None:
    """Return the mean of each metric over the faces that it says something of."""
    if not seen:
        return None
    means: Mapping[str, float | None] = {
        name: statistics.fmean(known)
        if (known := [v for one in seen if (v := getattr(one, name)) is not None])
        else None
        for name in Visibility.__dataclass_fields__
    }
    return Visibility(**means)  # type: ignore[arg-type] # those that are never None stay so

"""The evaluation: photos of people, cloaked at several strengths, against several adversaries and every judge.

from uncnn.daemon.settings import settings_for
from uncnn.daemon.evaluate.evaluation import evaluate
from uncnn.daemon.evaluate.plan import make_plan

settings = settings_for(None, None, None, None, None, ["research"], None)
evaluation = evaluate(settings, make_plan(Path("people"), photos=4))
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uncnn.daemon.config import Attack
from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.faces import FaceFinding, faces_of
from uncnn.daemon.evaluate.findings import Finding, findings_of
from uncnn.daemon.evaluate.groups import Category, categories_of
from uncnn.daemon.evaluate.intervals import Rate
from uncnn.daemon.evaluate.judge_commands import Exhibits, ask_commands
from uncnn.daemon.evaluate.judge_process import aides
from uncnn.daemon.evaluate.machine import Machine, peak_bytes
from uncnn.daemon.evaluate.plan import Plan
from uncnn.daemon.evaluate.shots import take_shots
from uncnn.daemon.evaluate.sizes import ALL
from uncnn.daemon.evaluate.synthetic import closest
from uncnn.daemon.evaluate.values import Progress, Sample, Session, Shot
from uncnn.daemon.evaluate.visibility import LIKENESS, StrengthSummary, summaries_of
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.settings import Settings, own_processes
from uncnn.daemon.text import printable
from uncnn.exporters.registry.choice import Installed


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
    findings: tuple[Finding, ...]  # by strength, view, judge and size, UNCLOAKED first
    summaries: tuple[StrengthSummary, ...]  # by strength and size, UNCLOAKED first
    faces: tuple[FaceFinding, ...]  # by strength, without UNCLOAKED
    samples: tuple[Sample, ...]
    machine: Machine
    left_out: tuple[str, ...]  # photos and people, and why
    notes: tuple[str, ...] = ()  # on the judges outside
    categories: tuple[Category, ...] = ()  # groups of people, by strength, UNCLOAKED first

    @property
    def summaries_over_all(self) -> tuple[StrengthSummary, ...]:
        """Return the summary of each strength over all photos, UNCLOAKED first."""
        return tuple(summary for summary in self.summaries if summary.size == ALL)

    @property
    def over_all(self) -> tuple[Finding, ...]:
        """Return the findings over faces of all sizes."""
        return tuple(found for found in self.findings if found.size == ALL)

    def of(self, strength: str, view: str, size: str = ALL) -> list[Finding]:
        """Return every judge's findings on a strength in a view, over the faces of a size."""
        return [found for found in self.findings if (found.strength, found.view, found.size) == (strength, view, size)]

    def worst(self, measure: str, strength: str, view: str, size: str = ALL) -> Rate:
        """Return the highest of the judges' rates of `measure`, a field of `Finding`."""
        rates: list[Rate] = [getattr(found, measure) for found in self.of(strength, view, size)]
        return max(rates, key=lambda found: found.value)


class _Silent:
    """Hears of the progress and says nothing."""

    def begin(self, name: str) -> None:
        """Say nothing."""

    def report(self, stage: Stage) -> None:
        """Say nothing."""


def evaluate(settings: Settings, plan: Plan, progress: Progress | None = None) -> Evaluation:
    """Return what cloaks by `settings` are worth on the photos of `plan`; each strength is tried, none is escalated.

    As installed it is: then `settings` are those of `installed_settings`, and models that do not ship are not used.

    Raises:
        EvaluationError: too few photos show a face, or a judge outside cannot be asked. CardError: a judge was not
        calibrated at the plan's rate. RequestError: a model is missing or broken, or the attack failed. ProcessDied: a
        process was killed.
    """
    heard = progress or _Silent()
    started = time.monotonic()
    with (
        own_processes(settings.models, settings.device, plan.as_installed) as (engine, spool),
        aides(engine, plan.judge_models) as others,
    ):
        judges = (*_judges(engine.roster.judges, plan, False), *_judges(others.models, plan, True))
        device = engine.start()
        exhibits = Exhibits(spool / "exhibits", bool(plan.commands))
        session = take_shots(engine, others, plan, settings.policy, spool, exhibits, heard)
        children = (engine.worker, engine.verifier)
        memory = [None if child is None else peak_bytes(child.pid) for child in children]
        surrogates = tuple(model.card.name for model in engine.roster.surrogates)
        heard.report(Stage("asking the judges outside"))
        session, programs = ask_commands(session, plan, exhibits)
    heard.report(Stage("playing the adversaries"))
    judges = (*judges, *programs)
    return Evaluation(
        plan,
        settings.policy.attack,
        surrogates,
        judges,
        len({shot.person for shot in session.shots}),
        max((len(own) for own in session.distractors.values()), default=0),
        session.shots,
        tuple(findings_of(session, plan, judges)),
        tuple(summaries_of(session, plan)),
        tuple(faces_of(session, plan, judges)),
        session.samples,
        Machine(device, os.cpu_count() or 1, time.monotonic() - started, *memory),
        session.left_out,
        (*others.notes, *session.notes, *synthetic_notes(session, plan, judges)),
        tuple(categories_of(session, plan, judges)),
    )


def synthetic_notes(session: Session, plan: Plan, judges: Sequence[Judge]) -> Iterator[str]:
    """Yield in words how like real strangers the synthetic ones are, a judge each."""
    for judge in judges if plan.synthetic and session.distractors else ():
        real = session.distractors[judge.name]
        one, other = closest(judge, np.stack([shot.clean[judge.name] for shot in session.shots]), real)
        sign = 1 if judge.metric == "cosine" else -1
        yield (
            f"{plan.synthetic:,} synthetic distractors for {printable(judge.name)}: to these people's photos the "
            f"closest of {len(real) // 2} is at {sign * other:.3f} in the mean, of as many real ones at "
            f"{sign * one:.3f}"
        )


def _judges(models: Sequence[Installed], plan: Plan, outside: bool) -> Iterator[Judge]:
    """Yield those of the models that judge. Raises CardError: one was not calibrated at the plan's rate."""
    for model in models:
        if model.card.name != LIKENESS:
            yield Judge(model.card.name, model.card.metric, model.card.threshold(plan.far), outside)

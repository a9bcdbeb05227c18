"""The judges' embeddings of a face: asked of the verifier, which finds the face anew."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from uncnn.daemon.evaluate.judge_commands import Exhibits
from uncnn.daemon.evaluate.judge_process import Aides
from uncnn.daemon.evaluate.plan import Plan
from uncnn.daemon.evaluate.values import LeftOut, Progress
from uncnn.daemon.files.publish import PublishError, Snapshot, snapshot
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Embed, Embedded
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.text import printable
from uncnn.plugins.api import Face, Rotated, UncnnError
from uncnn.plugins.recognisers.cards import Embeddings


def ask_judges(
    engine: ProcessEngine,
    aides: Aides,
    photo: Content,
    name: str,
    views: Sequence[str],
    near: Face | None,
    rotated: Rotated = False,
) -> Embedded:
    """Return the verifier's answer about one face of a photo, at any angle if `rotated`, with that of judges outside.

    Raises RequestError, ProcessDied.
    """
    judges = tuple(judge.card.name for judge in engine.roster.judges)
    asked = Embed(photo, name, judges, tuple(views), near, rotated)
    embedded = engine.judge(asked)
    return replace(embedded, embeddings={**embedded.embeddings, **aides.embed(asked)})


def embeddings_of(answer: Embedded) -> dict[str, dict[str, Embeddings]]:
    """Return the embeddings of an answer by judge and view. Raises UncnnError: one is zero or not finite."""
    by_judge: dict[str, dict[str, Embeddings]] = {}
    for judge, views in answer.embeddings.items():
        for view, values in views.items():
            embedding = np.array(values, dtype=np.float32)
            if not np.isfinite(embedding).all() or not embedding.any():
                raise UncnnError(
                    f"{judge}: its embedding of a face ({view}) is zero or not finite: run "
                    "`uncnn-daemon models check`, or leave it out of `models` in config.yaml"
                )
            by_judge.setdefault(judge, {})[view] = embedding
    return by_judge


def embed_distractors(
    engine: ProcessEngine,
    aides: Aides,
    plan: Plan,
    spool: Path,
    exhibits: Exhibits,
    progress: Progress,
    left_out: list[str],
) -> dict[str, Embeddings]:
    """Return each judge's embeddings of all distractors, (M, D); those without a face are left out."""
    rows: dict[str, list[Embeddings]] = {}
    for photo, person in zip(plan.distractors, plan.strangers, strict=True):
        progress.begin(printable(photo.name))
        with tempfile.TemporaryDirectory(dir=spool) as own:
            try:
                taken = take_copy(photo, Path(own), {})
                with leaving_out():
                    answer = ask_judges(engine, aides, Content(taken.path), printable(photo.name), ["as-is"], None)
                if answer.face is None:
                    raise LeftOut("no face found")
                exhibits.add_distractor(taken.path, person)
            except LeftOut as reason:
                left_out.append(f"distractor {printable(photo.name)}: {reason}")
                continue
        for judge, views in embeddings_of(answer).items():
            rows.setdefault(judge, []).append(views["as-is"])
    return {judge: np.stack(own) for judge, own in rows.items()}


def take_copy(photo: Path, spool: Path, seen: dict[str, str]) -> Snapshot:
    """Return a private copy of a photo. Raises LeftOut: it cannot be read, or its very bytes came before."""
    real = photo.resolve()
    try:
        taken = snapshot(real.parent, Path(real.name), spool)
    except PublishError as error:
        raise LeftOut(str(error)) from error
    if taken.sha256 in seen:
        raise LeftOut(f"a copy of {seen[taken.sha256]}")
    seen[taken.sha256] = printable(photo.name)
    return taken


@contextmanager
def leaving_out() -> Iterator[None]:
    """Make of what a process finds wrong with a photo itself that it is left out; all else goes on upwards."""
    try:
        yield
    except RequestError as error:
        if error.fault != "photo":
            raise
        raise LeftOut(str(error)) from error

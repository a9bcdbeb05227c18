"""Judges outside that are programs: run on folders of photos, they write the embedding of the face on each.

`COMMAND OUT.json DIR...` writes {path: {judge: [numbers], ...}}, one row a photo; a row may also have `age`, in years.
The mean over other people is taken from every embedding, and cosines are compared; from where on two photos are linked
is the quantile over the pairs of distractors.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import numpy as np

from uncnn.daemon.evaluate.adversaries import Judge, Metric, threshold_of
from uncnn.daemon.evaluate.plan import UNCLOAKED, EvaluationError, JudgeCommand, Plan, people_for
from uncnn.daemon.evaluate.values import Session
from uncnn.daemon.text import printable
from uncnn.plugins.recognisers.cards import Embeddings

VIEW: Final = "as-is"
"""What these judges are shown: the file as it was published."""

_AGE: Final = "age"
_METRIC: Final = "metric"
_METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

Rows: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By a photo's place, `kind/number`, what was written of it."""


@dataclass(slots=True)
class Exhibits:
    """The photos that are laid out for the commands: a folder each of originals, distractors, and each strength."""

    folder: Path
    wanted: bool
    numbers: dict[str, int] = field(default_factory=dict)  # of each photo, by its name
    whose: list[str] = field(default_factory=list)  # who is on each distractor
    laid: set[str] = field(default_factory=set)  # where photos of the people lie

    def add_shot(self, source: Path, name: str, released: Mapping[str, Path]) -> None:
        """Lay out the files of one photo; an original that the web cannot show is shown as no cloak leaves it."""
        if self.wanted:
            number = self.numbers.setdefault(name, len(self.numbers))
            files = {"clean": source if _suffix(source) else released[UNCLOAKED], **released}
            for kind, file in files.items():
                if _suffix(file):
                    self._add(kind, number, file)
                    self.laid.add(self.place(kind, name))

    def add_distractor(self, source: Path, person: str) -> None:
        """Lay out the file of a distractor, unless it is one that the web cannot show."""
        if self.wanted and _suffix(source):
            self._add("distractors", len(self.whose), source)
            self.whose.append(person)

    def place(self, kind: str, name: str) -> str:
        """Return where a photo of the people lies."""
        return f"{kind}/{self.numbers[name]:05d}"

    def _add(self, kind: str, number: int, file: Path) -> None:
        (self.folder / kind).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, self.folder / kind / f"{number:05d}{_suffix(file)}")


def _suffix(file: Path) -> str:
    """Return the suffix of a file that the web can show, by its first bytes; "" of all others."""
    with file.open("rb") as stream:
        head = stream.read(12)
    if head.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if head.startswith(b"\x89PNG"):
        return ".png"
    return ".webp" if head[8:12] == b"WEBP" else ""


def ask_commands(session: Session, plan: Plan, exhibits: Exhibits) -> tuple[Session, tuple[Judge, ...]]:
    """Return the session with every command's embeddings of its photos, and the judges that they are.

    Raises EvaluationError: a command fails, writes something else, or sees too few distractors.
    """
    judges: list[Judge] = []
    for command in plan.commands:
        rows = run(command, exhibits.folder)
        found = sorted({name for row in rows.values() for name, value in row.items() if isinstance(value, list)})
        if not found:
            raise EvaluationError(f"{command}: it found no face on any photo: try it on a folder of photos by itself")
        for key in found:
            name = f"{command.name}:{key}" if command.name else key
            session, judge = _joined(session, plan, name, metric_of(command, rows), _one_judge(rows, key), exhibits)
            judges.append(judge)
        session = _aged(session, exhibits, rows)
    return session, tuple(judges)


def run(command: JudgeCommand, folder: Path) -> Rows:
    """Return what a command writes of the photos in the folders of `folder`. Raises EvaluationError."""
    output = folder / "out.json"
    output.unlink(missing_ok=True)
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    asked = [*command.command, str(output), *map(str, folders)]
    try:
        done = subprocess.run(
            asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise EvaluationError(f"{command}: cannot be started ({error.strerror}): name a program that runs") from error
    if done.returncode:
        said = " ".join(printable(done.stderr or done.stdout).split())[-300:]
        raise EvaluationError(f"{command}: ended with exit status {done.returncode}: {said}")
    try:
        rows = json.loads(output.read_text())
        return {_place(path, folder): _checked(row) for path, row in rows.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise EvaluationError(
            f"{command}: what it wrote cannot be used ({error}): it is run as COMMAND OUT.json DIR..., and OUT.json is "
            "{path: {judge: [numbers], ...}, ...}"
        ) from error


def _place(path: str, folder: Path) -> str:
    """Return where a photo stands, without its suffix. Raises ValueError: it is none of those that were asked about."""
    return str(Path(path).resolve().relative_to(folder.resolve()).with_suffix(""))


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its embeddings and the age alone. Raises ValueError: an embedding is none."""
    kept: dict[str, Any] = {}
    for key, value in row.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, list) and value:
            if not np.isfinite(np.array(value, dtype=np.float64)).all() or np.ndim(value) != 1:
                raise ValueError(f"{key} is no list of finite numbers")
            kept[key] = value
        elif key == _AGE and number and math.isfinite(value):
            kept[key] = float(value)
        elif key == _METRIC:
            if value not in _METRICS:
                raise ValueError(f"{_METRIC} is none of {', '.join(_METRICS)}")
            kept[key] = value
    return kept


def metric_of(command: JudgeCommand, rows: Rows) -> Metric:
    """Return how a command's embeddings are compared. Raises EvaluationError: its rows differ in that."""
    said = {
        row.get(_METRIC, "cosine") for row in rows.values() if any(isinstance(value, list) for value in row.values())
    }
    if len(said) > 1:
        raise EvaluationError(f"{command}: its rows are of several metrics: write the same {_METRIC} in each")
    metric: Metric = said.pop()
    return metric


def _one_judge(rows: Rows, key: str) -> dict[str, Embeddings]:
    """Return one judge's embeddings by place. Raises EvaluationError: they are of several lengths."""
    found = {
        place: np.array(row[key], dtype=np.float32) for place, row in rows.items() if isinstance(row.get(key), list)
    }
    if len({len(each) for each in found.values()}) != 1:
        raise EvaluationError(f"--judge-command: embeddings of {printable(key)} are of several lengths")
    return found


def _joined(
    session: Session,
    plan: Plan,
    name: str,
    metric: Metric,
    embeddings: Mapping[str, Embeddings],
    exhibits: Exhibits,
) -> tuple[Session, Judge]:
    """Return the session with one judge more, and the judge."""
    if name in session.shots[0].clean:
        raise EvaluationError(f"--judge-command: there are two judges {printable(name)}: write NAME=COMMAND")
    places = {f"distractors/{number:05d}": person for number, person in enumerate(exhibits.whose)}
    people = [person for place, person in places.items() if place in embeddings]
    width = len(next(iter(embeddings.values())))
    strangers = np.array([embeddings[place] for place in places if place in embeddings], np.float32).reshape(-1, width)
    judge = Judge(name, metric, linked_from(name, metric, strangers, people, plan.far), outside=True)
    mean = strangers.mean(axis=0)

    def seen(kind: str, photo: str) -> Embeddings:
        found = embeddings.get(place := exhibits.place(kind, photo))
        unseen = 0.0 if kind != "clean" and place in exhibits.laid else np.nan
        return (np.full(width, unseen) if found is None else found - mean).astype(np.float32)

    shots = [
        replace(
            shot,
            clean={**shot.clean, name: seen("clean", shot.name)},
            takes={
                strength: replace(take, embeddings={**take.embeddings, name: {VIEW: seen(strength, shot.name)}})
                for strength, take in shot.takes.items()
            },
        )
        for shot in session.shots
    ]
    others = (strangers - mean).astype(np.float32)
    distractors = {**session.distractors, name: others}
    notes = (*session.notes, *_faceless(session, plan, name, embeddings, exhibits))
    return replace(session, shots=tuple(shots), distractors=distractors, notes=notes), judge


def _faceless(
    session: Session, plan: Plan, name: str, embeddings: Mapping[str, Embeddings], exhibits: Exhibits
) -> Iterator[str]:
    """Yield in words on how many photos a judge finds no face: cloaked ones then count as not linked."""
    for kind, words in (("clean", "originals"), *((each, f"photos, {each}") for each in plan.strengths)):
        shown = exhibits.laid & {exhibits.place(kind, shot.name) for shot in session.shots}
        missed = len(shown - embeddings.keys())
        if missed:
            yield f"{printable(name)} finds no face on {missed} of {len(shown)} {words}"


def linked_from(name: str, metric: Metric, distractors: Embeddings, people: Sequence[str], far: float) -> float:
    """Return from which cosine on, or up to which distance, the share `far` of the pairs of distractors is linked.

    Raises EvaluationError: there are too few pairs to tell.
    """
    needed = people_for(far)
    if len(set(people)) < needed:
        raise EvaluationError(
            f"judge {printable(name)}: it finds a face on distractors of {len(set(people))} people, and {needed} are "
            f"needed to tell from where on it links two photos at FAR {far:g}: give more with --distractors"
        )
    _, codes = np.unique(people, return_inverse=True)
    return threshold_of(metric, distractors - distractors.mean(axis=0), codes, far)


def _aged(session: Session, exhibits: Exhibits, rows: Rows) -> Session:
    """Return the session with the ages that a command estimates."""

    def age(kind: str, photo: str) -> float | None:
        found: float | None = rows.get(exhibits.place(kind, photo), {}).get(_AGE)
        return found

    if not any(_AGE in row for row in rows.values()):
        return session
    shots = [
        replace(
            shot,
            age=age("clean", shot.name),
            takes={strength: replace(take, age=age(strength, shot.name)) for strength, take in shot.takes.items()},
        )
        for shot in session.shots
    ]
    return replace(session, shots=tuple(shots))

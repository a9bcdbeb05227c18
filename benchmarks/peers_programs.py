"""What programs that judge from outside see in the files that `peers.py` kept: libraries that sites use, as installed.

They find and align the faces themselves, and no bound, step or surrogate of any method here was chosen by them. Each is
run as by `evaluate --judge-command`, once a method; what it wrote is kept, and nothing is asked twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from peers_faces import Person
from peers_kept import Kept, check
from peers_table import FARS, Clean
from PIL import Image

from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.judge_commands import Rows, linked_from, metric_of, run
from uncnn.daemon.evaluate.plan import EvaluationError, JudgeCommand
from uncnn.plugins.recognisers.cards import Embeddings

PHOTOS: Final = "photos"
MARK: Final = "sha256"

Lay = Callable[[Path], object]
"""Puts a photo where it is told, with a suffix of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A program, and what it saw in the clean photos."""

    command: JudgeCommand
    key: str  # of its embeddings in a row
    mean: Embeddings  # over the strangers, (D,)
    clean: Clean
    kept: Path

    def seen(self, people: Sequence[Person], copies: Path, kept: Mapping[str, Kept]) -> dict[str, Kept]:
        """Return what is kept of a method with this program's embeddings; `copies` has the files.

        A copy on which the program finds no face is all zeros: it is linked to nothing.
        """
        own = [person for person in people if person.name in kept]
        files = {
            f"{person.name}-{number}": copies / f"{person.name}-{number}.jpg"
            for person in own
            for number in range(len(person.judged))
        }
        rows = ask(
            self.command, {name: _copied(file) for name, file in files.items()}, self.kept / f"{copies.name}.json"
        )
        seen: dict[str, Kept] = {}
        for person in own:
            names = [f"{person.name}-{number}" for number in range(len(person.judged))]
            embeddings = _embeddings(rows, names, self.key, self.mean, 0.0)
            seen[person.name] = replace(kept[person.name], embeddings={self.key: embeddings})
        return seen


def program_of(
    command: JudgeCommand, people: Sequence[Person], distractors: Path, strangers: int, keep: Path
) -> Program:
    """Return a program that was shown the clean photos of the people and one photo of each of so many strangers.

    Raises EvaluationError: it has no name, fails, is several judges, or finds too few faces to tell from where on it
    links two photos. KeptError: what is kept under its name is another command's.
    """
    if not command.name:
        raise EvaluationError(f"{command}: write NAME=COMMAND: what it says is kept under its name")
    folder = keep / "programs" / command.name
    folder.mkdir(parents=True, exist_ok=True)
    check(folder / "made.txt", f"{command.command}\n")
    photos = {
        f"{person.name}-{number}": portrait.photo
        for person in people
        for number, portrait in enumerate((*person.judged, *person.others))
    }
    known = ask(command, {name: _drawn(photo) for name, photo in photos.items()}, folder / "clean.json")
    folders = sorted(distractors.iterdir())[:strangers]
    others = ask(command, {own.name: _copied(min(own.iterdir())) for own in folders}, folder / "strangers.json")
    keys = {key for row in others.values() for key, value in row.items() if isinstance(value, list)}
    if len(keys) != 1:
        raise EvaluationError(f"{command}: it has to be one judge, and is {len(keys)} on the strangers")
    key = keys.pop()
    found = [name for name, row in others.items() if key in row]
    unknown = np.array([others[name][key] for name in found], np.float32)
    metric, mean = metric_of(command, others), unknown.mean(axis=0)
    usual, strict = (Judge(key, metric, linked_from(key, metric, unknown, found, far)) for far in FARS)
    embeddings = {key: _embeddings(known, list(photos), key, mean, np.nan)}
    names, judged = [person.name for person in people], len(people[0].judged)
    clean = Clean([(usual, strict)], names, judged, embeddings, {key: unknown - mean})
    return Program(command, key, mean, clean, folder)


def ask(command: JudgeCommand, photos: Mapping[str, Lay], kept: Path) -> Rows:
    """Return what a program writes of each photo, by name; of the same files in `kept` what it wrote then."""
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / PHOTOS
        folder.mkdir()
        for name, lay in photos.items():
            lay(folder / name)
        files = {file.stem: file for file in folder.iterdir()}
        marks = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
        missing = [name for name in photos if rows.get(name, {}).get(MARK) != marks[name]]
        for name in photos.keys() - set(missing):
            files[name].unlink()
        found = run(command, Path(scratch)) if missing else {}
    if missing:
        rows |= {name: {**found.get(f"{PHOTOS}/{name}", {}), MARK: marks[name]} for name in missing}
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(rows))
        part.replace(kept)
        print(f"  {command.name or command}: {kept.stem}, {len(missing)} photos", flush=True)
    return {name: rows[name] for name in photos}


def _embeddings(rows: Rows, names: Sequence[str], key: str, mean: Embeddings, unseen: float) -> Embeddings:
    nothing = np.full_like(mean, unseen)
    return np.array([np.float32(rows[name][key]) - mean if key in rows[name] else nothing for name in names])


def _copied(file: Path) -> Lay:
    return lambda place: shutil.copyfile(file, place.with_name(place.name + file.suffix))


def _drawn(photo: Any) -> Lay:
    return lambda place: Image.fromarray(photo).save(place.with_name(f"{place.name}.png"))

"""How well the programs that judge from outside know people, and how their embeddings are best compared.

    python benchmarks/judges.py --keep DIR dlib="python docs/examples/dlib_judge.py"
    python benchmarks/judges.py --keep DIR human="node human-judge.js" face-api="node faceapi-judge.js"
    python benchmarks/judges.py --smoke            dlib, on 80 photos

Each is run as by `evaluate --judge-command`, on the distractors of LFW and on the first two photos of each of the 211
people; nothing is cloaked. Said is the share of people whose two photos are linked where one pair in a thousand of
distractors is, by cosines once the mean over the distractors is taken, by cosines as they are, and by Euclidean
distances. A photo without a face is linked to none. DIR keeps what they wrote, and no program is run again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from common import is_missing, options_of

from uncnn.daemon.evaluate.adversaries import Metric, closeness
from uncnn.daemon.evaluate.judge_commands import run
from uncnn.daemon.evaluate.plan import JudgeCommand
from uncnn.plugins.recognisers.cards import Embeddings

DLIB: Final = Path(__file__).resolve().parents[1] / "docs" / "examples" / "dlib_judge.py"
FAR: Final = 1e-3
WAYS: Final[Mapping[str, tuple[Metric, bool]]] = {
    "cosines, mean taken": ("cosine", True),
    "cosines": ("cosine", False),
    "distances": ("euclidean", False),
}


def main() -> None:
    """Print a line for each judge."""
    parser = options_of(__doc__)
    parser.add_argument("commands", nargs="*", help="NAME=COMMAND")
    parser.add_argument("--keep", type=Path, help="the folder to keep photos and embeddings in")
    options = parser.parse_args()
    if is_missing(options.data / "lfw"):
        return
    commands = [JudgeCommand.of(each) for each in options.commands]
    if options.smoke:
        commands = [JudgeCommand((sys.executable, str(DLIB)), "dlib")]
    with tempfile.TemporaryDirectory() as scratch:
        keep = Path(scratch) if options.keep is None else options.keep
        _lay(options.data / "lfw", keep / "photos", *((60, 10) if options.smoke else (None, None)))
        print(f"| judge | photos | without a face | {' | '.join(WAYS)} |\n|{'---|' * (3 + len(WAYS))}", flush=True)
        for command in commands:
            rows = _rows(command, keep)
            for judge in sorted(
                {key for row in rows.values() for key, value in row.items() if isinstance(value, list)}
            ):
                found = {place: np.array(row[judge], np.float32) for place, row in rows.items() if judge in row}
                print(
                    f"| {judge} | {len(rows)} | {len(rows) - len(found)} | {' | '.join(_shares(found, rows))} |",
                    flush=True,
                )


def _lay(lfw: Path, photos: Path, strangers: int | None, people: int | None) -> None:
    """Copy the photos to `distractors/NAME.jpg`, and to `pairs/PERSON-0.jpg` and `-1.jpg`, by number."""
    if photos.exists():
        return
    pairs = [sorted(folder.iterdir())[:2] for folder in sorted((lfw / "identities").iterdir())[:people]]
    others = sorted((lfw / "distractors").rglob("*.jpg"))[:strangers]
    named = {
        f"pairs/{person:05d}-{number}": file for person, own in enumerate(pairs) for number, file in enumerate(own)
    }
    named |= {f"distractors/{number:05d}": file for number, file in enumerate(others)}
    for place, file in named.items():
        copy = photos / f"{place}{file.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _rows(command: JudgeCommand, keep: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return what a program writes of the photos, by place; kept."""
    kept = keep / f"{command.name}.json"
    if not kept.exists():
        kept.write_text(json.dumps(run(command, keep / "photos")))
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text())
    return rows


def _shares(found: Mapping[str, Embeddings], rows: Iterable[str]) -> list[str]:
    """Return the share of people who are linked, in each way, by what was found on the photos of `rows`."""
    others = np.stack([value for place, value in found.items() if place.startswith("distractors/")])
    people = {place.rpartition("-")[0] for place in rows if place.startswith("pairs/")}
    both = [tuple(found.get(f"{person}-{number}") for number in (0, 1)) for person in sorted(people)]
    pairs = np.array([(one, other) for one, other in both if one is not None and other is not None])
    shares = []
    for metric, centred in WAYS.values():
        mean = others.mean(axis=0) if centred else np.float32(0)
        shares.append(linked(metric, pairs - mean, others - mean) * len(pairs) / len(people))
    return [f"{share:.1%}" for share in shares]


def linked(metric: Metric, pairs: npt.NDArray[np.float32], others: Embeddings) -> float:
    """Return the share of `pairs`, (N, 2, D), that is closer than all but FAR of the pairs of `others`, (M, D)."""
    strangers = closeness(metric, others, others)[np.triu_indices(len(others), 1)]
    alike = np.diagonal(closeness(metric, pairs[:, 0], pairs[:, 1]))
    return float((alike >= np.quantile(strangers, 1 - FAR)).mean())


if __name__ == "__main__":
    main()

"""Other papers' cloaks, what people do by hand, and ours at every strength: same photos, surrogates and judges.

    python benchmarks/peers.py --keep DIR                      every method, 50 people; goes on where it stopped
    python benchmarks/peers.py --keep DIR --method TIP-IM --people 4    one row; can be given several times
    python benchmarks/peers.py --keep DIR --no-more --draw docs/peers.svg --json FILE
                                                               table, picture and all intervals of what is there
    python benchmarks/peers.py --keep DIR --no-more --judge-command "human=node human-judge.js"
                                                               a program is asked about what is there, too
    python benchmarks/peers.py --keep DIR --no-more --people 150 --groups FILE --method "no cloak" --method ...
                                                               rates of groups of people, as of `evaluate --groups`
    python benchmarks/peers.py --keep DIR --no-more --synthetic 100000     ranks among synthetic strangers, too
    python benchmarks/peers.py --smoke                         two people, two steps

The three recognisers that ship are attacked, the six others of `onepass.py` are asked, from where on 1 of 1,000 (and of
10,000) pairs of strangers is linked, who are none of the people. Two photos a person are cloaked and written as JPEG
92, 4:4:4; four more stay clean. Every adversary is one of `daemon/evaluate`; a figure is the mean over the judges with
its 95 % interval over people. The face is where it was in the original: no judge loses one for a detector's sake. A
method that has been run on fewer people has its row over those. People: every fourth of LFW's identities from the
second on, and for more than 50 those from the third and fourth on: none of whom is one of `onepass.py`, on whom our
steps were tuned. DIR shows people's faces: keep it as you keep the photos.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from common import CPU, REFERENCE, is_missing, options_of, set_torch_up, surrogates
from onepass import OUTSIDE, portraits_of
from peers_faces import Person
from peers_groups import GROUPED, groups_of
from peers_kept import Kept, check, cloaked, embedded, folder_of, write
from peers_methods import METHODS, Method
from peers_programs import program_of
from peers_table import (
    EQUAL,
    FARS,
    HEAD,
    RANKS,
    STRANGERS,
    Clean,
    Row,
    draw,
    equally_visible,
    ranks_among,
    row_of,
    strangers_linked,
)

from uncnn.daemon.evaluate.adversaries import Judge, threshold_of
from uncnn.daemon.evaluate.groups import read_groups
from uncnn.daemon.evaluate.plan import JudgeCommand
from uncnn.plugins.recognisers.cards import Card, Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

JUDGED: Final = 2  # photos of a person that are cloaked
OTHERS: Final = 4  # that stay clean
SPREAD: Final = 4
FIRST: Final = 1


def _options() -> argparse.Namespace:
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the cloaked photos and what judges see in them")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--distractors", type=int, default=1000)
    parser.add_argument("--method", action="append", choices=[method.name for method in METHODS])
    parser.add_argument("--at-once", type=int, default=4, help="people whose photos are one batch")
    parser.add_argument("--judge-command", action="append", default=[], help="NAME=COMMAND, as of `evaluate`")
    parser.add_argument("--groups", type=Path, help="a CSV file of groups of people, as of `evaluate`")
    parser.add_argument("--synthetic", type=int, default=0, help="ranks among so many synthetic strangers, too")
    parser.add_argument("--no-more", action="store_true", help="nobody is cloaked: the table of what is kept")
    parser.add_argument("--draw", type=Path, help="where the picture goes, SVG")
    parser.add_argument("--json", type=Path, help="where all figures go")
    return parser.parse_args()


def main() -> None:
    """Print a row a method."""
    options = _options()
    lfw = options.data / "lfw"
    if is_missing(lfw, REFERENCE):
        return
    set_torch_up()
    commands = [JudgeCommand.of(each) for each in options.judge_command]
    methods = [method for method in METHODS if options.method is None or method.name in options.method]
    number, strangers, asked = options.people, options.distractors, OUTSIDE
    if options.smoke:
        methods, number, strangers, asked = [short(method) for method in methods], 2, 4, OUTSIDE[:1]
    judges = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in asked]
    judged, others = (1, 1) if options.smoke else (JUDGED, OTHERS)
    people = list(people_of(lfw / "identities", number, judged, others))
    groups = read_groups(options.groups, [person.name for person in people]) if options.groups else None
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        clean = clean_of(people, lfw / "distractors", strangers, judges, keep)
        print(f"{len(people)} people, {clean.strangers} distractors; two faces are linked from", flush=True)
        print(
            *(
                f"  {usual.name}: {usual.threshold:.3f}, at 1e-4 {strict.threshold:.3f}"
                for usual, strict in clean.judges
            ),
            sep="\n",
        )
        attacked = surrogates()
        kept: dict[str, dict[str, Kept]] = {method.name: {} for method in methods}
        for first in range(0, len(people), options.at_once):  # all methods on some people, then on the next
            for method in methods:
                some = people[first : first + options.at_once]
                kept[method.name] |= cloaked(method, some, keep, attacked, judges, not options.no_more)
        made = [method for method in methods if kept[method.name]]
        rows = {"the six": [row_of(method, kept[method.name], clean) for method in made]}
        outside = [program_of(command, people, lfw / "distractors", strangers, keep) for command in commands]
        rows |= {
            program.command.name: [
                row_of(method, program.seen(people, folder_of(method, keep), kept[method.name]), program.clean)
                for method in made
            ]
            for program in outside
        }
    _tell(rows)
    if groups is not None:
        told = [line for method in made for line in groups_of(method, kept[method.name], clean, groups)]
        print("\ngroups of people:", GROUPED, *told, sep="\n")
    if options.synthetic:
        print(f"\namong {options.synthetic:,} synthetic strangers, too:", RANKS, sep="\n", flush=True)
        for method in made:
            print(ranks_among(method, kept[method.name], clean, options.synthetic), flush=True)
    picture = draw(rows["the six"])
    if options.draw is not None:
        options.draw.write_text(picture)
    if options.json is not None:
        figures = {name: [row.figures for row in own] for name, own in rows.items()}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def _tell(rows: Mapping[str, Sequence[Row]]) -> None:
    """Print the tables of each who was asked."""
    for name, own in rows.items():
        print(f"\nasked of {name}:", HEAD, *(row.line for row in own), sep="\n")
        for display in ("desktop", "phone"):
            print(f"\nat equal visibility on a {display}:", EQUAL, *equally_visible(own, display), sep="\n")
        print("\ncopies of two people, at the threshold of clean photos:", STRANGERS, *strangers_linked(own), sep="\n")


def short(method: Method) -> Method:
    """Return a method with as few steps as show that it runs."""
    work = replace(method.work, steps=2) if hasattr(method.work, "steps") else method.work  # type: ignore[type-var]
    return replace(method, work=work)


def people_of(folder: Path, number: int, judged: int, others: int) -> Iterator[Person]:
    """Yield so many people with that many photos that show a face; who has fewer is passed over."""
    found, everybody = 0, sorted(folder.iterdir())
    for own in chain.from_iterable(everybody[first::SPREAD] for first in range(FIRST, SPREAD)):
        portraits = list(portraits_of([own], judged + others)) if found < number else []
        if portraits and len(portraits) == judged + others:
            found += 1
            yield Person(own.name, tuple(portraits[:judged]), tuple(portraits[judged:]))


def clean_of(
    people: Sequence[Person], folder: Path, number: int, judges: Sequence[OnnxRecogniser], keep: Path
) -> Clean:
    """Return what judges see in the clean photos of the people and of strangers; kept."""
    own = keep / "clean"
    own.mkdir(parents=True, exist_ok=True)
    judged, others = len(people[0].judged), len(people[0].others)
    check(own / "made.txt", f"{judged} {others}\n{[each.card.sha256 for each in judges]}\n")
    for person in people:
        if not (own / f"{person.name}.npz").exists():
            portraits = (*person.judged, *person.others)
            photos = [each.photo for each in portraits]
            write(own / f"{person.name}.npz", **{each.card.name: embedded(each, photos, portraits) for each in judges})
    read = [_arrays(own / f"{person.name}.npz") for person in people]
    cards, names = [each.card for each in judges], [person.name for person in people]
    known = {card.name: np.concatenate([one[card.name] for one in read]) for card in cards}
    unknown = _strangers(folder, number, judges, keep)
    return Clean([at_fars(card, unknown[card.name]) for card in cards], names, judged, known, unknown)


def at_fars(card: Card, strangers: Embeddings) -> tuple[Judge, Judge]:
    """Return a judge at both rates, with thresholds that strangers alone set: its card's are of the judged people, too.

    `strangers`, (M, D), are of one photo each of M people.
    """
    people = np.arange(len(strangers))
    usual, strict = (Judge(card.name, card.metric, threshold_of(card.metric, strangers, people, far)) for far in FARS)
    return usual, strict


def _strangers(folder: Path, number: int, judges: Sequence[OnnxRecogniser], keep: Path) -> dict[str, Embeddings]:
    """Return the judges' embeddings of one photo each of so many strangers, (M, D)."""
    file = keep / f"strangers-{number}.npz"
    if not file.exists():
        folders = sorted(folder.iterdir())[:number]
        portraits = list(portraits_of(folders, 1))
        photos = [each.photo for each in portraits]
        write(file, **{each.card.name: embedded(each, photos, portraits) for each in judges})
    return _arrays(file)


def _arrays(file: Path) -> dict[str, Embeddings]:
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays}


if __name__ == "__main__":
    main()

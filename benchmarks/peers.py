"""Other papers' cloaks, what people do by hand, and ours at every strength: same photos, surrogates and judges.

    python benchmarks/peers.py --keep DIR                      every method, 50 people; goes on where it stopped
    python benchmarks/peers.py --keep DIR --method TIP-IM --people 4    one row; can be given several times
    python benchmarks/peers.py --keep DIR --no-more --draw docs/peers.svg --json FILE
                                                               table, picture and all intervals of what is there
    python benchmarks/peers.py --smoke                         two people, two steps

The three recognisers that ship are attacked, the six others of `onepass.py` are asked, at FAR 1e-3 and 1e-4. Two photos
a person are cloaked and written as JPEG 92, 4:4:4; four more stay clean. Every adversary is one of `daemon/evaluate`; a
figure is the mean over the judges with its 95 % interval over people. The face is where it was in the original: no
judge loses one for a detector's sake. A method that has been run on fewer people has its row over those. People: every
fourth of LFW's identities from the second on, none of whom is one of `onepass.py`, on whom our steps were tuned. DIR
shows people's faces: keep it as you keep the photos.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from common import CPU, REFERENCE, is_missing, options_of, set_torch_up, surrogates
from onepass import OUTSIDE, portraits_of
from peers_faces import Person
from peers_kept import Kept, check, cloaked, embedded, write
from peers_methods import METHODS, Method
from peers_table import EQUAL, HEAD, STRANGERS, Clean, draw, equally_visible, row_of, strangers_linked

from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

JUDGED: Final = 2  # photos of a person that are cloaked
OTHERS: Final = 4  # that stay clean
SPREAD: Final = 4
FIRST: Final = 1


def main() -> None:
    """Print a row a method."""
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the cloaked photos and what judges see in them")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--distractors", type=int, default=1000)
    parser.add_argument("--method", action="append", choices=[method.name for method in METHODS])
    parser.add_argument("--at-once", type=int, default=4, help="people whose photos are one batch")
    parser.add_argument("--no-more", action="store_true", help="nobody is cloaked: the table of what is kept")
    parser.add_argument("--draw", type=Path, help="where the picture goes, SVG")
    parser.add_argument("--json", type=Path, help="where all figures go")
    options = parser.parse_args()
    lfw = options.data / "lfw"
    if is_missing(lfw, REFERENCE):
        return
    set_torch_up()
    methods = [method for method in METHODS if options.method is None or method.name in options.method]
    number, strangers, asked = options.people, options.distractors, OUTSIDE
    if options.smoke:
        methods, number, strangers, asked = [short(method) for method in methods], 2, 4, OUTSIDE[:1]
    judges = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in asked]
    judged, others = (1, 1) if options.smoke else (JUDGED, OTHERS)
    people = list(people_of(lfw / "identities", number, judged, others))
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        clean = clean_of(people, lfw / "distractors", strangers, judges, keep)
        print(f"{len(people)} people, {clean.strangers} distractors; asked: {', '.join(asked)}", flush=True)
        attacked = surrogates()
        kept: dict[str, dict[str, Kept]] = {method.name: {} for method in methods}
        for first in range(0, len(people), options.at_once):  # all methods on some people, then on the next
            for method in methods:
                some = people[first : first + options.at_once]
                kept[method.name] |= cloaked(method, some, keep, attacked, judges, not options.no_more)
        rows = [row_of(method, kept[method.name], clean) for method in methods if kept[method.name]]
    print(HEAD, *(row.line for row in rows), sep="\n", flush=True)
    print("\nat equal visibility on a desktop:", EQUAL, *equally_visible(rows), sep="\n", flush=True)
    print("\ncopies of two people, at the threshold of clean photos:", STRANGERS, *strangers_linked(rows), sep="\n")
    picture = draw(rows)
    if options.draw is not None:
        options.draw.write_text(picture)
    if options.json is not None:
        options.json.write_text(json.dumps([row.figures for row in rows], indent=1))


def short(method: Method) -> Method:
    """Return a method with as few steps as show that it runs."""
    work = replace(method.work, steps=2) if hasattr(method.work, "steps") else method.work  # type: ignore[type-var]
    return replace(method, work=work)


def people_of(folder: Path, number: int, judged: int, others: int) -> Iterator[Person]:
    """Yield so many people with that many photos that show a face; who has fewer is passed over."""
    found = 0
    for own in sorted(folder.iterdir())[FIRST::SPREAD]:
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
    return Clean(cards, names, judged, known, _strangers(folder, number, judges, keep))


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

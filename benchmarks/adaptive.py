"""Adversaries who adapt: who encode, denoise and align anew, and who learn from pairs that they made with the tool.

    python benchmarks/adaptive.py --keep DIR                   everything; goes on where it stopped
    python benchmarks/adaptive.py --keep DIR --only ladders    one part: ladders, student, named, purifier, detector
    python benchmarks/adaptive.py --keep DIR --only student --strength strong    copies of another strength
    python benchmarks/adaptive.py --smoke                      two people, one step of everything

Whose photos are judged: every fourth of LFW's identities from the second on, as in `peers.py`; two photos each are
cloaked with `veil` at `balanced` against the three recognisers that ship, without escalation, and published as JPEG 92,
4:4:4. Four more stay clean, and 1,000 strangers have one photo each. Six recognisers are asked that none attacked. Who
learns, learns from faces of other people (`faces-144`), cloaked in the same way. DIR shows people's faces: keep it as
you keep the photos.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from adaptive_pairs import STRENGTH, pairs_of
from adaptive_parts import Ground, climb, distil, find_cloaks, name_people, purify
from adaptive_photos import judged_of, known_to
from common import CPU, REFERENCE, is_missing, options_of, set_torch_up, surrogates
from onepass import OUTSIDE
from peers_kept import check

from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.registry import STRENGTHS

STEPS: Final = 32  # those of the everyday policy


def main() -> None:
    """Print the tables of the parts that are asked for."""
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the photos and what judges see in them")
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--strength", choices=list(STRENGTHS), default=STRENGTH, help="of the copies, not of the pairs")
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=660)
    parser.add_argument("--distractors", type=int, default=1000)
    options = parser.parse_args()
    if is_missing(options.data / "lfw", options.data / "faces-144", REFERENCE):
        return
    set_torch_up()
    with tempfile.TemporaryDirectory() as scratch:
        ground = _ground(options, options.keep or Path(scratch))
        for name in options.only or PARTS:
            print(f"\n## {name}", flush=True)
            PARTS[name](ground)


def _ground(options: Namespace, keep: Path) -> Ground:
    """Return the photos, cloaked, and what the judges see in the clean ones."""
    people, strangers, number, steps, asked = options.people, options.distractors, options.pairs, STEPS, OUTSIDE
    if options.smoke:
        people, strangers, number, steps, asked = 2, 6, 6, 1, OUTSIDE[:1]
    attacked = surrogates()
    judges = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in asked]
    keep.mkdir(parents=True, exist_ok=True)
    check(keep / "made.txt", f"{steps} {people} {strangers}\n{[each.card.sha256 for each in (*attacked, *judges)]}\n")
    judged = judged_of(options.data / "lfw", keep, people, strangers, attacked, steps, options.strength)
    known = known_to(judges, judged, keep / "clean.npz")
    print(
        f"{len(judged.copies)} copies of {people} people, {strangers} strangers; asked: {', '.join(asked)}", flush=True
    )
    pairs = partial(pairs_of, options.data, keep / "learn", number, attacked, steps)
    seen = keep / ("seen" if options.strength == STRENGTH else f"seen-{options.strength}")
    return Ground(judges, judged, known, pairs, keep, seen, options.smoke)


PARTS: Final[Mapping[str, Callable[[Ground], None]]] = {
    "ladders": climb,
    "student": distil,
    "named": name_people,
    "purifier": purify,
    "detector": find_cloaks,
}


if __name__ == "__main__":
    main()

"""How far the confidence that `explain` states can be trusted: calibration, false names, strangers, seconds.

    python benchmarks/explain.py --keep DIR         embeddings and cloaks stay there: started again, it goes on
    python benchmarks/explain.py --keep DIR --fit   first fits the shipped cards anew, on the other half of the people
    python benchmarks/explain.py --smoke            a few photos of everything: only shows that it runs

Nobody who is measured on was fitted on: LFW's people and those of `faces-144` are in halves, the gallery of 1,000
others is measured with alone. *ECE*: the expected calibration error (ten equal bins) of the answer that has the highest
chance, a name or "none of these", and of the first name whatever its chance; half of the faces have their person in the
gallery, the same faces are asked about once more without. In brackets: 95 % interval, people drawn again; in round
ones what perfect chances would show on so few faces. *Unaware*: cloaked faces to who does not expect cloaks. *False
names*: of strangers (`faces-144`) to 1,000 others, as a share of the nominal rate; *any gallery*: mean over all
galleries of 1,000 among the strangers and the others. Pairs nearer than half of the genuine ones are taken for one
person under two names and left out: their number is printed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import common
import explain_fit
import numpy as np
from common import is_missing
from explain_data import RECOGNISERS, Data, HalfOfPeople, cloak_all, embed_all, read
from explain_errors import REPLICATES, Trial, words_of
from explain_fit import is_among, same_closeness
from explain_seconds import print_seconds

from uncnn.daemon.explain.gallery import Gallery, gallery_of
from uncnn.daemon.explain.identification import chances
from uncnn.exporters.calibration.nearest import nearest
from uncnn.exporters.registry import pins
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import rate_text
from uncnn.plugins.recognisers.cohort import Cohort, closeness, template

RATES: Final = (0.01, 0.02, 0.05, 0.1)
SHARES: Final = (1e-1, 1e-2, 1e-3)
TIMED: Final = 40  # photos
PHOTOS: Final = 422  # cloaked: two of each person


def main() -> None:
    """Print what was measured."""
    parser = common.options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for embeddings and cloaks, which show the faces")
    parser.add_argument("--fit", action="store_true", help="write the cards of the recognisers that ship anew")
    options = parser.parse_args()
    if is_missing(options.data):
        return
    if options.smoke:
        with tempfile.TemporaryDirectory() as scratch:
            cloak_all(options.data, Path(scratch), 4)
            embed_all(options.data, Path(scratch), RECOGNISERS[:1], few=60)
            measure(read(options.data, Path(scratch), RECOGNISERS[0]))
        print_seconds(options.data, 2)
        return
    keep = options.keep or Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    cloak_all(options.data, keep, PHOTOS)
    embed_all(options.data, keep)
    if options.fit:
        for name in RECOGNISERS:
            data = read(options.data, keep, name)
            explain_fit.write(data, *explain_fit.fit(data))
        pins.main()
    for name in RECOGNISERS:
        measure(read(options.data, keep, name))
    print_seconds(options.data, TIMED)


def measure(data: Data) -> None:
    """Print everything about one recogniser."""
    print(f"\n{data.card.name}", flush=True)
    alone = gallery_of(data.card, EMBEDDED / data.card.name, [])
    if alone.cohort is None:
        print("  not calibrated")
        return
    _calibration(data, alone)
    _false_names(data, alone.cohort)
    _strangers(data, alone, alone.cohort)


def _calibration(data: Data, strangers: Gallery) -> None:
    """Print how far what is said and what is so lie apart."""
    names = tuple(f"other {number}" for number in range(len(data.gallery)))
    others = replace(
        strangers,
        names=names,
        photos=(1,) * len(names),
        people=data.gallery,
        strangers=strangers.strangers[:0],
    )
    half = data.report
    kinds = (("ordinary", None, False), ("cloaked", half.cloaked, True), ("cloaked, unaware", half.cloaked, False))
    for name, probes, aware in kinds:
        for photos in (1, 4):
            for whom, gallery in (("others", others), ("strangers", strangers)):
                asked = list(_trials(half, gallery, photos, probes, aware=aware))
                top, first, right = words_of(asked)
                words = f"{name}, {photos} photos known, {gallery.size:,} {whom}"
                print(f"  {words}: ECE {top}, of the first name {first}, right {right}", flush=True)


def _trials(
    half: HalfOfPeople, gallery: Gallery, photos: int, probes: dict[str, Floats] | None, *, aware: bool
) -> Iterator[Trial]:
    """Yield each person's faces, with the person in the gallery and without."""
    generator = np.random.default_rng(1)
    euclidean = gallery.card.metric == "euclidean"
    for number, (who, rows) in enumerate(half.people.items()):
        order = generator.permutation(len(rows))
        if probes is not None:
            if who not in probes:
                continue
            order = np.array([place for place in order if not is_among(rows[place], half.plain[who])])
        known, rest = rows[order[:photos]], rows[order[photos:]]
        asked = rest if probes is None else probes[who]
        own = template(known, euclidean=euclidean)[None]
        having = replace(
            gallery,
            names=(who, *gallery.names),
            photos=(len(known), *gallery.photos),
            people=np.concatenate([own, gallery.people]),
        )
        for among, there in ((having, True), (gallery, False)):
            found = chances(among, asked, cloaked=aware)
            assert found is not None
            first = found.names.max(axis=1)
            right = (found.first == 0) & there
            says_nobody = found.nobody >= first
            top = np.maximum(first, found.nobody)
            yield number, top, np.where(says_nobody, not there, right), first, right


def _false_names(data: Data, cohort: Cohort) -> None:
    """Print how many strangers are named, as a share of how many should be."""
    confidence, euclidean = data.card.confidence, data.card.metric == "euclidean"
    if confidence is None or confidence.nearest is None:
        return
    strangers, same = data.report.others, same_closeness(data.report, euclidean=euclidean)
    near = closeness(strangers, data.gallery, euclidean=euclidean)
    twice = int((near > same).sum())
    near[near > same] = -np.inf
    near -= cohort.levels(strangers)[:, None]
    everybody = np.concatenate([strangers, data.gallery])
    levels = cohort.levels(everybody)
    values, weights = nearest(everybody, levels, euclidean=euclidean, same=same)
    generator = np.random.default_rng(0)
    largest = near.max(axis=1)
    redrawn = [largest[generator.integers(len(near), size=len(near))] for _ in range(REPLICATES)]
    for rate in RATES:
        limit = confidence.nearest.threshold(rate, near.shape[1])
        shares = [float((each >= limit).mean()) / rate for each in redrawn]
        low, high = np.quantile(shares, [0.025, 0.975])
        found = float((largest >= limit).mean()) / rate
        every = float(weights[values >= limit].sum()) / rate
        print(
            f"  false names at {rate_text(rate)} among {near.shape[1]:,}: {found:.2f} [{low:.2f}, {high:.2f}] of the "
            f"nominal rate ({len(near):,} strangers), any gallery {every:.2f}; left out as one person: {twice} pairs",
            flush=True,
        )


def _strangers(data: Data, strangers: Gallery, cohort: Cohort) -> None:
    """Print how alike faces are to strangers who do not exist, and to people."""
    asked, euclidean = data.report.others, cohort.euclidean
    drawn, _ = strangers.closeness(asked)
    plain = closeness(asked, strangers.strangers, euclidean=euclidean)
    real = closeness(asked, data.gallery, euclidean=euclidean)
    for share in SHARES:
        values = [float(np.quantile(each, 1 - share)) for each in (drawn, real, plain)]
        rare = float((drawn > values[1]).mean()) / share
        print(
            f"  nearer is one comparison in {1 / share:,.0f}: to strangers {values[0]:.3f}, to people {values[1]:.3f} "
            f"(as often to strangers: {rare:.2f}); before they are put right {values[2]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

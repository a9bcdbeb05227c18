"""How wide a verdict's margin must be, and what it costs: faces that pass and are linked again, photos published.

    python benchmarks/margin.py                       24 LFW photos of each half of the people, `people` and `groups`
    python benchmarks/margin.py --keep DIR            cloaks and distances stay there: rules are tried again at once
    python benchmarks/margin.py --keep DIR --no-more  what DIR holds: *open* are photos that lack the next strength
    python benchmarks/margin.py --strengths balanced strong   what needs `utmost` counts as held
    python benchmarks/margin.py --smoke               two photos at one strength: only shows that it runs

The published three that come with uncnn are attacked, dlib-resnet and openvino-0095 judge; each photo is cloaked at
`balanced`, `strong` and `utmost` where it needs them. Margins are chosen on one half of LFW's people and reported on
the other, and on the photos of `people` and `groups`. *Relinked*: of the faces that a rule lets pass, those that a
recogniser that was asked links, at its plain threshold, once the published photo was cropped by 5 %, compressed to JPEG
60, resized to 0.75, sharpened, put under a median of 3, or made brighter or darker by 10 %: none of these is asked.
*Held-out*: those that any of five recognisers links, as-is or after JPEG 75, which neither the attack nor the verdict
asked. *Of all that pass*: at any strength that was made, not only the first that passes.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import common
import margin_cloaks
import margin_distances
import numpy as np
from common import REFERENCE, is_missing, set_torch_up
from margin_cloaks import ATTACKED, STRENGTHS, Source
from margin_distances import JUDGING, VIEWS, FaceDistances

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import distance, read_card

FEWEST: Final = 0.02  # of the faces that pass may be relinked
LEAST: Final = 0.02  # a margin: so few photos say nothing of less
ENOUGH: Final = 1.17  # a face so far from every threshold needs no stronger cloak, whichever rule is tried
WINDOW: Final = 500_000  # pixels of the largest view in which a face is looked for again

Tried = dict[str, list[FaceDistances] | None]
"""By strength; None: no rule needed it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a verdict asks."""

    name: str
    margins: Mapping[str, float]  # by recogniser; who is not in it is not asked
    views: Sequence[str] = VIEWS
    jitters: bool = True
    far: float = margin_distances.FAR

    def passes(self, distances: FaceDistances) -> bool:
        """Return whether nobody who is asked links the face."""
        return all(self._passes(name, distances) for name in self.margins)

    def _passes(self, name: str, distances: FaceDistances) -> bool:
        unit = _unit(name, self.far)
        known = all(distances.before[name][view][0] * unit <= 1 for view in self.views)
        values = [value for view in self.views for value in self._places(distances.asked[name][view])]
        return known and min(values) * unit > 1 + self.margins[name]

    def _places(self, values: Sequence[float]) -> Sequence[float]:
        return values if self.jitters else [values[0], *values[3:]]


def main() -> None:
    """Print the margins and what each rule comes to."""
    parser = common.options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the cloaks, which show the faces")
    parser.add_argument("--no-more", action="store_true", help="with --keep: try the rules on what is there")
    parser.add_argument("--strengths", nargs="+", choices=STRENGTHS, default=STRENGTHS)
    parser.add_argument("--photos", type=int, default=24, help="of each half of LFW's people (default 24)")
    options = parser.parse_args()
    if is_missing(options.data, REFERENCE):
        return
    set_torch_up()
    with tempfile.TemporaryDirectory() as scratch:
        sources = margin_cloaks.sources(options.data, 1 if options.smoke else options.photos)
        chosen = sources[:2] if options.smoke else sources
        found = tried(
            chosen,
            options.keep or Path(scratch),
            STRENGTHS[:1] if options.smoke else options.strengths,
            not options.no_more,
        )
    tune = {source: one for source, one in found.items() if source.half == "tune"}
    margins = calibrated([each for one in tune.values() for faces in one.values() for each in faces or ()])
    print("margins, from the half that is tuned on: " + ", ".join(f"{name} {own:.2f}" for name, own in margins.items()))
    most = max(map(len, found.values()))
    for title, halves in (("tuned on", ("tune",)), ("LFW, held out", ("report",)), ("others", ("people", "groups"))):
        part = [one for source, one in found.items() if source.half in halves]
        print_rules(title, rules(margins), [one for one in part if any(one.values())], most)


def rules(margins: Mapping[str, float]) -> list[Rule]:
    """Return the rules that are compared, the laxest first."""
    everyone = (*JUDGING, *ATTACKED)
    asked = Rule("no margin", dict.fromkeys(everyone, 0.0))
    ours = replace(asked, name="calibrated", margins=margins)
    return [
        Rule("before: judges, as-is, jpeg-75", dict.fromkeys(JUDGING, 0.0), ("as-is", "jpeg-75"), jitters=False),
        replace(asked, name="no margin, as-is, jpeg-75", views=("as-is", "jpeg-75")),
        replace(asked, name="no margin, without jitters", jitters=False),
        asked,
        ours,
        replace(asked, name="margin 0.1", margins=dict.fromkeys(everyone, 0.1)),
        replace(ours, name="calibrated, FAR 1e-2", far=1e-2),
    ]


def tried(sources: Sequence[Source], cache: Path, strengths: Sequence[str], make: bool) -> dict[Source, Tried]:
    """Return the distances of each photo at each strength that it needs; what is in `cache` is not made again.

    Without `make` a photo lacks the strengths that were not made; one that has none is left out.
    """
    measure = _measuring(cache) if make else lambda source, strength: margin_distances.kept(source, strength, cache)
    found: dict[Source, Tried] = {source: {} for source in sources}
    for strength in strengths:
        for source, one in found.items():
            weaker = next((faces for faces in reversed(one.values()) if faces), None)
            if weaker and min(map(_least, weaker)) > ENOUGH:
                one[strength] = None
                continue
            distances = measure(source, strength)
            if distances is not None:
                one[strength] = distances
    return {source: one for source, one in found.items() if one}


def _measuring(cache: Path) -> Callable[[Source, str], list[FaceDistances] | None]:
    """Return what cloaks a photo at a strength and measures its distances, unless `cache` has them."""
    detector, attacked, recognisers = common.detector(), margin_cloaks.load_attacked(), margin_distances.load()
    narrow = replace(detector, view_pixels=WINDOW)

    def ask(source: Source, strength: str) -> list[FaceDistances] | None:
        margin_cloaks.make_cloak(source, strength, cache, detector, attacked)
        return margin_distances.measure(source, strength, cache, narrow, recognisers)

    return ask


def calibrated(faces: Sequence[FaceDistances]) -> dict[str, float]:
    """Return the margin of each recogniser: how much nearer to a link what is not asked comes than what is.

    So that at most `FEWEST` of the faces come nearer, in hundredths, of those that come near the threshold at all.
    """
    margins = {}
    for name in (*JUDGING, *ATTACKED):
        asked = np.array([_worst(each.asked[name]) for each in faces])
        unasked = np.array([_worst(each.unasked[name]) for each in faces])
        near = asked > 0.9
        nearer = asked[near] / unasked[near] - 1 if near.any() else np.zeros(1)
        margins[name] = max(math.ceil(100 * float(np.quantile(nearer, 1 - FEWEST)) - 1e-6) / 100, LEAST)
    return margins


def print_rules(title: str, compared: Sequence[Rule], photos: Sequence[Tried], most: int) -> None:
    """Print a row a rule for one part of the photos; `most` is how many strengths were made."""
    faces = sum(len(next(iter(photo.values())) or ()) for photo in photos)
    print(f"\n{title}: {len(photos)} photos, {faces} faces")
    print(
        f"{'rule':32} {'published':>9} {'no utmost':>9} {'open':>4} {'balanced':>8} {'strong':>6} {'utmost':>6} "
        f"{'SSIM2':>5} "
        f"{'relinked':>9} {'of all that pass':>16} {'held-out':>9}"
    )
    for rule in compared:
        print(f"{rule.name:32} {_row(rule, photos, most)}", flush=True)


def _row(rule: Rule, photos: Sequence[Tried], most: int) -> str:
    reached = [_reached(rule, photo) for photo in photos]
    released = [one for one in reached if all(strength is not None for strength, _ in one)]
    soft = [one for one in released if all(strength != "utmost" for strength, _ in one)]
    passing = [
        (strength, distances) for one in reached for strength, distances in one if strength is not None and distances
    ]
    every = [
        distances for photo in photos for own in photo.values() for distances in own or () if rule.passes(distances)
    ]
    still = sum(
        any(strength is None for strength, _ in one) and len(photo) < most
        for one, photo in zip(reached, photos, strict=True)
    )
    ssimulacra2 = [distances.ssimulacra2 for _, distances in passing if distances.ssimulacra2 is not None]
    strengths = [strength for strength, _ in passing]
    return (
        f"{_of(len(released), len(photos)):>9} {_of(len(soft), len(photos)):>9} {still:4} "
        f"{strengths.count('balanced'):8} {strengths.count('strong'):6} {strengths.count('utmost'):6} "
        f"{statistics.mean(ssimulacra2) if ssimulacra2 else math.nan:5.1f} "
        f"{_of(sum(_relinked(distances) for _, distances in passing), len(passing)):>9} "
        f"{_of(sum(map(_relinked, every)), len(every)):>16} "
        f"{_of(sum(_known(distances) for _, distances in passing), len(passing)):>9}"
    )


def _reached(rule: Rule, photo: Tried) -> list[tuple[str | None, FaceDistances | None]]:
    """Return for each face the first strength at which it passes, and its distances there."""
    faces = len(next(iter(photo.values())) or ())
    found: list[tuple[str | None, FaceDistances | None]] = []
    for number in range(faces):
        tries = [(strength, distances[number]) for strength, distances in photo.items() if distances]
        found.append(
            next(((strength, distances) for strength, distances in tries if rule.passes(distances)), (None, None))
        )
    return found


def _relinked(distances: FaceDistances) -> bool:
    return any(_worst(values) <= 1 for values in distances.unasked.values())


def _known(distances: FaceDistances) -> bool:
    return any(_worst(values) <= 1 for values in distances.held_out.values())


def _least(distances: FaceDistances) -> float:
    return min(map(_worst, distances.asked.values()))


def _worst(by_view: Mapping[str, Sequence[float]]) -> float:
    return min(value for values in by_view.values() for value in values)


def _unit(name: str, far: float) -> float:
    """Return what turns shares of the distance at FAR 1e-3 into those at another rate."""
    card = read_card(EMBEDDED / name)
    return distance(card.metric, card.threshold(margin_distances.FAR)) / distance(card.metric, card.threshold(far))


def _of(number: int, of: int) -> str:
    return f"{number} of {of}"


if __name__ == "__main__":
    main()

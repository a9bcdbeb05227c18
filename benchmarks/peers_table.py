"""What each adversary gets of a method's copies, as a line of the table, as figures, and in the picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np
from peers_kept import Kept
from peers_methods import Method

from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.daemon.evaluate.mixed import mixed_galleries
from uncnn.daemon.evaluate.plots import COLOURS
from uncnn.daemon.evaluate.probe import linear_probe
from uncnn.daemon.evaluate.synthetic import drawn
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

FARS: Final = (1e-3, 1e-4)
RANK: Final = 50
KINDS: Final = ("ours", "published", "by hand", "none")
HEAD: Final = (
    "| | people | JOD phone, desktop, twice | own | any judge | own, 1e-4 | cross | cross, 1e-4 | rank 1 | rank 50 "
    "| clean probe | cc | mixed | probe | core s | MiB |\n|" + "---|" * 16
)
LABEL: Final = 4.2  # the height of a label, %
WITH_INTERVAL: Final = ("own", "cross", "cc", "probe")
DISPLAYS: Final = ("phone", "desktop", "twice")
RANKS: Final = "| | people | rank 1 | rank 50 |\n|---|---|---|---|"
APART: Final = "two people's copies"  # in a table of its own
STRANGERS: Final = "| | people | cc | two people's copies | by the judge that links most |\n|---|---|---|---|---|"
EQUAL: Final = f"| | JOD | {' | '.join(f'{name} | `veil`' for name in WITH_INTERVAL)} |\n|" + "---|" * 10


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """What the judges see in photos that nobody cloaked."""

    judges: list[tuple[Judge, Judge]]  # each at the two rates of FARS
    names: list[str]  # of the people
    judged: int  # of each person's photos, the first so many are cloaked
    known: dict[str, Embeddings]  # by judge: (people * photos, D), person by person
    unknown: dict[str, Embeddings]  # by judge: (M, D), a stranger each

    @property
    def strangers(self) -> int:
        """Return how many distractors there are."""
        return len(next(iter(self.unknown.values())))


@dataclass(frozen=True, slots=True)
class Row:
    """A method in figures."""

    method: Method
    people: int
    jod: tuple[float, float, float]  # phone, desktop, twice
    rates: Mapping[str, Rate]  # by adversary: the mean of the judges
    judges: Mapping[str, Mapping[str, float | None]]  # by adversary and judge; None: nothing was asked
    seconds: float  # of a core, a face
    mebibytes: float
    strangers: Mapping[str, float | None] = field(default_factory=dict)
    """By judge: the share of pairs of two people's copies that it links, at the threshold of clean photos."""

    @property
    def line(self) -> str:
        """Return the row of the table."""
        cells = [str(rate) if name in WITH_INTERVAL else rate.brief for name, rate in self.rates.items()]
        jod = ", ".join(f"{value:.2f}" for value in self.jod)
        cost = ["-", "-"] if self.seconds < 0.01 else [f"{self.seconds:.1f}", f"{self.mebibytes:.0f}"]
        return "| " + " | ".join([self.method.name, str(self.people), jod, *cells, *cost]) + " |"

    @property
    def figures(self) -> dict[str, Any]:
        """Return it as JSON values."""
        rates = {name: {**asdict(rate), "judges": self.judges[name]} for name, rate in self.rates.items()}
        cost = {"core_seconds_a_face": self.seconds, "peak_mebibytes": self.mebibytes}
        told = {"method": self.method.name, "people": self.people, "jod": self.jod, **cost}
        return {**told, "rates": rates, "strangers": self.strangers}


def row_of(method: Method, kept: Mapping[str, Kept], clean: Clean) -> Row:
    """Return the row of a method over the people who were cloaked with it."""
    names, people, shares = asked_of(kept, clean)
    strangers = {judge: _mean(own) for judge, own in shares.pop(APART).items()}
    means = means_of(shares)
    shown = np.concatenate([kept[name].jod for name in names])
    return Row(
        method,
        len(names),
        tuple(np.nanmean(shown, axis=0).tolist()),
        {name: rate(own, people) for name, own in means.items()},
        {name: {judge: _mean(one) for judge, one in own.items()} for name, own in shares.items()},
        float(np.mean([kept[name].seconds for name in names])),
        float(np.mean([kept[name].peak for name in names])) / 2**20,
        strangers,
    )


def ranks_among(method: Method, kept: Mapping[str, Kept], clean: Clean, number: int) -> str:
    """Return a line of how often a copy is found, first or among the first 50, with synthetic strangers, too."""
    names, people, copies = _copies(kept, clean)
    shares: dict[int, list[Floats]] = {1: [], RANK: []}
    for judge, _ in clean.judges:
        known, strangers = _own(clean, judge, names), clean.unknown[judge.name]
        more = chain([strangers], drawn(judge, strangers, number))
        before = adversaries.ahead(judge, copies[judge.name], known, people, more)
        for rank, own in shares.items():
            own.append(adversaries.within(before, rank))
    cells = " | ".join(str(rate(np.mean(own, axis=0), people)) for own in shares.values())
    return f"| {method.name} | {len(names)} | {cells} |"


def _own(clean: Clean, judge: Judge, names: Sequence[str]) -> Embeddings:
    """Return the clean photos of some of the people, (N, D)."""
    photos = len(clean.known[judge.name]) // len(clean.names)
    return clean.known[judge.name][np.repeat([name in set(names) for name in clean.names], photos)]


def _copies(kept: Mapping[str, Kept], clean: Clean) -> tuple[list[str], adversaries.Codes, dict[str, Embeddings]]:
    """Return who was cloaked, whose each photo is, (N,), and by judge the copies, (N, D), NaN of photos without one."""
    names = [name for name in clean.names if name in kept]
    copies: dict[str, Embeddings] = {}
    for judge, _ in clean.judges:
        known = _own(clean, judge, names)
        own = np.full_like(known, np.nan).reshape(len(names), -1, known.shape[1])
        own[:, : clean.judged] = [kept[name].embeddings[judge.name] for name in names]
        copies[judge.name] = own.reshape(known.shape)
    people = np.repeat(np.arange(len(names)), len(known) // len(names))
    return names, people, copies


def asked_of(
    kept: Mapping[str, Kept], clean: Clean
) -> tuple[list[str], adversaries.Codes, dict[str, dict[str, Floats]]]:
    """Return who was cloaked with a method, whose each photo is, (N,), and what each adversary gets by each judge."""
    names, people, copies = _copies(kept, clean)
    shares: dict[str, dict[str, Floats]] = {}
    for usual, strict in clean.judges:
        known = _own(clean, usual, names)
        found = _shares(usual, strict, known, copies[usual.name], people, clean.unknown[usual.name])
        for adversary, own in found:
            shares.setdefault(adversary, {})[usual.name] = own
    return names, people, shares


def means_of(shares: Mapping[str, Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return by adversary the mean of the judges of each photo, (N,); of *any judge* whether one links it."""
    values = {name: np.stack([*own.values()]) for name, own in shares.items()}
    return {name: (own.max(axis=0) if name == "any judge" else own.mean(axis=0)) for name, own in values.items()}


def strangers_linked(rows: Sequence[Row]) -> list[str]:
    """Return a line a method: what share of pairs of two people's copies is linked, in the mean and at worst."""
    lines = []
    for row in rows:
        shares = [share for share in row.strangers.values() if share is not None]
        if shares:
            mean, worst = np.mean(shares), max(shares)
            lines.append(f"| {row.method.name} | {row.people} | {row.rates['cc'].brief} | {mean:.1%} | {worst:.1%} |")
    return lines


def equally_visible(rows: Sequence[Row], display: str = "desktop") -> list[str]:
    """Return a line a published method: what is left of it, and of `veil` where it shows as much on a display.

    `veil` is read off the straight line between the two strengths on either side. A star: the method shows more than
    the strongest, or less than the weakest, whose figure it then is.
    """
    number = DISPLAYS.index(display)
    ours = sorted((row for row in rows if row.method.kind == "ours"), key=lambda row: row.jod[number])
    if not ours:
        return []
    places, lines = [row.jod[number] for row in ours], []
    for row in sorted((row for row in rows if row.method.kind == "published"), key=lambda row: -row.jod[number]):
        there = row.jod[number]
        star = "" if places[0] <= there <= places[-1] else "*"
        cells = []
        for name in WITH_INTERVAL:
            share = np.interp(there, places, [each.rates[name].value for each in ours])
            cells += [row.rates[name].brief, f"{share:.0%}{star}"]
        lines.append("| " + " | ".join([row.method.name, f"{there:.2f}", *cells]) + " |")
    return lines


def _mean(shares: Floats) -> float | None:
    asked = shares[~np.isnan(shares)]
    return float(asked.mean()) if len(asked) else None


def _shares(
    usual: Judge,
    strict: Judge,
    clean: Embeddings,
    cloaked: Embeddings,
    people: adversaries.Codes,
    strangers: Embeddings,
) -> Iterator[tuple[str, Floats]]:
    """Yield each adversary and what it gets of each photo, (N,); NaN where it was not asked about that."""
    yield "own", adversaries.own_photo(usual, cloaked, clean)
    yield "any judge", adversaries.own_photo(usual, cloaked, clean)
    yield "own, 1e-4", adversaries.own_photo(strict, cloaked, clean)
    yield "cross", adversaries.verification(usual, cloaked, clean, people)
    yield "cross, 1e-4", adversaries.verification(strict, cloaked, clean, people)
    yield "rank 1", adversaries.identification(usual, cloaked, clean, people, strangers)
    yield "rank 50", adversaries.identification(usual, cloaked, clean, people, strangers, RANK)
    yield "clean probe", adversaries.identification(usual, clean, cloaked, people, strangers)
    yield "cc", adversaries.verification(usual, cloaked, cloaked, people)
    yield "mixed", mixed_galleries(usual, cloaked, clean, people, strangers, 0.5)[0]
    yield "probe", linear_probe(cloaked, clean, people)
    yield APART, adversaries.strangers_linked(usual, cloaked, people)


def labels_of(rows: Sequence[Row], span: float) -> list[tuple[float, float]]:
    """Return where the right end of each row's label stands, JOD and %, so that none lies on another.

    `span` is the width of the picture in JOD.
    """
    taken: list[tuple[float, float, float]] = []  # left, right, height
    for row in rows:
        place, height = row.jod[1], 100 * row.rates["own"].value
        end, width = place - 0.012 * span, 0.0085 * span * len(row.method.name)
        way = -1 if height > 50 else 1
        free = (height + way * LABEL * level for level in range(len(rows)))
        up = next(
            up for up in free if not any(a < end and end - width < b and abs(up - c) < LABEL for a, b, c in taken)
        )
        taken.append((end - width, end, up))
    return [(end, up) for _, end, up in taken]


def draw(rows: Sequence[Row]) -> str:
    """Return the picture as SVG: how far each method shows, and how many photos are still linked."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "peers"  # the same picture is the same file
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    axes = figure.subplots()
    for number, kind in enumerate(KINDS):
        own = [row for row in rows if row.method.kind == kind]
        if own:
            rates = [row.rates["own"] for row in own]
            errors = [
                [100 * (each.value - each.low) for each in rates],
                [100 * (each.high - each.value) for each in rates],
            ]
            places, heights = [row.jod[1] for row in own], [100 * each.value for each in rates]
            style = {"fmt": "o", "ms": 6, "elinewidth": 0.7, "alpha": 0.9}
            axes.errorbar(places, heights, yerr=errors, color=COLOURS[number], label=kind, **style)
    axes.set_ylim(-6, 106)
    left, right = axes.get_xlim()
    for row, (across, up) in zip(rows, labels_of(rows, right - left), strict=True):
        place = (row.jod[1], 100 * row.rates["own"].value)
        line = {"arrowstyle": "-", "color": "#999999", "lw": 0.5}
        words = row.method.name.replace("`", "")
        axes.annotate(words, place, (across, up), fontsize=8, ha="right", va="center", arrowprops=line)
    axes.set_xlabel("JOD on a desktop screen (10: identical)")
    axes.set_ylabel("linked to the own original, % (mean of the judges; lines: 95 %)")
    axes.legend(fontsize=8, frameon=False)
    axes.grid(visible=True, color="#e5e5e5", lw=0.7)
    axes.set_axisbelow(True)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

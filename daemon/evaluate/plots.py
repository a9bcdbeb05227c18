"""An evaluation as plots: what protection costs in looks, and the judges before and after."""

from __future__ import annotations

import os
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from uncnn.daemon.evaluate.evaluation import Evaluation
from uncnn.daemon.evaluate.plan import UNCLOAKED
from uncnn.daemon.evaluate.tables import cloak_words
from uncnn.daemon.files.folders import usual_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by the colour-blind too (Okabe and Ito, "Color Universal Design", 2008)."""

_BEFORE: Final = "#555555"
_PANELS: Final = (
    ("own_photo", "linked to the own original"),
    ("match", "linked to another photo"),
    ("cloaked_match", "two copies linked"),
    ("linear_probe", "named by a linear probe"),
)


def drawable() -> bool:
    """Return whether matplotlib is installed. Nothing is imported."""
    return find_spec("matplotlib") is not None


def trade_off(evaluation: Evaluation) -> bytes:
    """Return as PNG what each adversary still gets by how the cloak looks: a line a view, of the worst judge."""
    figure = _figure(figsize=(3.4 * len(_PANELS), 4.4), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (measure, title) in zip(panels, _PANELS, strict=True):
        _trade_off(axes, evaluation, measure)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(_seen(evaluation)[0])
    panels[0].set_ylabel("photos, by the worst judge")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return _png(figure)


def _figure(**named: Any) -> Figure:
    """Return an empty figure; matplotlib keeps its list of fonts in uncnn's cache folder, unless it is told where."""
    cache = usual_folder("cache") / "matplotlib"
    os.environ.setdefault("MPLCONFIGDIR", os.fspath(cache))
    from matplotlib.figure import Figure

    return Figure(**named)


def _seen(evaluation: Evaluation) -> tuple[str, list[tuple[str, float]]]:
    """Return what the strengths are placed by, in words, and the place of each."""
    places = [
        (summary.strength, summary.jod.desktop) for summary in evaluation.summaries_over_all if summary.jod is not None
    ]
    return "JOD on a desktop screen (10: identical)", places


def _trade_off(axes: Axes, evaluation: Evaluation, measure: str) -> None:
    strengths = _seen(evaluation)[1]
    places = [place for _, place in strengths]
    width = max(places, default=0.0) - min(places, default=0.0)
    for number, view in enumerate(evaluation.plan.views):
        rates = [evaluation.worst(measure, strength, view) for strength, _ in strengths]
        values = [rate.value for rate in rates]
        errors = [[rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]]
        shifted = [place + 0.01 * width * number for place in places]  # so that intervals do not hide each other
        colour = COLOURS[number % len(COLOURS)]
        axes.errorbar(shifted, values, yerr=errors, color=colour, marker="o", ms=5, lw=1.6, elinewidth=0.8, capsize=2)
        axes.plot([], [], color=colour, marker="o", label=view)
    for strength, place in strengths:
        axes.annotate(
            cloak_words(strength), (place, 1.04), rotation=40, fontsize=9, color="#333333", annotation_clip=False
        )
    axes.set_ylim(-0.03, 1.22)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])
    axes.margins(x=0.12)
    _plain(axes)


def curves(evaluation: Evaluation) -> bytes:
    """Return as PNG each judge's receiver operating characteristic before and after, on the files as published."""
    view = evaluation.plan.views[0]
    figure = _figure(figsize=(4.8 * len(evaluation.judges), 4.4), layout="constrained")
    panels = figure.subplots(1, len(evaluation.judges), sharey=True, squeeze=False)[0]
    for axes, judge in zip(panels, evaluation.judges, strict=True):
        for number, summary in enumerate(evaluation.summaries_over_all):
            found = next((each for each in evaluation.of(summary.strength, view) if each.judge == judge.name), None)
            if found is None or found.curve is None:
                continue
            before = summary.strength == UNCLOAKED
            colour = _BEFORE if before else COLOURS[(number - 1) % len(COLOURS)]
            style = "--" if before else "-"
            axes.plot(
                found.curve.fars, found.curve.tars, style, color=colour, lw=1.8, label=cloak_words(summary.strength)
            )
        axes.axvline(evaluation.plan.far, color="#999999", lw=0.8, ls=":")
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.03)
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])
        axes.set_title(f"{judge.name}, {view}", fontsize=11)
        axes.set_xlabel("pairs of two people that are linked (FAR)")
        _plain(axes)
    panels[0].set_ylabel("pairs of one person that are linked")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return _png(figure)


def _plain(axes: Axes) -> None:
    axes.grid(visible=True, color="#e5e5e5", lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG. It belongs to no pyplot, so that Agg draws it and no display is looked for."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()

"""What protection costs in looks: every cloak of docs/veil.md that has both figures, in one picture.

    python benchmarks/frontier.py            writes docs/frontier.svg
    python benchmarks/frontier.py --smoke    draws it, and writes nothing

Across: JOD on a desktop. Up: photos linked to their own original, the mean of six recognisers that were not attacked.
The tables were measured on different faces, so that points of one colour compare, and others only roughly.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common import options_of

from uncnn.daemon.evaluate.plots import COLOURS

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
CROWDED: Final = 9.6  # JOD: a label to the right of a point beyond this leaves the picture
OWN, DESKTOP = "own", "phone, desktop, twice"


@dataclass(frozen=True, slots=True)
class Point:
    """A cloak of a table."""

    table: int
    cloak: str
    own: float  # %
    desktop: float  # JOD
    chosen: bool  # it is what `balanced` is


def main() -> None:
    """Draw and write the picture."""
    options = options_of(__doc__).parse_args()
    points = list(read((DOCS / "veil.md").read_text()))
    picture = draw(points)
    if not options.smoke:
        (DOCS / "frontier.svg").write_text(picture)
    print(f"{len(points)} cloaks of {len({point.table for point in points})} tables")


def read(page: str) -> Iterator[Point]:
    """Yield the rows of all tables that have links to the own original and JOD."""
    for number, table in enumerate(re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines(True)]
        jod = next((index for index, cell in enumerate(head) if cell.startswith(DESKTOP)), None)
        if jod is None or OWN not in head or ";" in "".join(row[jod] for row in rows):
            continue
        for row in rows:
            own, seen = row[head.index(OWN)], row[jod].split(", ")
            if own[0].isdigit() and ";" not in own and ", " in own and len(seen) > 1:
                chosen = row[0].endswith("`balanced`") and "before" not in row[0] and not row[0].startswith("...")
                yield Point(number, row[0], float(own.split(",")[0].rstrip(" %")), float(seen[1]), chosen)


def draw(points: list[Point]) -> str:
    """Return the picture as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "frontier"  # the same picture is the same file
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, table in enumerate(sorted({point.table for point in points})):
        own = [point for point in points if point.table == table]
        colour = COLOURS[number % len(COLOURS)]
        axes.scatter([p.desktop for p in own], [p.own for p in own], s=22, color=colour, label=f"table {number + 1}")
    for number, point in enumerate(point for point in points if point.chosen):
        axes.scatter(point.desktop, point.own, s=90, facecolors="none", edgecolors="black")
        label, place = point.cloak.split(":")[0].split(",")[0], (point.desktop, point.own)
        above, right = (7, -6, -12)[number % 3], point.desktop > CROWDED
        offset, side = (-8 if right else 8, above), "right" if right else "left"
        axes.annotate(label, place, offset, textcoords="offset points", fontsize=9, ha=side)
    axes.axvline(9.3, color="#999999", lw=0.8, ls=":")
    axes.set_xlabel("JOD on a desktop screen (10: identical; dotted: the bar)")
    axes.set_ylabel("linked to the own original, % (mean of six)")
    axes.legend(fontsize=8, title="of docs/veil.md", title_fontsize=8, frameon=False)
    axes.grid(visible=True, color="#e5e5e5", lw=0.7)
    axes.set_axisbelow(True)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()


if __name__ == "__main__":
    main()

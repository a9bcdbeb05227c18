"""`models list`: what is installed and what can be pulled. Neither torch nor the network is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.text import printable
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import DetectorEntry, Entry, RecogniserEntry, read_catalog
from uncnn.plugins.recognisers.cards import MODEL_FILE, Licence

LFW = ("lfw_6000_pairs", "lfw_6000_drawn_pairs")  # what a card calls LFW's official pairs, and such as we drew
WIDTH = 120  # of the table at least: a narrower terminal wraps it, and a pipe has no width


@dataclass(frozen=True, slots=True)
class Row:
    """One model: what the catalog knows of it, and where it is installed."""

    name: str
    role: str  # surrogate, judge or detector
    format: str
    licence: Licence
    allows: str
    bytes: int | None  # to fetch, or on the disk where it is not of the catalog
    accuracy: float | None  # on LFW, 0..1
    place: Path | None
    packs: tuple[str, ...]
    exercised: bool | None
    problem: str = ""  # why it cannot be used

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "role": self.role,
            "format": self.format,
            "licence": self.licence.model_dump(),
            "allows": self.allows,
            "bytes": self.bytes,
            "lfw_accuracy": self.accuracy,
            "installed": str(self.place) if self.place else None,
            "packs": list(self.packs),
            "exercised": self.exercised,
            "problem": self.problem or None,
        }


def print_models(licences: Sequence[str], every: bool, as_json: bool) -> int:
    """Print the models that are installed and those that can be pulled, and return the exit status.

    Of the latter, those whose licence is not among `licences` only where `every` one is asked for, or in JSON.

    Raises:
        FolderError: the data directory cannot be used.
    """
    data = data_dir()
    rows = list(known(data))
    if as_json:
        content = {"licences": list(licences), "models_dir": str(store.models_dir(data))}
        print_json({**content, "models": [row.as_json() for row in rows], "not_used": store.notices(data)})
        return OK
    shown = [row for row in rows if every or row.place or row.licence.use in licences]
    console = Console()
    wide = Console(width=max(console.width, WIDTH))
    wide.print(_table(shown, data), soft_wrap=True)
    for row in shown:
        if row.problem:
            console.print(
                f"[red]{escape(printable(row.name))}[/red]: {escape(printable(row.problem))}",
                soft_wrap=True,
                highlight=False,
            )
    for notice in store.notices(data):
        console.print(f"[yellow]not used[/yellow]: {escape(printable(notice))}", soft_wrap=True, highlight=False)
    hidden = len(rows) - len(shown)
    if hidden:
        console.print(f"{hidden} more for research only: --all lists them", soft_wrap=True, highlight=False)
    where = escape(printable(store.models_dir(data)))
    console.print(f"models are installed in {where}", soft_wrap=True, highlight=False)
    return OK


def known(data: Path) -> Iterator[Row]:
    """Yield every model of the catalog in its order, then what else is installed, by name."""
    places = store.in_use(data)
    for entry in read_catalog().models:
        yield _of_catalog(entry, places.pop(entry.name, None), data)
    for name in sorted(places):
        yield _of_folder(places[name], data)


def problem_of(place: store.Place) -> str:
    """Return why an installed recogniser cannot be used, in a line, or nothing."""
    if place.card is None:
        return " ".join(place.problem.split())
    if place.differs:
        return f"not the {place.name} that uncnn knows ({place.differs}): it is not used"
    return "" if place.card.thresholds else f"no thresholds: uncnn-daemon models calibrate {place.name} --faces FOLDER"


def _of_catalog(entry: Entry, place: store.Place | None, data: Path) -> Row:
    folder = place.folder if place else None
    where = _detector(entry, data) if isinstance(entry, DetectorEntry) else folder
    return Row(
        entry.name,
        "detector" if isinstance(entry, DetectorEntry) else entry.role,
        "checkpoint" if isinstance(entry, DetectorEntry) else entry.format,
        entry.licence,
        entry.allows,
        entry.size,
        _on_lfw(entry.accuracy) if isinstance(entry, RecogniserEntry) else None,
        where,
        entry.packs if where is None or where.parent != store.EMBEDDED else ("embedded",),
        entry.exercised,
        problem_of(place) if place else "",
    )


def _detector(entry: DetectorEntry, data: Path) -> Path | None:
    """Return where a detector lies: its weights as they were pulled, or what comes with uncnn of them."""
    ours = store.EMBEDDED / store.OWN_DETECTOR
    mine = ours.parent if ours.stem == Path(entry.installs).stem and ours.is_file() else None
    return store.find_file(data, entry.installs) or mine


def _of_folder(place: store.Place, data: Path) -> Row:
    card, embedded = place.card, place.folder.parent == store.EMBEDDED
    model = place.folder / MODEL_FILE
    return Row(
        place.name,
        card.role if card else "-",
        "onnx",
        card.licence if card else Licence(name="not known", use="research"),
        "see its card",
        os.stat(model).st_size if model.is_file() else None,  # noqa: PTH116 (follows links)
        _on_lfw(card.accuracy) if card else None,
        place.folder,
        ("embedded",) if embedded else ("own",),
        True if embedded else None,
        problem_of(place),
    )


def _on_lfw(accuracy: Mapping[str, float]) -> float | None:
    return next((accuracy[name] for name in LFW if name in accuracy), None)


def _table(rows: Sequence[Row], data: Path) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("name", "role", "format", "licence", "size", "LFW", "pack", "tested", "installed"):
        table.add_column(title, justify="right" if title in {"size", "LFW"} else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            escape(printable(row.name)),
            row.role,
            row.format,
            "any use" if row.licence.use == "permissive" else "[yellow]research[/yellow]",
            f"{row.bytes / 1e6:.1f} MB" if row.bytes else "-",
            f"{row.accuracy:.2%}" if row.accuracy else "-",
            ", ".join(row.packs),
            {True: "yes", False: "no", None: "-"}[row.exercised],
            _where(row.place, data),
        )
    return table


def _where(place: Path | None, data: Path) -> str:
    """Return in a word or a path where a model is installed."""
    if place is None:
        return "no"
    words = {store.models_dir(data): "yes", store.EMBEDDED: "with uncnn"}
    return f"[green]{words.get(place.parent) or escape(printable(place.parent))}[/green]"

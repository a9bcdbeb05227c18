"""`models list`: what is installed and what can be pulled. Neither torch nor the network is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uncnn.daemon.commands.models.rows import Row, known
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.text import printable
from uncnn.exporters.registry import store

WIDTH = 120  # of the table at least: a narrower terminal wraps it, and a pipe has no width


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

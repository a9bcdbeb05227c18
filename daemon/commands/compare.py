"""What `uncnn-daemon compare` does: both files handed to the verifier's process, the picture put where it is wanted."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Table

from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import PICTURE, Show
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.settings import Settings, SettingsError, taken, work
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.terminal.results import width_of
from uncnn.daemon.text import printable
from uncnn.daemon.verify.jod import HARDLY, NOT_VISIBLE, SLIGHTLY, VISIBLE

NARROW: Final = 80
"""Columns that all figures need."""

MEANING: Final = (
    f"JOD: 10 identical, {NOT_VISIBLE:g} not visible, {HARDLY:g} hardly, {SLIGHTLY:g} slightly, {VISIBLE:g} so that"
    " three in four people prefer the original (ColorVideoVDP; the photo fitted to a phone and to a desktop screen, a"
    " face twice as large as there)"
)

KINDS: Final[dict[str, Literal["png", "html"]]] = {".png": "png", ".html": "html", ".htm": "html"}


def compare_photos(settings: Settings, original: Path, copy: Path, output: Path, as_json: bool) -> int:
    """Write the comparison to `output`, print its figures and return the exit status.

    Raises:
        SettingsError: `output` is neither PNG nor HTML, or one of the photos. PublishError: a file cannot be read or
        written. RequestError: one is no photo, or they have different sizes.
    """
    if original.is_dir() or copy.is_dir():
        raise SettingsError(f"{printable(original)}, {printable(copy)}: give two photos; folders are for --blind")
    kind = KINDS.get(output.suffix.lower())
    if kind is None:
        raise SettingsError(f"--output {printable(output)}: name a file that ends in .png or .html")
    if any(output.exists() and output.samefile(photo) for photo in (original, copy) if photo.exists()):
        raise SettingsError(f"--output {printable(output)} is one of the photos: name another file")
    with progress_bar(1, as_json) as bar, work(settings.models, settings.device) as (engine, spool):
        bar.begin(printable(copy))
        files = [taken(photo, spool) for photo in (original, copy)]
        bar.report(Stage("comparing"))
        first, second = (Content(each.path) for each in files)
        shown = engine.judge(Show(first, printable(original.name), second, printable(copy.name), kind))
        try:
            output.write_bytes(second.check_beside(PICTURE, shown.picture).read())
        except OSError as error:
            raise PublishError.of(error, output, "written") from error
    figures = {"change": shown.change, "subjects": shown.regions, "left_out": shown.left_out}
    if as_json:
        print_json({"original": str(original), "copy": str(copy), "written": str(output), **figures})
        return OK
    console = Console()
    console.print(_table(shown.regions, width_of(console)), soft_wrap=True)
    for line in wrap(f"change: {shown.change}", width_of(console)) + wrap(MEANING, width_of(console)):
        console.print(line, markup=False, highlight=False)
    if shown.left_out:
        console.print(f"{shown.left_out} more faces, all smaller, are not shown", highlight=False)
    console.print(f"written: {printable(output)}", markup=False, highlight=False, soft_wrap=True)
    return OK


def _table(regions: list[dict[str, Any]], width: int) -> Table:
    """Return the figures; a narrow terminal has room for those that people ask for first."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    titles = (
        *("JOD\nphone", "desk-\ntop", "2x\nzoom", "SSIMU-\nLACRA2", "Butter-\naugli"),
        *("PSNR,\ndB", "SSIM", "mean\nchange", "99th\ncentile"),
    )
    shown = titles if width >= NARROW else titles[:3]
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for one in regions:
        figures = (
            *("-" if value is None else f"{value:.2f}" for value in one["jod"].values()),
            "-" if one["ssimulacra2"] is None else f"{one['ssimulacra2']:.1f}",
            "-" if one["butteraugli"] is None else f"{one['butteraugli']:.2f}",
            "identical" if one["psnr"] is None else f"{one['psnr']:.1f}",
            f"{one['ssim']:.3f}",
            f"{one['mean_255']:.1f}",
            f"{one['p99_255']:.0f}",
        )
        table.add_row(one["name"], *figures[: len(shown)])
    return table

"""The command `live`: a camera or a video file goes on with its faces hidden."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from uncnn.daemon.live import engine
from uncnn.daemon.live.messages import LiveEnded, Masked
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.people.masks import file_of
from uncnn.daemon.people.store import read_people
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.settings import Settings, own_processes
from uncnn.daemon.text import duration, printable
from uncnn.plugins.extras import require


def go_live(settings: Settings, source: Path, to: Path, real_time: bool, hide_all: bool, as_json: bool) -> int:
    """Send what `source` shows to `to`, and return the exit status.

    Raises:
        MissingPackage: the extra is not installed. LiveError, PublishError: the source or the sink cannot be used.
        PeopleError: the enrolled people cannot be read. RequestError, ProcessDied: the process says so, or a model is
        missing.
    """
    require("av")
    masked = () if hide_all else tuple(_masked())
    order = engine.LiveOrder(source, to, real_time, masked)
    engine.check(order)
    console = Console(stderr=True)
    with (
        own_processes(settings.models, settings.device) as (models, folder),
        console.status("loading the models") as line,
    ):

        def report(stage: Stage) -> None:
            line.update(f"{stage.name}; Ctrl-C ends it")

        ended = engine.run(order, models.roster, settings.device, folder, report)
    if as_json:
        print_json({"source": str(source), "to": str(to), **_values(ended)})
    else:
        sys.stdout.write(_words(ended, to) + "\n")
    if ended.problem:
        sys.stderr.write(f"uncnn-daemon: {ended.problem}\n")
    return ERROR if ended.problem else OK


def _masked() -> Iterator[Masked]:
    """Yield who is enrolled with a mask."""
    for person in read_people().people:
        if person.mask is not None:
            yield Masked(person, file_of(person.mask))


def _values(ended: LiveEnded) -> dict[str, object]:
    rate = ended.frames / ended.seconds if ended.seconds else 0.0
    return {**asdict(ended), "seconds": round(ended.seconds, 3), "frames_per_second": round(rate, 2)}


def _words(ended: LiveEnded, to: Path) -> str:
    if not ended.frames:
        return f"{printable(to)}: no frames"
    rate = ended.frames / max(ended.seconds, 1e-9)
    dropped = f", {ended.dropped} dropped" if ended.dropped else ""
    faces = "1 face" if ended.faces == 1 else f"{ended.faces} faces"
    return (
        f"{printable(to)}: {ended.frames} frames in {duration(ended.seconds)} ({rate:.1f} a second{dropped}), "
        f"{faces} hidden; a frame went on after {ended.median_ms} ms, 95 of 100 within {ended.slow_ms} ms"
    )

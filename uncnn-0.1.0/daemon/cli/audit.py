"""The command `uncnn-daemon audit`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Json


def audit(
    config: ConfigFile = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option("--folder", help="Only photos of this watched or publish folder. Repeatable.", show_default=False),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only photos that were released since, as 2026-01-31.")
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Ask today's models about photos that were released on others' word.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Look at so many photos now; the next call goes on.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--anew", help="Go on with an audit that was broken off, or begin a new one.")
    ] = True,
    last: Annotated[bool, typer.Option("--last", help="Show what the last audit found, and look at nothing.")] = False,
    json: Json = False,
) -> None:
    """Look whether what was released still stands as it was verified, and would be released today.

    Every released file is read and its hash compared. With --judge, photos that were judged by other models or under
    another policy than today's are judged again, those without a face too. Nothing is changed, and the service may be
    at work. Exit status: 0 all is as it was, 4 a photo is missing, replaced, rotten, or would no longer pass, 1 one
    could not be looked at.

    Example: uncnn-daemon audit --judge --since 2026-01-31
    """
    from uncnn.daemon.audit.command import Wanted, audit_photos, show_last

    if last:
        raise typer.Exit(show_last(json))
    raise typer.Exit(audit_photos(config, Wanted(tuple(folder or ()), since, judge, limit, not resume, json)))

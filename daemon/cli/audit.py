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
        typer.Option(
            "--folder", help="Only photos of this watched or publish folder. Can be repeated.", show_default=False
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only photos published since this date, such as 2026-01-31.")
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Verify photos again where models or policy have changed since.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many photos; the next audit continues there.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--anew", help="Continue an audit that was interrupted, or start a new one.")
    ] = True,
    last: Annotated[bool, typer.Option("--last", help="Show the result of the last audit, without a new one.")] = False,
    json: Json = False,
) -> None:
    """Check that the published copies are still the verified files.

    Reads every published file and compares its hash with the one that was verified. With --judge, photos that were
    verified by other models or under another policy than today's are verified again. No photo is changed, and the
    service may be running.

    Exit status: 0 all copies are as they were published, 4 a copy is missing, replaced, damaged, or would not be
    published today, 1 a photo could not be checked.

    Example: uncnn-daemon audit --judge --since 2026-01-31
    """
    from uncnn.daemon.commands.audit import Wanted, audit_photos, show_last

    if last:
        raise typer.Exit(show_last(json))
    raise typer.Exit(audit_photos(config, Wanted(tuple(folder or ()), since, judge, limit, not resume, json)))

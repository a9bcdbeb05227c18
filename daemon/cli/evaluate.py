"""The command `uncnn-daemon evaluate`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Device, Licence, PolicyName


def evaluate(
    people: Annotated[
        Path, typer.Argument(help="A folder with a folder of photos a person; only read.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that tables and pictures go to.")] = Path(
        "evaluation"
    ),
    strength: Annotated[
        list[str] | None,
        typer.Option(help="subtle, balanced, strong or utmost. Repeatable; default: the first three."),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(help="as-is, jpeg-NN, half-size or blur-S. Repeatable; default: as-is, jpeg-75, half-size."),
    ] = None,
    far: Annotated[float | None, typer.Option(help="1e-2, 1e-3 or 1e-4; default: the policy's.")] = None,
    photos: Annotated[int | None, typer.Option(min=2, help="Of each person at most.")] = None,
    number: Annotated[
        int | None, typer.Option("--people", min=2, help="How many people; those with --photos photos come first.")
    ] = None,
    distractors: Annotated[
        Path | None, typer.Option(help="A folder of photos of other people, to be hidden among.", show_default=False)
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG that is released.")] = 90,
    as_installed: Annotated[
        bool,
        typer.Option(
            "--as-installed", help="What a fresh installation would release: what ships alone, the default policy."
        ),
    ] = False,
    judge_models: Annotated[
        Path | None,
        typer.Option(help="A folder of model folders that judge from outside, in no verdict.", show_default=False),
    ] = None,
    judge_command: Annotated[
        list[str] | None,
        typer.Option(help="COMMAND or NAME=COMMAND, run as COMMAND OUT.json DIR..., judges from outside. Repeatable."),
    ] = None,
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: Annotated[str | None, typer.Option(help="The attack; default: the policy's.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--set", help="An attack's parameter, as steps=20. Repeatable.")
    ] = None,
    licence: Licence = None,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of text.")] = False,
) -> None:
    """Measure what cloaks are worth on photos of several people, against four adversaries and every judge.

    Cloaks each photo at each strength, without escalation, and asks the judges whether they still link it to the
    person's other photos, clean or cloaked, find it among all, or learn from it. Writes tables, JSON, plots, a contact
    sheet and a page of all of it. It shows the people's faces: keep it as you keep the photos. Exit status: 0 done, 1
    error.

    Example: uncnn-daemon evaluate people/ --photos 4 --strength balanced --distractors strangers/
    """
    from uncnn.daemon.commands import settings_for
    from uncnn.daemon.evaluate.command import evaluate_people, installed_settings, plan_for

    if as_installed:
        settings = installed_settings(config, policy, attack, parameter, licence, device)
    else:
        settings = settings_for(config, policy, attack, None, parameter, licence, device)
    outside = (judge_models, judge_command)
    plan = plan_for(settings, people, strength, view, far, quality, photos, number, distractors, as_installed, *outside)
    raise typer.Exit(evaluate_people(settings, plan, output, json))

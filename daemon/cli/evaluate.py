"""The command `uncnn-daemon evaluate`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import AttackName, ConfigFile, Device, Licence, Parameters, PolicyName


def evaluate(
    people: Annotated[
        Path,
        typer.Argument(
            help="A folder with one subfolder of photos per person; nothing in it is changed.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for tables and pictures.")] = Path(
        "evaluation"
    ),
    strength: Annotated[
        list[str] | None,
        typer.Option(help="subtle, balanced, strong or utmost. Can be repeated; default: the first three."),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(help="as-is, jpeg-NN, half-size or blur-S. Can be repeated; default: as-is, jpeg-75, half-size."),
    ] = None,
    far: Annotated[
        float | None, typer.Option(help="The false accept rate: 1e-2, 1e-3 or 1e-4; default: the policy's.")
    ] = None,
    photos: Annotated[int | None, typer.Option(min=2, help="Use at most this many photos of each person.")] = None,
    number: Annotated[
        int | None,
        typer.Option("--people", min=2, help="Use this many people; those with --photos photos are taken first."),
    ] = None,
    distractors: Annotated[
        Path | None,
        typer.Option(help="A folder with photos of other people, added to the gallery.", show_default=False),
    ] = None,
    synthetic: Annotated[
        int,
        typer.Option(
            "--synthetic-distractors",
            min=0,
            max=1_000_000,
            help="Add this many generated embeddings to the gallery, modelled on those of --distractors.",
        ),
    ] = 0,
    quality: Annotated[int, typer.Option(min=1, max=100, help="The JPEG quality of the cloaked copies.")] = 90,
    as_installed: Annotated[
        bool,
        typer.Option(
            "--as-installed",
            help="Evaluate a fresh installation: the included models only, the default policy, with escalation.",
        ),
    ] = False,
    judge_models: Annotated[
        Path | None,
        typer.Option(
            help="A folder of model folders, used as additional judges that take no part in verdicts.",
            show_default=False,
        ),
    ] = None,
    judge_command: Annotated[
        list[str] | None,
        typer.Option(
            help="COMMAND or NAME=COMMAND: a program, run as COMMAND OUT.json DIR..., used as an additional judge. "
            "Can be repeated."
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file: a column person (names of their folders), and one for each grouping, such as sex or age "
            "band. Adds the rates of each group, and how far the groups are apart.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: AttackName = None,
    parameter: Parameters = None,
    licence: Licence = None,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of text.")] = False,
) -> None:
    """Measure on photos of several people how well cloaks protect.

    Cloaks each photo at each strength, without escalation. Then measures whether the judges still link the copy to
    the person's other photos (original or cloaked), find the person in a gallery, or can be trained on the copies.
    Writes tables, JSON, plots, a contact sheet and an HTML page. These show the people's faces: store them as carefully
    as the photos.

    Exit status: 0 done, 1 error.

    Example: uncnn-daemon evaluate people/ --photos 4 --strength balanced --distractors strangers/
    """
    from uncnn.daemon.commands.evaluate import evaluate_people, installed_settings, plan_for
    from uncnn.daemon.settings import settings_for

    if as_installed:
        settings = installed_settings(config, policy, attack, parameter, licence, device)
    else:
        settings = settings_for(config, policy, attack, None, parameter, licence, device)
    more = (judge_models, judge_command, synthetic, groups)
    plan = plan_for(settings, people, strength, view, far, quality, photos, number, distractors, as_installed, *more)
    raise typer.Exit(evaluate_people(settings, plan, output, json))

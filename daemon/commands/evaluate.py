"""`uncnn-daemon evaluate`: the options checked, the evaluation run, its tables and pictures written."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from rich.console import Console

from uncnn.daemon.config import Config
from uncnn.daemon.config.policies import Protect
from uncnn.daemon.evaluate.contact_sheet import contact_sheet
from uncnn.daemon.evaluate.evaluation import Evaluation, evaluate
from uncnn.daemon.evaluate.groups import read_groups
from uncnn.daemon.evaluate.judge_commands import VIEW
from uncnn.daemon.evaluate.page import page
from uncnn.daemon.evaluate.plan import AS_INSTALLED, STRENGTHS, VIEWS, JudgeCommand, Plan, make_plan
from uncnn.daemon.evaluate.plots import curves, drawable, trade_off
from uncnn.daemon.evaluate.report import evaluation_json, facts
from uncnn.daemon.evaluate.tables import tables
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.settings import Settings, SettingsError, settings_for
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.text import printable
from uncnn.plugins import registry

PAGE: Final = "index.html"
_WIDE: Final = 200  # columns of the tables in a file


def plan_for(
    settings: Settings,
    folder: Path,
    strengths: Sequence[str] | None,
    views: Sequence[str] | None,
    far: float | None,
    quality: int,
    photos: int | None,
    people: int | None,
    distractors: Path | None,
    as_installed: bool = False,
    judge_models: Path | None = None,
    commands: Sequence[str] | None = None,
    synthetic: int = 0,
    groups: Path | None = None,
) -> Plan:
    """Return the plan that the command line asks for.

    Raises:
        SettingsError: an option cannot be. FacesError, EvaluationError: a folder or a command will not do.
    """
    wanted = (AS_INSTALLED,) if as_installed else tuple(dict.fromkeys(strengths or STRENGTHS))
    if as_installed and strengths:
        raise SettingsError("--as-installed: the default policy chooses the strength: leave --strength out")
    for strength in wanted:
        if not as_installed and strength not in registry.STRENGTHS:
            known = ", ".join(registry.STRENGTHS)
            raise SettingsError(f"--strength {strength!r}: choose one of {known}")
    asked = {"far": settings.policy.protect.far if far is None else far, "views": tuple(dict.fromkeys(views or VIEWS))}
    try:
        protect = Protect.model_validate(asked)
    except ValidationError as error:
        found = "; ".join(
            f"--{str(each['loc'][0]).removesuffix('s')}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise SettingsError(found) from error
    programs = [JudgeCommand.of(text) for text in commands or ()]
    if programs and VIEW not in protect.views:
        raise SettingsError(f"--judge-command: it is shown the published file itself: add --view {VIEW}")
    plan = make_plan(
        folder,
        strengths=wanted,
        views=protect.views,
        far=protect.far,
        quality=quality,
        photos=photos,
        people=people,
        distractors=distractors,
        judge_models=judge_models,
        commands=programs,
        synthetic=synthetic,
    )
    return replace(plan, groups=read_groups(groups, [person.name for person in plan.people])) if groups else plan


def installed_settings(
    config: Path | None,
    policy: str | None,
    attack: str | None,
    parameters: Sequence[str] | None,
    licences: Sequence[str] | None,
    device: str | None,
) -> Settings:
    """Return the settings of a fresh installation; another attack or parameter of it may be tried in its place.

    Raises SettingsError: an option asks for what is not installed so.
    """
    given = {"--config": config, "--policy": policy, "--licence": licences}
    for option, value in given.items():
        if value:
            raise SettingsError(f"--as-installed: it is the default policy with what ships: leave {option} out")
    return settings_for(Config(), None, attack, None, parameters, None, device)


def evaluate_people(settings: Settings, plan: Plan, output: Path, as_json: bool) -> int:
    """Evaluate, write everything into the folder `output`, print the summary and return the exit status.

    Raises what `evaluate` raises, and PublishError where `output` cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError.of(error, output, "made") from error
    with progress_bar(plan.photos + len(plan.distractors), as_json, logged=True) as bar:
        evaluation = evaluate(settings, plan, bar)
    write(evaluation, output)
    if as_json:
        print_json(evaluation_json(evaluation))
        return OK
    console = Console()
    for fact in facts(evaluation):
        console.print(fact, markup=False, highlight=False, soft_wrap=True)
    wide = Console(width=max(console.width, _WIDE))  # a pipe has no width
    for _, table in tables(evaluation)[: 3 if evaluation.categories else 2]:
        wide.print(table, soft_wrap=True)
    console.print(f"written: {printable(output / PAGE)}", markup=False, highlight=False, soft_wrap=True)
    return OK


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write tables, JSON, pictures and the page into `folder`. Raises PublishError: one cannot be written."""
    pictures = {"contact-sheet": contact_sheet(evaluation.samples, evaluation.plan.strengths)}
    if drawable():
        pictures |= {"trade-off": trade_off(evaluation), "roc": curves(evaluation)}
    content = evaluation_json(evaluation)
    files = {
        "table.txt": _text(evaluation).encode(),
        "evaluation.json": (json.dumps(content, indent=2) + "\n").encode(),
        **{f"{name}.png": png for name, png in pictures.items()},
        PAGE: page(evaluation, pictures).encode(),
    }
    for name, data in files.items():
        try:
            (folder / name).write_bytes(data)
        except OSError as error:
            raise PublishError.of(error, folder / name, "written") from error


def _text(evaluation: Evaluation) -> str:
    """Return the facts and every table as text."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDE, color_system=None)
    for fact in facts(evaluation):
        console.print(fact, markup=False, soft_wrap=True)
    for title, made in tables(evaluation):
        console.print(f"\n{title}".rstrip())
        console.print(made)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"

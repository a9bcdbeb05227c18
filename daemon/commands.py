"""What the commands do: settings from the configuration and the command line, photos one after another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from uncnn.daemon.answers import DEGRADED, OK, USAGE, print_json
from uncnn.daemon.config import Attack, Config, Models, Policy, find_config, load
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.crew import Crew
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.publish import PublishError, Snapshot, publish, snapshot
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.pipeline import protect, verify_request
from uncnn.daemon.processes import stopped_by_sigterm
from uncnn.daemon.tables import verdict_json, verdict_table
from uncnn.daemon.terminal import Bar, Done, counts_of, exit_status, progress_bar, say, say_counts
from uncnn.daemon.verify.verdict import VERDICT, Verdict
from uncnn.daemon.wording import printable
from uncnn.plugins.api import UncnnError


class SettingsError(UncnnError):
    """An option of the command line that cannot be."""

    exit_status = USAGE


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run goes by."""

    models: Models
    device: str
    policy: Policy


def settings_for(
    config: Path | None,
    policy: str | None,
    attack: str | None,
    strength: str | None,
    parameters: Sequence[str] | None,
    licences: Sequence[str] | None,
    device: str | None,
) -> Settings:
    """Return the configuration's settings (the defaults where there is none) with the command line's put over them.

    Raises:
        ConfigError: the configuration is wrong, or a named one is missing. SettingsError: an option is.
    """
    found = configuration(config)
    chosen = named_policy(found, policy)
    changes: dict[str, Any] = {"name": attack, "strength": strength, **dict(map(_parameter, parameters or ()))}
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes:
        chosen = chosen.model_copy(update={"attack": _attack({**chosen.attack.model_dump(), **changes})})
    models = found.models
    unknown = set(licences or ()) - {"permissive", "research"}
    if unknown:
        raise SettingsError(f"--licence {', '.join(sorted(unknown))}: give permissive or research")
    if licences:
        models = models.model_copy(update={"licences": tuple(dict.fromkeys((*models.licences, *licences)))})
    return Settings(models, device or found.device, chosen)


def cloak_photos(settings: Settings, photos: Sequence[Path], output: Path, surrogates: bool, as_json: bool) -> int:
    """Cloak `photos` into the folder `output` and return the exit status."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError.of(error, output, "made") from error
    done: list[Done] = []
    with progress_bar(len(photos), as_json) as bar, work(settings.models, settings.device) as (crew, spool):
        crew.start()
        for photo in photos:
            done.append(_cloak_one(crew, settings.policy, photo, output, spool, bar))
            if not as_json:
                say(done[-1], surrogates)
    if as_json:
        print_json({"photos": [each.as_json() for each in done], "counts": asdict(counts_of(done))})
    else:
        say_counts(done)
    return exit_status(done)


def verify_pair(settings: Settings, original: Path, cloaked: Path, surrogates: bool, as_json: bool) -> int:
    """Print the verdict on `cloaked` as a copy of `original` and return the exit status."""
    policy = settings.policy
    with progress_bar(1, as_json), work(settings.models, settings.device) as (crew, spool):
        first, second = taken(original, spool), taken(cloaked, spool)
        verdict = VERDICT.validate_python(crew.ask_verifier(verify_request(first.path, second.path, policy, None)))
    if as_json:
        print_json({"original": str(original), "cloaked": str(cloaked), "verdict": verdict_json(verdict)})
    else:
        _print_verdict(verdict, cloaked, surrogates)
    return OK if verdict.protected else DEGRADED


def taken(photo: Path, folder: Path) -> Snapshot:
    """Return a copy of a photo that a person named, in the private `folder`. Raises PublishError."""
    real = photo.resolve()
    return snapshot(real.parent, Path(real.name), folder)


@contextmanager
def work(models: Models, device: str) -> Iterator[tuple[Crew, Path]]:
    """Yield the processes, started when first asked, and a private folder that is removed at the end."""
    sweep_workspaces()
    with stopped_by_sigterm(), workspace() as spool, Crew(models, device, data_dir()) as crew:
        yield crew, spool


def _cloak_one(crew: Crew, policy: Policy, photo: Path, output: Path, spool: Path, bar: Bar) -> Done:
    name = printable(photo)
    bar.begin(name)
    try:
        with tempfile.TemporaryDirectory(dir=spool) as own:
            copy = taken(photo, Path(own))
            outcome = protect(crew, copy.path, photo.name, policy, Path(own), bar.report)
            if outcome.decision != "publish":
                return Done(name, "held" if outcome.decision == "hold" else "skipped", outcome.reason, None, outcome)
            wanted = policy.released_name(Path(photo.name))
            times = copy.mtime_ns if policy.output.times == "same" else None
            placed = publish(outcome.candidate, output, wanted, outcome.verdict.sha256, policy.output.mode, times)
    except (UncnnError, OSError) as error:
        return Done(name, "error", str(error))
    return Done(name, "published", outcome.reason, placed, outcome)


def configuration(explicit: Path | None) -> Config:
    """Return the named configuration, the user's where there is one, or the defaults. Raises ConfigError."""
    try:
        path = find_config(explicit)
    except ConfigError:
        if explicit is not None or "UNCNN_CONFIG" in os.environ:
            raise
        return Config()
    return load(path)


def named_policy(config: Config, name: str | None) -> Policy:
    """Return the policy of this name; without a name the first. Raises SettingsError."""
    if name is None:
        return next(iter(config.policies.values()), Policy())
    if name not in config.policies:
        raise SettingsError(f"--policy {name!r}: the configuration has {', '.join(config.policies)}")
    return config.policies[name]


def _attack(values: dict[str, Any]) -> Attack:
    try:
        return Attack.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error


def _parameter(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise SettingsError(f"--set {text!r}: write it as name=value, for example steps=20")
    return key, yaml.safe_load(value)


def _print_verdict(verdict: Verdict, cloaked: Path, surrogates: bool) -> None:
    console = Console()
    required = [face for face in verdict.faces if face.required]
    if not required:
        console.print(f"{escape(printable(cloaked))}: no face to protect", highlight=False)
        return
    state = "[green]protected[/green]" if verdict.protected else "[red]not protected[/red]"
    safe = sum(face.protected for face in required)
    line = f"[bold]{escape(printable(cloaked))}[/bold]: {state}, {safe} of {len(required)} faces at FAR {verdict.far:g}"
    console.print(line, highlight=False)
    console.print(verdict_table(verdict, surrogates=surrogates), soft_wrap=True)

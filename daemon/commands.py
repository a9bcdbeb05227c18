"""What the commands do: settings from the configuration and the command line, photos one after another."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from uncnn.daemon.config import Config, Models, Policy, find_config, load
from uncnn.daemon.config_file import ConfigError
from uncnn.daemon.crew import Crew
from uncnn.daemon.folders import data_dir, state_dir
from uncnn.daemon.pipeline import VERDICT, Outcome, protect
from uncnn.daemon.processes import Message, ProcessDied, RequestError
from uncnn.daemon.publish import PublishError, publish, snapshot
from uncnn.daemon.tables import SCHEMA_VERSION, verdict_json, verdict_table
from uncnn.daemon.verdict import Verdict
from uncnn.daemon.wording import printable
from uncnn.plugins.api import UncnnError

OK, ERROR, DEGRADED = 0, 1, 4

SUFFIXES: Final = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "heif": ".heic", "avif": ".avif"}


class SettingsError(UncnnError):
    """An option of the command line that cannot be."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run goes by."""

    models: Models
    device: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one photo of a command."""

    name: str
    status: str  # published, held, skipped, error
    message: str
    published: Path | None = None
    outcome: Outcome | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        answer: dict[str, Any] = {
            "photo": self.name,
            "status": self.status,
            "message": self.message,
            "published": str(self.published) if self.published else None,
        }
        if self.outcome is not None:
            answer["seconds"] = round(self.outcome.seconds, 3)
            answer["notes"] = list(self.outcome.notes)
            answer["verdict"] = verdict_json(self.outcome.verdict, self.outcome.strengths)
        return answer


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
    found = _config(config)
    chosen = _policy(found, policy)
    changes: dict[str, Any] = {"name": attack, "strength": strength, **dict(map(_parameter, parameters or ()))}
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes:
        own = {**chosen.attack.model_dump(), **changes}
        chosen = chosen.model_copy(update={"attack": type(chosen.attack).model_validate(own)})
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
    with work(settings.models, settings.device) as (crew, spool), progress_bar(len(photos), as_json) as bar:
        for photo in photos:
            done.append(_cloak_one(crew, settings.policy, photo, output, spool, bar))
            if not as_json:
                bar.say(done[-1], surrogates)
    if as_json:
        print_json({"photos": [each.as_json() for each in done]})
    return exit_status(done)


def verify_pair(settings: Settings, original: Path, cloaked: Path, surrogates: bool, as_json: bool) -> int:
    """Print the verdict on `cloaked` as a copy of `original` and return the exit status."""
    policy = settings.policy
    with work(settings.models, settings.device) as (crew, spool):
        first = snapshot(original.resolve().parent, Path(original.resolve().name), spool)
        second = snapshot(cloaked.resolve().parent, Path(cloaked.resolve().name), spool)
        request: Message = {
            "do": "verify",
            "original": str(first.path),
            "released": str(second.path),
            "far": policy.protect.far,
            "views": list(policy.protect.views),
            "smallest_px": policy.faces.smallest_px,
            "faces": None,
        }
        verdict = VERDICT.validate_python(crew.ask_verifier(request))
    if as_json:
        print_json({"original": str(original), "cloaked": str(cloaked), "verdict": verdict_json(verdict)})
    else:
        _print_verdict(verdict, cloaked, surrogates)
    return OK if verdict.protected else DEGRADED


@contextmanager
def work(models: Models, device: str) -> Iterator[tuple[Crew, Path]]:
    """Yield the processes, loaded, and a private folder that is removed at the end."""
    spool_root = state_dir() / "spool"
    spool_root.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool_root) as spool, Crew(models, device, data_dir()) as crew:
        crew.start()
        yield crew, Path(spool)


class Bar:
    """The progress of a command on the terminal, on standard error: silent where that is no terminal."""

    def __init__(self, progress: Progress, photos: int) -> None:
        self._progress = progress
        self._photos = photos
        self._task = progress.add_task("", total=photos, stage="")
        self._begun = 0

    def begin(self, name: str) -> None:
        """Go on to the next photo."""
        self._begun += 1
        self._progress.update(self._task, completed=self._begun - 1, description=escape(name), stage="")

    def report(self, progress: Message) -> None:
        """Show the stage that the photo is in."""
        share = progress["done"] / max(progress["of"], 1) if "of" in progress else 0.0
        detail = f" {progress['done']:.0f}/{progress['of']}" if "of" in progress else ""
        self._progress.update(self._task, completed=self._begun - 1 + 0.9 * share, stage=progress["stage"] + detail)

    def say(self, done: Done, surrogates: bool) -> None:
        """Print what became of a photo, above the bar."""
        colour = {"published": "green", "held": "yellow", "skipped": "yellow", "error": "red"}[done.status]
        where = f" -> {escape(printable(done.published))}" if done.published else ""
        console = Console()
        console.print(
            f"[bold]{escape(printable(done.name))}[/bold]: [{colour}]{done.status}[/{colour}]{where}: "
            f"{escape(done.message)}",
            soft_wrap=True,
            highlight=False,
        )
        if done.outcome is not None:
            for note in done.outcome.notes:
                console.print(f"  note: {escape(note)}", soft_wrap=True, highlight=False)
            if done.outcome.verdict.faces:
                console.print(verdict_table(done.outcome.verdict, done.outcome.strengths, surrogates), soft_wrap=True)


@contextmanager
def progress_bar(photos: int, quiet: bool) -> Iterator[Bar]:
    """Yield a progress bar over `photos` photos."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        yield Bar(progress, photos)


def exit_status(done: Sequence[Done]) -> int:
    """Return 1 where a photo failed, 4 where one was held, 0 otherwise."""
    found = {each.status for each in done}
    return ERROR if "error" in found else DEGRADED if "held" in found else OK


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2) + "\n")


def released_name(relative: Path, policy: Policy) -> Path:
    """Return the published name of a photo, by the policy's template and format."""
    wanted = policy.output.format
    suffix = relative.suffix if wanted == "same" else SUFFIXES[wanted]
    return relative.with_name(policy.output.name.format(stem=relative.stem, suffix=suffix))


def _cloak_one(crew: Crew, policy: Policy, photo: Path, output: Path, spool: Path, bar: Bar) -> Done:
    name = printable(photo)
    bar.begin(name)
    try:
        real = photo.resolve()
        taken = snapshot(real.parent, Path(real.name), spool)
        outcome = protect(crew, taken.path, photo.name, policy, spool, bar.report)
        if outcome.decision != "publish":
            return Done(name, "held" if outcome.decision == "hold" else "skipped", outcome.reason, None, outcome)
        wanted = released_name(Path(photo.name), policy)
        placed = publish(outcome.candidate, output, wanted, outcome.verdict.sha256)
    except (UncnnError, OSError) as error:
        return Done(name, "error", str(error))
    return Done(name, "published", outcome.reason, placed, outcome)


def _config(explicit: Path | None) -> Config:
    """Return the named configuration, the user's where there is one, or the defaults."""
    try:
        path = find_config(explicit)
    except ConfigError:
        import os

        if explicit is not None or "UNCNN_CONFIG" in os.environ:
            raise
        return Config()
    return load(path)


def _policy(config: Config, name: str | None) -> Policy:
    if name is None:
        return next(iter(config.policies.values()), Policy())
    if name not in config.policies:
        raise SettingsError(f"--policy {name!r}: the configuration has {', '.join(config.policies)}")
    return config.policies[name]


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

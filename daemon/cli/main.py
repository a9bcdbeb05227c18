"""The commands. Nothing heavy is imported before a command needs it: `--help` and `status` answer at once."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli import jobs
from uncnn.daemon.cli.archive import app as archive_commands
from uncnn.daemon.cli.audit import audit
from uncnn.daemon.cli.augment import augment
from uncnn.daemon.cli.config import app as config_commands
from uncnn.daemon.cli.evaluate import evaluate
from uncnn.daemon.cli.explain import explain
from uncnn.daemon.cli.inspect import inspect
from uncnn.daemon.cli.live import live
from uncnn.daemon.cli.models import app as models_commands
from uncnn.daemon.cli.options import (
    AttackName,
    Commands,
    ConfigFile,
    Device,
    FirstStrength,
    Json,
    Licence,
    Parameters,
    PolicyName,
)
from uncnn.daemon.cli.people import app as people_commands
from uncnn.daemon.cli.plugins import app as plugins_commands
from uncnn.daemon.cli.serve import serve
from uncnn.daemon.cli.service import app as service_commands
from uncnn.daemon.cli.web import web
from uncnn.daemon.output import USAGE

app = Commands(
    "uncnn-daemon",
    "Change the faces in your own photos a little, so that face recognisers stop linking the photos to you.",
    completion=True,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"uncnn-daemon {version('uncnn')}")
        raise typer.Exit


@app.callback()
def options(
    asked: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command: they have done their work by now."""


@app.command("help")
def help_command(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="A command, such as `held list`.", show_default=False)
    ] = None,
) -> None:
    """Explain a command and its options.

    Example: uncnn-daemon help held list
    """
    app([*(words or ()), "--help"], prog_name=context.find_root().info_name)


@app.command()
def cloak(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Photos, folders (with their subfolders), or video files. Originals are not changed.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the cloaked copies.")],
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: AttackName = None,
    strength: FirstStrength = None,
    parameter: Parameters = None,
    licence: Licence = None,
    device: Device = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            help="A machine of your own that changes faces, such as ssh://box or https://box:8488; default: the"
            " configuration's servers. Can be repeated."
        ),
    ] = None,
    surrogates: Annotated[
        bool, typer.Option("--all", help="Also list the attacked recognisers in the tables.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the device, the sandbox, and a table for every photo.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Cloak all photos, also those that were done before.")] = False,
    json: Json = False,
) -> None:
    """Cloak photos and publish the copies that are protected.

    A copy is published only if no recogniser links it to its original. Otherwise the photo is held: `held list` lists
    it, `held show` shows it, and `held release` publishes it anyway. Photos in subfolders are cloaked too, into
    subfolders of the same names. A photo that was cloaked before into the same folder is skipped if its content, the
    policy and the models are the same. For more than 10 photos, tables are printed only with --all or --verbose. While
    the service runs with the same models on the same device, they are not loaded once more.

    A video file (MP4, QuickTime, Matroska, WebM) is cloaked the same way, also one in a folder, after the photos. It
    needs the extra `video` and takes minutes; a command that was stopped continues where it was.

    With --server the faces are changed on another machine, over ssh or TLS: it sees them, and nothing else of a photo.
    Copies are made and judged here. Where no server answers, faces are changed here.

    Exit status: 0 all photos published, 1 a photo could not be read or written, 4 a photo was held, 6 all photos
    published, but an uncertain face was left unchanged: it may be an animal, or the policy says `uncertain: publish`.

    Example: uncnn-daemon cloak holiday.jpg party.png -o cloaked/

    Example: uncnn-daemon cloak ~/Pictures/2024 -o ~/Pictures/Cloaked

    Example: uncnn-daemon cloak clip.mp4 -o cloaked/

    Example: uncnn-daemon cloak ~/Pictures/2024 -o ~/Pictures/Cloaked --server ssh://box
    """
    from uncnn.daemon.commands.cloak import cloak_photos
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, policy, attack, strength, parameter, licence, device, servers=server)
    raise typer.Exit(cloak_photos(settings, photos, output, surrogates, json, verbose, again))


@app.command()
def verify(
    original: Annotated[Path, typer.Argument(help="The original photo.", show_default=False)],
    cloaked: Annotated[Path, typer.Argument(help="The cloaked copy.", show_default=False)],
    config: ConfigFile = None,
    policy: PolicyName = None,
    licence: Licence = None,
    device: Device = None,
    surrogates: Annotated[bool, typer.Option("--all", help="Also list the attacked recognisers in the table.")] = False,
    json: Json = False,
) -> None:
    """Check whether any recogniser links a copy to its original.

    Exit status: 0 protected, 1 error, 4 not protected, 5 no face was found, so nothing could be checked.

    Example: uncnn-daemon verify holiday.jpg cloaked/holiday.jpg
    """
    from uncnn.daemon.commands.verify import verify_pair
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, policy, None, None, None, licence, device)
    raise typer.Exit(verify_pair(settings, original, cloaked, surrogates, json))


@app.command()
def compare(
    original: Annotated[Path, typer.Argument(help="The original photo; a folder with --blind.", show_default=False)],
    copy: Annotated[Path, typer.Argument(help="The cloaked copy; a folder with --blind.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file to write: a picture (.png) or a page to flip through (.html). "
            "Default: comparison.html, blinded.html with --blind.",
            show_default=False,
        ),
    ] = None,
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Write a test for people: a page that asks which version was changed."),
    ] = False,
    config: ConfigFile = None,
    licence: Licence = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Compare a photo with its copy, as pictures and in figures.

    Compares the whole photo, and each face. What it writes shows the faces: store it as carefully as the photos.

    --blind: the page asks which one was changed, and whether both are the same person of the same age, without saying
    which is the copy; originals that were only encoded are among them. It works out rates and intervals, and sends
    nothing.

    Exit status: 0 written, 1 error.

    Example: uncnn-daemon compare holiday.jpg cloaked/holiday.jpg -o comparison.html

    Example: uncnn-daemon compare photos/ cloaked/ --blind -o blinded.html
    """
    from uncnn.daemon.commands.blinded import blind_test
    from uncnn.daemon.commands.compare import compare_photos
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, None, None, None, None, licence, device, any_policy=True)
    if blind:
        raise typer.Exit(blind_test(settings, original, copy, output or Path("blinded.html"), json))
    raise typer.Exit(compare_photos(settings, original, copy, output or Path("comparison.html"), json))


@app.command()
def run(
    config: ConfigFile = None,
    once: Annotated[bool, typer.Option("--once", help="Cloak the photos that are there now, then exit.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="With --once: print JSON (schema_version 2) instead of text.")
    ] = False,
) -> None:
    """Watch folders and publish a cloaked copy of every new photo.

    Runs until it is stopped. SIGTERM stops it within 10 s, SIGHUP reloads the configuration, SIGUSR1 scans all folders.

    Exit status: 78 the configuration is wrong. With --once also: 0 all photos published, 1 a photo could not be read or
    written, 4 a photo was held, 6 all photos published, but an uncertain face was left unchanged.

    Example: uncnn-daemon run --config config.yaml
    """
    if once:
        from uncnn.daemon.commands.run_once import run_once

        raise typer.Exit(run_once(config, json))
    if json:
        typer.echo("--json needs --once; for a running service use uncnn-daemon status --json", err=True)
        raise typer.Exit(USAGE)
    from uncnn.daemon.service.loop import run_service

    raise typer.Exit(run_service(config))


@app.command()
def reload() -> None:
    """Tell the running service to reload its configuration.

    If the new configuration is wrong, the service keeps the old one, and `status` says so.

    Exit status: 0 it is reloaded, 3 no service is running, 78 the configuration is wrong.

    Example: uncnn-daemon reload
    """
    from uncnn.daemon.commands.requests import reload as ask_for_reload

    raise typer.Exit(ask_for_reload())


@app.command()
def scan(
    again: Annotated[
        bool, typer.Option("--reprocess", help="Also cloak photos again whose policy has changed since.")
    ] = False,
) -> None:
    """Let the running service scan all folders now, and say how many photos there are to cloak.

    Exit status: 0 the folders were scanned, 3 no service is running, 4 a folder is blocked.

    Example: uncnn-daemon scan --reprocess
    """
    from uncnn.daemon.commands.requests import scan as ask_for_scan

    raise typer.Exit(ask_for_scan(again))


@app.command()
def status(
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Update it every 2 seconds, until Ctrl-C.")] = False,
) -> None:
    """Show the state of the service, its folders and your photos.

    Lists for each folder what was published and what waits, and names everything that needs your attention. Also works
    while the service is stopped.

    Exit status: 0 running without problems, 3 not running, 4 something needs your attention.

    Example: uncnn-daemon status --watch
    """
    from uncnn.daemon.commands.status import print_status, watch_status

    raise typer.Exit(watch_status() if watch else print_status(json))


@app.command()
def notify(
    config: ConfigFile = None,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every address.")] = False,
    json: Json = False,
) -> None:
    """Send the waiting message (e-mail, ntfy, ...), or a test message.

    The addresses are in the file named by `service.apprise`. The service has no network access, so it starts this
    command itself; you need it only for --test. A message contains the number of photos that need your attention; their
    names only with `service.notify_names: true`.

    Exit status: 0 sent, or nothing to send, 1 an address could not be reached.

    Example: uncnn-daemon notify --test
    """
    from uncnn.daemon.notice.sender import send_notice

    raise typer.Exit(send_notice(config, test, json))


app.command()(audit)
app.command()(inspect)
app.command()(explain)
app.command()(evaluate)
app.command()(augment)
app.command()(live)
app.command()(web)
app.command()(serve)
app.command()(jobs.jobs)
app.command()(jobs.retry)
app.add_typer(jobs.held)
app.add_typer(archive_commands)
app.add_typer(config_commands)
app.add_typer(models_commands)
app.add_typer(people_commands)
app.add_typer(plugins_commands)
app.add_typer(service_commands)

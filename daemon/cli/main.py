"""The commands. Nothing heavy is imported before a command needs it: `--help` and `status` answer at once."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.answers import USAGE
from uncnn.daemon.cli import jobs
from uncnn.daemon.cli.audit import audit
from uncnn.daemon.cli.config import app as config_commands
from uncnn.daemon.cli.evaluate import evaluate
from uncnn.daemon.cli.inspection import inspect
from uncnn.daemon.cli.models import app as models_commands
from uncnn.daemon.cli.options import Commands, ConfigFile, Device, Json, Licence, PolicyName
from uncnn.daemon.cli.people import app as people_commands
from uncnn.daemon.cli.plugins import app as plugins_commands
from uncnn.daemon.cli.service import app as service_commands

app = Commands(
    "uncnn-daemon",
    "Cloak the faces in your own photos: people see the same photo, face recognisers do not link it to you.",
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
        list[str] | None, typer.Argument(metavar="COMMAND", help="As `held list`.", show_default=False)
    ] = None,
) -> None:
    """Print what a command does, and its options.

    Example: uncnn-daemon help held list
    """
    app([*(words or ()), "--help"], prog_name=context.find_root().info_name)


@app.command()
def cloak(
    photos: Annotated[
        list[Path],
        typer.Argument(help="Photos, and folders with all that is below them; only read.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that the cloaked copies go to.")],
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: Annotated[str | None, typer.Option(help="The attack; default: the policy's.")] = None,
    strength: Annotated[str | None, typer.Option(help="subtle, balanced, strong or utmost: tried first.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--set", help="An attack's parameter, as steps=20. Repeatable.")
    ] = None,
    licence: Licence = None,
    device: Device = None,
    surrogates: Annotated[bool, typer.Option("--all", help="List the attacked recognisers in the table too.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on which device, and what protects you from the files.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Cloak also what was done before, whatever came of it.")
    ] = False,
    json: Json = False,
) -> None:
    """Cloak photos and release those whose protection was shown.

    Of a folder, what lies below it is cloaked too, and the copies lie as the photos do. A photo that was done before
    into this output, with the same content, policy and models, is passed over. One that is not protected is not
    released: it is in `held list`, and `held show` and `held release` see to it. Of more than 10 photos each has a line
    alone, unless --all or --verbose asks for the tables. Exit status: 0 all released, 1 a photo could not be read or
    written, 4 a photo was held, 6 all were released, and one with a face in doubt as it was: it may be an animal's, or
    the policy says uncertain: publish. Photos without a face are counted at the end.

    Example: uncnn-daemon cloak holiday.jpg party.png -o cloaked/

    Example: uncnn-daemon cloak ~/Pictures/2024 -o ~/Pictures/Cloaked
    """
    from uncnn.daemon.cloak import cloak_photos
    from uncnn.daemon.commands import settings_for

    settings = settings_for(config, policy, attack, strength, parameter, licence, device)
    raise typer.Exit(cloak_photos(settings, photos, output, surrogates, json, verbose, again))


@app.command()
def verify(
    original: Annotated[Path, typer.Argument(help="The photo as it was.", show_default=False)],
    cloaked: Annotated[Path, typer.Argument(help="The cloaked copy.", show_default=False)],
    config: ConfigFile = None,
    policy: PolicyName = None,
    licence: Licence = None,
    device: Device = None,
    surrogates: Annotated[bool, typer.Option("--all", help="List the attacked recognisers in the table too.")] = False,
    json: Json = False,
) -> None:
    """Ask every recogniser whether a cloaked copy still shows the person of the original.

    Exit status: 0 protected, 1 error, 4 not protected, 5 no face to protect was found, so nothing was shown.

    Example: uncnn-daemon verify holiday.jpg cloaked/holiday.jpg
    """
    from uncnn.daemon.commands import settings_for, verify_pair

    settings = settings_for(config, policy, None, None, None, licence, device)
    raise typer.Exit(verify_pair(settings, original, cloaked, surrogates, json))


@app.command()
def compare(
    original: Annotated[Path, typer.Argument(help="The photo as it was.", show_default=False)],
    copy: Annotated[Path, typer.Argument(help="The cloaked copy.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A picture (.png), or a page that shows both in turns (.html).")
    ] = Path("comparison.html"),
    config: ConfigFile = None,
    licence: Licence = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show two versions of a photo side by side, in turns, and in figures: the whole photo, and each face.

    What it writes shows the faces: keep it as you keep the photos. Exit status: 0 written, 1 error.

    Example: uncnn-daemon compare holiday.jpg cloaked/holiday.jpg -o comparison.html
    """
    from uncnn.daemon.commands import settings_for
    from uncnn.daemon.compare.command import compare_photos

    settings = settings_for(config, None, None, None, None, licence, device, any_policy=True)
    raise typer.Exit(compare_photos(settings, original, copy, output, json))


@app.command()
def run(
    config: ConfigFile = None,
    once: Annotated[bool, typer.Option("--once", help="Cloak what is in the watched folders now, then exit.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --once: print JSON (schema_version 2).")] = False,
) -> None:
    """Watch folders, cloak the photos that come and release them into the publish folders, until it is stopped.

    SIGTERM ends it within 10 s, SIGHUP reads the configuration again, SIGUSR1 looks at every folder at once. With
    --once: exit status 0 everything released, 1 a photo could not be read or written, 4 a photo was held. 78: the
    configuration is wrong.

    Example: uncnn-daemon run --config config.yaml
    """
    if once:
        from uncnn.daemon.once import run_once

        raise typer.Exit(run_once(config, json))
    if json:
        typer.echo("--json goes with --once: see uncnn-daemon status --json for the service", err=True)
        raise typer.Exit(USAGE)
    from uncnn.daemon.service.loop import run_service

    raise typer.Exit(run_service(config))


@app.command()
def reload() -> None:
    """Let the service read its configuration again, as SIGHUP does.

    A wrong one is refused, and the old one kept: `status` says so. Exit status: 0 asked, 3 no service is at work.

    Example: uncnn-daemon reload
    """
    from uncnn.daemon.asking import reload as ask_for_reload

    raise typer.Exit(ask_for_reload())


@app.command()
def scan(
    again: Annotated[
        bool, typer.Option("--reprocess", help="Do photos again that were done under another policy than now.")
    ] = False,
) -> None:
    """Let the service look at every folder now, without waiting for events or the next round.

    Exit status: 0 asked, 3 no service is at work.

    Example: uncnn-daemon scan --reprocess
    """
    from uncnn.daemon.asking import scan as ask_for_scan

    raise typer.Exit(ask_for_scan(again))


@app.command()
def status(
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show it anew every 2 seconds.")] = False,
) -> None:
    """Show what the service does and did: per folder what was released, what waits, what needs you.

    Works with the service stopped. Exit status: 0 healthy, 3 not running, 4 something needs you.

    Example: uncnn-daemon status --watch
    """
    from uncnn.daemon.status import print_status, watch_status

    raise typer.Exit(watch_status() if watch else print_status(json))


@app.command()
def notify(
    config: ConfigFile = None,
    test: Annotated[bool, typer.Option("--test", help="Send a test message.")] = False,
    json: Json = False,
) -> None:
    """Send what needs you to the addresses of `service.apprise`, where a message waits to be sent.

    The service does it by itself; it has no network, so this is a process of its own. Numbers are sent, and names of
    photos only with `service.notify_names: true`. Exit status: 0 sent or nothing to send, 1 an address was not reached.

    Example: uncnn-daemon notify --test
    """
    from uncnn.daemon.notice.sender import send_notice

    raise typer.Exit(send_notice(config, test, json))


app.command()(audit)
app.command()(inspect)
app.command()(evaluate)
app.command()(jobs.jobs)
app.command()(jobs.retry)
app.add_typer(jobs.held)
app.add_typer(config_commands)
app.add_typer(models_commands)
app.add_typer(people_commands)
app.add_typer(plugins_commands)
app.add_typer(service_commands)

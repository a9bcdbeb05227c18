"""The commands of `uncnn-daemon models`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile, DeviceOrAuto, Json, Licence

app = Commands("models", "Recognisers and the detector: list, pull, add your own, check, calibrate, remove.")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Names = Annotated[list[str] | None, typer.Argument(help="Names of models; see `models list`.", show_default=False)]


@app.command("list")
def list_models(
    config: ConfigFile = None,
    licence: Licence = None,
    every: Annotated[bool, typer.Option("--all", help="Also what is for research only and not installed.")] = False,
    json: Json = False,
) -> None:
    """List the models that are installed and those that can be pulled.

    Example: uncnn-daemon models list --all
    """
    from uncnn.daemon.models.listing import print_models

    raise typer.Exit(print_models(_licences(config, licence), every, json))


@app.command()
def pull(
    names: Names = None,
    pack: Annotated[str | None, typer.Option(help="small (about 25 MB), strong (large networks) or all.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", help="Take the files, by their names, from this folder.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(envvar="UNCNN_MIRROR", help="Take the files from URL/<file name>.", show_default=False)
    ] = None,
    config: ConfigFile = None,
    licence: Licence = None,
    force: Annotated[
        bool, typer.Option("--force", help="Again, even what is there and sound; its calibration is reset.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch models from where they were published, check and convert them, and install them.

    Files are checked by their size and SHA-256 before anything is used; a pull that was cut off goes on where it was.
    A model whose licence the configuration does not accept is not fetched. Exit status: 0 all are there, 1 one failed,
    or one that was named is refused.

    Example: uncnn-daemon models pull --pack small --licence research
    """
    from uncnn.daemon.models.pulling import Asked, pull_models

    asked = Asked(tuple(names or ()), pack, mirror, folder, force)
    raise typer.Exit(pull_models(asked, _licences(config, licence), json))


@app.command()
def add(
    files: Annotated[
        list[Path], typer.Argument(help="The model: one file, or both of a format that has two.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(help="What it is called; default: the file's name.")] = None,
    role: Annotated[str | None, typer.Option(help="surrogate (attacked) or judge (only judges).")] = None,
    template: Annotated[
        str | None,
        typer.Option(help="arcface-112, sphereface-112x96, openvino-128, dlib-150 or 'x,y x,y x,y x,y x,y'."),
    ] = None,
    order: Annotated[str | None, typer.Option(help="RGB or BGR.")] = None,
    mean: Annotated[str | None, typer.Option(help="Of grey levels 0..255: one number, or a,b,c.")] = None,
    std: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    metric: Annotated[str | None, typer.Option(help="cosine or euclidean.")] = None,
    licence_name: Annotated[str | None, typer.Option(help="The licence of the weights.")] = None,
    licence_use: Annotated[str | None, typer.Option(help="permissive or research.")] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="The network of a checkpoint, if its keys do not tell; 112x112 for an ONNX file of any size."
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="onnx, checkpoint, mxnet, openvino, espdl or dlib; default: by the ending."),
    ] = None,
    faces: Annotated[
        Path | None, typer.Option("--calibrate", help="A folder of faces, one folder a person, for the thresholds.")
    ] = None,
    device: DeviceOrAuto = "auto",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take what is usual for what is not given.")] = False,
    json: Json = False,
) -> None:
    """Add a recogniser of your own: convert it, write its card, prove that it can be attacked and checked.

    What the file does not say is asked for on a terminal, and has to be given by options elsewhere. Without
    --calibrate it has no thresholds, and is not used before `models calibrate`.

    Example: uncnn-daemon models add mine.onnx --order BGR --calibrate ~/faces
    """
    from uncnn.daemon.models.adding import add_model

    given = {"name": name, "role": role, "template": template, "order": order, "mean": mean, "std": std}
    given |= {"metric": metric, "licence-name": licence_name, "licence-use": licence_use}
    raise typer.Exit(add_model(files, given, architecture, format_name, faces, device, yes, json))


@app.command()
def check(
    names: Names = None,
    faces: Annotated[
        Path | None, typer.Option(help="A folder of faces, one folder a person: measures the accuracy too.")
    ] = None,
    device: DeviceOrAuto = "auto",
    json: Json = False,
) -> None:
    """Check installed models: hashes, cards, torch against ONNX Runtime, thresholds, accuracy.

    Exit status: 0 all sound, 4 one has a fault, 1 one is not installed.

    Example: uncnn-daemon models check openvino-0095 --faces ~/faces
    """
    from uncnn.daemon.models.checking import check_models

    raise typer.Exit(check_models(names or (), faces, device, json))


@app.command()
def calibrate(
    names: Names = None,
    faces: Annotated[
        Path, typer.Option(help="A folder of faces: one folder a person, or one photo of each of many people.")
    ] = ...,  # type: ignore[assignment] # typer's way to say that it has to be given
    called: Annotated[
        str | None, typer.Option("--called", help="What the card calls the data; default: the folder.")
    ] = None,
    device: DeviceOrAuto = "auto",
    json: Json = False,
) -> None:
    """Measure thresholds at FAR 1e-2, 1e-3 and 1e-4 on faces of yours, and write them to the cards.

    All thresholds before are replaced. Embeddings are never kept. Only models in uncnn's data directory are changed.
    Exit status: 0 all done, 1 one failed.

    Example: uncnn-daemon models calibrate w600k_r50 --faces ~/lfw
    """
    from uncnn.daemon.models.calibrating import calibrate_models

    raise typer.Exit(calibrate_models(names or (), faces, called, device, json))


@app.command()
def remove(names: Names = None, yes: Yes = False, json: Json = False) -> None:
    """Remove models from uncnn's data directory; models elsewhere are left alone.

    Example: uncnn-daemon models remove mobileface-v2
    """
    from uncnn.daemon.models.removing import remove_models

    raise typer.Exit(remove_models(names or (), yes, json))


def _licences(config: Path | None, licence: list[str] | None) -> tuple[str, ...]:
    """Return the licences that the configuration and the command line accept."""
    from uncnn.daemon.commands import settings_for

    return settings_for(config, None, None, None, None, licence, None, any_policy=True).models.licences

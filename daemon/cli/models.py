"""The commands of `uncnn-daemon models`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile, DeviceOrAuto, Json, Licence

app = Commands("models", "List, download, add, check and remove recognisers.")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Names = Annotated[
    list[str] | None, typer.Argument(help="Names of models, as `models list` lists them.", show_default=False)
]


@app.command("list")
def list_models(
    config: ConfigFile = None,
    licence: Licence = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also list research-only models that are not installed.")
    ] = False,
    json: Json = False,
) -> None:
    """List the installed models and those that can be downloaded.

    Example: uncnn-daemon models list --all
    """
    from uncnn.daemon.commands.models.list_models import print_models

    raise typer.Exit(print_models(_licences(config, licence), every, json))


@app.command()
def pull(
    names: Names = None,
    pack: Annotated[
        str | None, typer.Option(help="A set of models: small (about 25 MB), strong (large networks) or all.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", help="Take the files from this folder instead of downloading them.")
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(envvar="UNCNN_MIRROR", help="Download the files from URL/<file name>.", show_default=False),
    ] = None,
    config: ConfigFile = None,
    licence: Licence = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace models that are installed; this resets their calibration.")
    ] = False,
    json: Json = False,
) -> None:
    """Download models from their publishers, convert and install them.

    The size and SHA-256 of every file are checked before it is used. An interrupted download continues where it
    stopped. Models whose licence is not accepted (by --licence or `models.licences`) are not downloaded.

    Exit status: 0 all models are installed, 1 a model failed or was refused.

    Example: uncnn-daemon models pull --pack small --licence research
    """
    from uncnn.daemon.commands.models.pull import Asked, pull_models

    asked = Asked(tuple(names or ()), pack, mirror, folder, force)
    raise typer.Exit(pull_models(asked, _licences(config, licence), json))


@app.command()
def add(
    files: Annotated[
        list[Path],
        typer.Argument(help="The file of the model, or both files where its format has two.", show_default=False),
    ],
    name: Annotated[str | None, typer.Option(help="The model's name; default: the name of the file.")] = None,
    role: Annotated[str | None, typer.Option(help="surrogate (is attacked) or judge (only verifies copies).")] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="How faces are aligned: arcface-112, sphereface-112x96, openvino-128, dlib-150, or the five points "
            "'x,y x,y x,y x,y x,y'."
        ),
    ] = None,
    order: Annotated[str | None, typer.Option(help="The order of the colour channels: RGB or BGR.")] = None,
    mean: Annotated[
        str | None, typer.Option(help="The mean to subtract, on a scale of 0 to 255: one number, or a,b,c.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="The standard deviation to divide by, on the same scale: one number, or a,b,c.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="How embeddings are compared: cosine or euclidean.")] = None,
    licence_name: Annotated[str | None, typer.Option(help="The name of the weights' licence.")] = None,
    licence_use: Annotated[str | None, typer.Option(help="What it permits: permissive or research.")] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="The network of a checkpoint, if it cannot be recognised; or the input size of an ONNX file that has "
            "none, such as 112x112."
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", help="onnx, checkpoint, mxnet, openvino, espdl or dlib; default: by the file extension."
        ),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            "--calibrate", help="Calibrate thresholds on this folder of face photos: one subfolder per person."
        ),
    ] = None,
    device: DeviceOrAuto = "auto",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: use the usual values.")] = False,
    json: Json = False,
) -> None:
    """Add your own recogniser: convert it, describe it and test it.

    On a terminal it asks for what the file does not say; elsewhere give it as options. Without --calibrate the model
    has no thresholds, and is not used until you run `models calibrate`.

    Example: uncnn-daemon models add mine.onnx --order BGR --calibrate ~/faces
    """
    from uncnn.daemon.commands.models.add import add_model

    given = {"name": name, "role": role, "template": template, "order": order, "mean": mean, "std": std}
    given |= {"metric": metric, "licence-name": licence_name, "licence-use": licence_use}
    raise typer.Exit(add_model(files, given, architecture, format_name, faces, device, yes, json))


@app.command()
def check(
    names: Names = None,
    faces: Annotated[
        Path | None,
        typer.Option(help="Also measure the accuracy on this folder of face photos: one subfolder per person."),
    ] = None,
    device: DeviceOrAuto = "auto",
    json: Json = False,
) -> None:
    """Check the installed models.

    Checks hashes, cards and thresholds, and that PyTorch and ONNX Runtime compute the same embeddings.

    Exit status: 0 all models are right, 4 a model has a fault, 1 a model is not installed.

    Example: uncnn-daemon models check openvino-0095 --faces ~/faces
    """
    from uncnn.daemon.commands.models.check import check_models

    raise typer.Exit(check_models(names or (), faces, device, json))


@app.command()
def calibrate(
    names: Names = None,
    faces: Annotated[
        Path,
        typer.Option(help="A folder of face photos: one subfolder per person, or one photo each of many people."),
    ] = ...,  # type: ignore[assignment] # typer's way to say that it has to be given
    called: Annotated[
        str | None,
        typer.Option("--called", help="A name for these photos, for the model's card; default: the folder's name."),
    ] = None,
    device: DeviceOrAuto = "auto",
    json: Json = False,
) -> None:
    """Measure a model's thresholds on your own face photos.

    Writes the thresholds at false accept rates of 1e-2, 1e-3 and 1e-4 to the model's card, in place of the old ones. No
    embeddings are stored. Only models in uncnn's data directory are changed.

    Exit status: 0 all models calibrated, 1 a model failed.

    Example: uncnn-daemon models calibrate w600k_r50 --faces ~/lfw
    """
    from uncnn.daemon.commands.models.calibrate import calibrate_models

    raise typer.Exit(calibrate_models(names or (), faces, called, device, json))


@app.command()
def remove(names: Names = None, yes: Yes = False, json: Json = False) -> None:
    """Remove models from uncnn's data directory.

    Included models, and models in folders of $UNCNN_MODELS, are not removed.

    Example: uncnn-daemon models remove mobileface-v2
    """
    from uncnn.daemon.commands.models.remove import remove_models

    raise typer.Exit(remove_models(names or (), yes, json))


def _licences(config: Path | None, licence: list[str] | None) -> tuple[str, ...]:
    """Return the licences that the configuration and the command line accept."""
    from uncnn.daemon.settings import settings_for

    return settings_for(config, None, None, None, None, licence, None, any_policy=True).models.licences

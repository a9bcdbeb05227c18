"""The command `uncnn-daemon explain`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Device, Json, Licence, PolicyName


def explain(
    photo: Annotated[Path, typer.Argument(help="The photo; it is not changed.", show_default=False)],
    gallery: Annotated[
        Path | None,
        typer.Option(
            "--gallery",
            help="People to compare with besides those who are enrolled: a folder with a folder of photos for each, or "
            "with a photo of each. The names are those of the folders or photos.",
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A cloaked copy of the photo, which is explained beside it.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture (.png) with the faces, and a bar a name."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option("--classifier", help="Also ask a closed-set classifier of your own: an ONNX file; needs --names."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="The names of its classes: a text file with a name a line, in the order of its output."),
    ] = None,
    order: Annotated[str, typer.Option(help="The order of the classifier's colour channels: RGB or BGR.")] = "RGB",
    mean: Annotated[
        float, typer.Option(min=0, max=255, help="The mean that it subtracts, on a scale of 0 to 255.")
    ] = 127.5,
    std: Annotated[
        float, typer.Option(min=0.001, max=255, help="The standard deviation that it divides by, on the same scale.")
    ] = 127.5,
    config: ConfigFile = None,
    policy: PolicyName = None,
    licence: Licence = None,
    device: Device = None,
    surrogates: Annotated[bool, typer.Option("--all", help="Also ask the attacked recognisers.")] = False,
    json: Json = False,
) -> None:
    """Explain whom recognisers take the faces of a photo for.

    Every judge compares each face with the enrolled people, with those of --gallery, and with 1,000 strangers who do
    not exist, so that nobody real is named who is not yours. It lists the five likeliest names with the chance of each,
    the chance of all others, and that it is none of these. Before the face is looked at, none of these has one chance
    in two. A classifier of your own (--classifier) has to name one of the people that it was trained on, whoever the
    face is; it runs in a sandbox. What it writes shows the faces: store it as carefully as the photos.

    Exit status: 0 explained, 1 error, 5 no face was found.

    Example: uncnn-daemon explain holiday.jpg --against cloaked/holiday.jpg -o explained.png

    Example: uncnn-daemon explain holiday.jpg --classifier mine.onnx --names mine.txt
    """
    from uncnn.daemon.commands.explain import ClassifierFiles, Wanted, explain_photo
    from uncnn.daemon.settings import SettingsError, settings_for

    if (classifier is None) != (names is None):
        raise SettingsError("--classifier and --names belong together: give the ONNX file and the names of its classes")
    if order not in {"RGB", "BGR"}:
        raise SettingsError(f"--order {order}: use RGB or BGR")
    own = None
    if classifier is not None and names is not None:
        own = ClassifierFiles(classifier, names, order, mean, std)

    settings = settings_for(config, policy, None, None, None, licence, device, any_policy=True)
    raise typer.Exit(explain_photo(settings, Wanted(photo, gallery, against, output, surrogates, own), json))

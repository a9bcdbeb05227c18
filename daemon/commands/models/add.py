"""`models add`: a user's own recogniser. What its file says is read, the rest is asked for; then it is proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.daemon.commands.models.calibrate import calibrate_one, calibration_json, read_folder, say_calibration
from uncnn.daemon.commands.models.prompting import interactive
from uncnn.daemon.commands.models.questions import Shape, about, answers, free_name
from uncnn.daemon.files.folders import FolderError, data_dir
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.terminal.results import say_line
from uncnn.daemon.text import printable, system_words
from uncnn.exporters.convert.formats import MODULES, convert, torch_network
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import Format
from uncnn.exporters.registry.choice import ModelsError, uncalibrated
from uncnn.plugins.recognisers.cards import Card, Input, Licence, Source, read_card, sha256_of

if TYPE_CHECKING:
    from onnx import ModelProto

FORMATS: dict[str, Format] = {
    ".onnx": "onnx",
    ".pt": "checkpoint",
    ".pth": "checkpoint",
    ".ckpt": "checkpoint",
    ".safetensors": "checkpoint",
    ".params": "mxnet",
    ".xml": "openvino",
    ".espdl": "espdl",
    ".dat": "dlib",
}
"""By the ending of a file; `.json` and `.bin` come with one of these."""


def add_model(
    files: Sequence[Path],
    given: Mapping[str, str | None],
    architecture: str | None,
    format_name: str | None,
    faces: Path | None,
    device: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Install a recogniser from `files`, with a card of what is `given` by option or asked for; return the exit status.

    Raises:
        SettingsError: an option is wrong, or missing where there is nobody to ask. ModelsError: the name is taken.
        FormatError, BuildError: the files are no recogniser that can be attacked and checked.
    """
    data = data_dir()
    kind = _format(files, format_name)
    if faces is not None and not faces.is_dir():
        raise SettingsError(f"--calibrate {printable(faces)}: there is no such folder")
    if given.get("name") is not None:
        free_name(data, str(given["name"]))
    from uncnn.exporters.convert.build import build  # torch: not before the command makes sense

    with stopped_by_sigterm():
        model = convert(kind, files, architecture)
        card = _card(
            _shape(model, kind, files, architecture), files, kind, given, data, yes, interactive() and not as_json
        )
        network = torch_network(kind, files, architecture)
        try:
            folder = build(model, card, store.models_dir(data), network=network)
        except OSError as error:
            where = printable(store.models_dir(data))
            raise FolderError(f"{where} cannot be written: {system_words(error)[1]}") from error
        place = store.Place(folder, read_card(folder))
        if not as_json:
            say_line(card.name, "added", f" -> {printable(folder)}", "green")
        _calibrate(place, faces, data, device, as_json)
    return OK


def _calibrate(place: store.Place, faces: Path | None, data: Path, device: str, as_json: bool) -> None:
    """Calibrate the new model where there are faces, and say what it is good for."""
    answer = {"name": place.name, "installed": str(place.folder), "calibration": None}
    if faces is None:
        if place.card and not as_json:
            say_line("note", "", uncalibrated(place.card), "yellow")
    else:
        found = calibrate_one(place, read_folder(faces, data, device, None, as_json), device, as_json)
        answer["calibration"] = calibration_json(place.name, found)  # type: ignore[assignment]
        if not as_json:
            say_calibration(place.name, found)
    if as_json:
        print_json(answer)


def _format(files: Sequence[Path], named: str | None) -> Format:
    """Return the format of `files`. Raises SettingsError: it is not known, or a file is missing."""
    for file in files:
        if not file.is_file():
            raise SettingsError(f"{printable(file)}: there is no such file")
    if named is not None:
        if named not in MODULES:
            raise SettingsError(f"--format {named}: choose one of {', '.join(MODULES)}")
        return next(kind for kind in MODULES if kind == named)
    found = {FORMATS[file.suffix.lower()] for file in files if file.suffix.lower() in FORMATS}
    if len(found) != 1:
        names = ", ".join(printable(file.name) for file in files)
        raise SettingsError(f"{names}: the file extension does not tell the format; give --format {', '.join(MODULES)}")
    return found.pop()


def _shape(model: ModelProto, kind: Format, files: Sequence[Path], architecture: str | None) -> Shape:
    """Return the size of the input and of the embedding, as the graph says.

    Raises:
        ModelsError: it does not say.
    """
    values = (model.graph.input[0], model.graph.output[0])
    first, last = ([side.dim_value for side in value.type.tensor_type.shape.dim] for value in values)
    if len(first) != 4 or len(last) != 2 or not (first[2] and first[3] and last[1]):
        raise ModelsError(
            f"{printable(files[0])}: its graph does not give the sizes of input and embedding "
            f"({first} to {last}): export it again with a fixed height and width"
        )
    if kind == "mxnet":
        from uncnn.exporters.convert.formats.mxnet import normalisation

        return Shape(first[2], first[3], last[1], wanted=normalisation(files))
    if kind != "onnx":
        return Shape(first[2], first[3], last[1], normalises_inside=kind == "openvino")
    from uncnn.exporters.convert.formats.onnx_file import describe

    found = describe(files[0], architecture)
    return Shape(first[2], first[3], last[1], found.normalises_inside, found.swaps_channels)


def _card(
    shape: Shape, files: Sequence[Path], kind: Format, given: Mapping[str, str | None], data: Path, yes: bool, ask: bool
) -> Card:
    """Return the card, without what the build measures. Raises SettingsError."""
    said = answers(about(shape, files[0], data), given, yes, ask)
    weights = max(files, key=lambda file: file.stat().st_size)
    return Card(
        name=said["name"],
        family=f"a user's own ({kind})",
        role=said["role"],
        input=Input(height=shape.height, width=shape.width, order=said["order"], mean=said["mean"], std=said["std"]),
        template=said["template"],
        embedding=shape.embedding,
        metric=said["metric"],
        thresholds={},
        calibrated_on="nothing yet",
        source=Source(file=weights.name, sha256=sha256_of(weights)),
        sha256="0" * 64,
        licence=Licence(name=said["licence-name"], use=said["licence-use"]),
    )

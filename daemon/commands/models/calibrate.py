"""`models calibrate`: thresholds from a folder of faces, written to the cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from uncnn.daemon.commands.models.choice import check_ours, chosen
from uncnn.daemon.commands.models.face_reader import face_reader
from uncnn.daemon.files.folders import FolderError, data_dir
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.terminal.counting import counting
from uncnn.daemon.terminal.results import say_line
from uncnn.daemon.text import printable, system_words
from uncnn.exporters.registry import store
from uncnn.exporters.registry.choice import Installed
from uncnn.exporters.registry.pins import no_laxer
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import CardError, rate_text, write_card

if TYPE_CHECKING:
    from uncnn.exporters.calibration.calibrate import Calibration
    from uncnn.exporters.calibration.faces import FaceFolder


def calibrate_models(names: Sequence[str], folder: Path, called: str | None, device: str, as_json: bool) -> int:
    """Calibrate installed recognisers on the faces in `folder`, and return the exit status: 1 where one failed.

    Raises:
        ModelsError: one is not installed, or not uncnn's to change. FacesError: the folder will not do.
        SettingsError: no name is given.
    """
    data = data_dir()
    if not names:
        raise SettingsError("name the models to calibrate: `uncnn-daemon models list` lists them")
    places = chosen(data, names)
    for place in places:
        check_ours(data, place, "calibrate it there")
    done: dict[str, Calibration | str] = {}
    with stopped_by_sigterm():
        faces = read_folder(folder, data, device, called, as_json)
        for place in places:
            try:
                done[place.name] = calibrate_one(place, faces, device, as_json)
            except UncnnError as error:
                done[place.name] = str(error)
            if not as_json:
                say_calibration(place.name, done[place.name])
    if as_json:
        print_json({"models": [calibration_json(name, found) for name, found in done.items()]})
    return ERROR if any(isinstance(found, str) for found in done.values()) else OK


def read_folder(folder: Path, data: Path, device: str, called: str | None, quiet: bool) -> FaceFolder:
    """Return the faces in a folder of photos, found by the detector that a run uses.

    Raises:
        ModelsError: the detector is missing. FacesError: the folder will not do. FolderError: the spool cannot be
        written. RequestError, ProcessDied: the detector does not load.
    """
    from uncnn.exporters.calibration.faces import read_faces

    with face_reader(store.detector_files(data), device) as look, counting("finding faces", quiet) as report:
        return read_faces([folder], look, report, name=called)


def calibrate_one(place: store.Place, faces: FaceFolder, device: str, quiet: bool) -> Calibration:
    """Calibrate one recogniser, write its card, and return what was measured and what of it holds.

    Of a model that the catalog knows no threshold becomes laxer than there.

    Raises:
        CardError: the card or the model is broken. CalibrationError: the faces do not do.
        FolderError: the card cannot be written.
    """
    from uncnn.exporters.calibration.calibrate import apply

    calibration, model = measure(place, faces, device, quiet)
    card, kept = no_laxer(apply(model.card, calibration))
    try:
        write_card(card, model.folder)
    except OSError as error:
        raise FolderError(f"{printable(model.folder)} cannot be written: {system_words(error)[1]}") from error
    return replace(calibration, thresholds=card.thresholds, notes=(*calibration.notes, *kept))


def measure(place: store.Place, faces: FaceFolder, device: str, quiet: bool) -> tuple[Calibration, Installed]:
    """Return the calibration of one recogniser on `faces`, and the recogniser; nothing is written.

    Raises:
        CardError: the card or the model is broken. CalibrationError: the recogniser tells nobody apart.
    """
    from uncnn.exporters.calibration.calibrate import calibrate_faces
    from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
    from uncnn.plugins.recognisers.sessions import providers_for

    if place.card is None:
        raise CardError(place.problem)
    recogniser = OnnxRecogniser.load(place.folder, providers_for(device))
    with counting(place.name, quiet) as report:
        return calibrate_faces(faces, recogniser, report), Installed(place.folder, place.card)


def say_calibration(name: str, found: Calibration | str) -> None:
    """Print what was measured, or why nothing was."""
    if isinstance(found, str):
        say_line(name, "failed", f": {found}", "red")
        return
    parts = []
    for far, value in found.thresholds.items():
        bounds = found.intervals.get(far)
        parts.append(f"{rate_text(far)}: {value:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else ""))
    right = f", accuracy {found.accuracy.value:.2%}" if found.accuracy else ""
    say_line(name, "calibrated", f" on {found.people:,} people: thresholds at FAR {'; '.join(parts)}{right}", "green")
    for note in found.notes:
        Console().print(f"  note: {escape(note)}", soft_wrap=True, highlight=False)


def calibration_json(name: str, found: Calibration | str) -> dict[str, Any]:
    """Return what was measured as JSON values."""
    if isinstance(found, str):
        return {"name": name, "status": "failed", "message": found}
    return {
        "name": name,
        "status": "calibrated",
        "data": found.data,
        "people": found.people,
        "faces": found.faces,
        "pairs": found.impostor_pairs,
        "thresholds": {
            rate_text(far): {"value": value, "interval": found.intervals.get(far)}
            for far, value in found.thresholds.items()
        },
        "accuracy": found.accuracy.value if found.accuracy else None,
        "notes": list(found.notes),
    }

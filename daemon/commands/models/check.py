"""`models check`: hashes, cards, both runtimes, thresholds, and with a folder of faces the accuracy too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uncnn.daemon.commands.models.calibrate import measure, read_folder
from uncnn.daemon.commands.models.choice import chosen
from uncnn.daemon.commands.models.list_models import WIDTH
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.output import DEGRADED, OK, print_json
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.terminal.results import say_line
from uncnn.daemon.text import printable
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import DetectorEntry, read_catalog
from uncnn.exporters.registry.choice import ModelsError
from uncnn.exporters.registry.detectors import PUBLISHED, files_of, second_onnx
from uncnn.exporters.registry.pins import read_pins
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import MODEL_FILE, Card, rate_text, sha256_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from uncnn.exporters.calibration.faces import FaceFolder

FACES = 24  # of a folder's, that both runtimes are shown
LEAST_ACCURACY = 0.8  # of a recogniser worth asking; a coin has 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of a model found."""

    what: str
    sound: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A model and what was found; the checks end with the first that nothing else makes sense after."""

    name: str
    place: Path
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Return whether nothing is wrong."""
        return all(finding.sound for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        findings = [{"what": each.what, "sound": each.sound, "detail": each.detail} for each in self.findings]
        return {"name": self.name, "place": str(self.place), "sound": self.sound, "findings": findings}


def check_models(names: Sequence[str], folder: Path | None, device: str, as_json: bool) -> int:
    """Check installed models, or every one, and return the exit status: 4 where one has a fault.

    Raises:
        ModelsError: one is not installed. FacesError: the folder will not do.
    """
    data = data_dir()
    detectors = {entry.name: entry for entry in read_catalog().detectors}
    recognisers = [name for name in names if name not in detectors]
    places = chosen(data, recognisers) if recognisers or not names else []
    done: list[Checked] = []
    with stopped_by_sigterm():
        faces = read_folder(folder, data, device, None, as_json) if folder and places else None
        if not names or len(recognisers) < len(names):
            done.append(_check_detector(data, [detectors[name] for name in names if name in detectors]))
            if not as_json:
                _say(done[-1])
        for place in places:
            findings = tuple(_findings(place, faces, device, as_json))
            done.append(Checked(place.name, place.folder, findings))
            if not as_json:
                _say(done[-1])
        for checked in _passed_over(data, names, {place.folder for place in places}):
            done.append(checked)
            if not as_json:
                _say(checked)
    if as_json:
        print_json({"models": [checked.as_json() for checked in done]})
    return OK if all(checked.sound for checked in done) else DEGRADED


def _findings(place: store.Place, faces: FaceFolder | None, device: str, quiet: bool) -> Iterator[Finding]:
    """Yield what is found of a recogniser."""
    if place.card is None:
        yield Finding("card", False, " ".join(place.problem.split()))
        return
    if place.differs:
        yield Finding("name", False, f"not the {place.name} that uncnn knows ({place.differs}): it is not used")
    yield _thresholds(place.card)
    try:
        yield from _runtimes(place, place.card, faces)
        yield _canary(place)
        if faces is not None:
            yield _accuracy(place, faces, device, quiet)
    except UncnnError as error:
        yield Finding("model", False, str(error))


def _passed_over(data: Path, names: Sequence[str], seen: Set[Path]) -> Iterator[Checked]:
    """Yield each folder, of these names if any are given, that is not used: it is broken, or not what its name says."""
    for place, words in store.passed_over(data):
        if place.folder not in seen and (not names or place.name in names):
            yield Checked(place.name, place.folder, (Finding("card" if place.card is None else "name", False, words),))


def _thresholds(card: Card) -> Finding:
    if not card.thresholds:
        remedy = f"none: uncnn-daemon models calibrate {card.name} --faces FOLDER"
        return Finding("thresholds", False, remedy)
    rates = ", ".join(rate_text(far) for far in sorted(card.thresholds, reverse=True))
    return Finding("thresholds", True, f"at FAR {rates}, on {card.calibrated_on}")


def _runtimes(place: store.Place, card: Card, faces: FaceFolder | None) -> Iterator[Finding]:
    """Yield the hashes, and what torch and ONNX Runtime say of the same faces, many at once and one alone.

    Raises:
        CardError, GraphError, BuildError: the model is not what its card says.
    """
    from uncnn.exporters.convert.proof import embeddings_of, parity, pictures_of
    from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

    recogniser = load_recogniser(place.folder)
    yield Finding("sha256", True, card.sha256[:16])
    pictures = pictures_of(card, None if faces is None else _crops(card, faces))
    expected = embeddings_of(place.folder / MODEL_FILE, card, pictures)
    yield Finding("any batch", True, f"{len(pictures)} at once as each alone")
    difference = parity(card, [recogniser.network], pictures, expected)
    shown = "fixed pictures" if faces is None else f"{len(pictures)} faces"
    yield Finding("torch = ONNX Runtime", True, f"to {difference:.1e} on {shown}")


def _canary(place: store.Place) -> Finding:
    """Return what it says of a known pair and of strangers. Raises CardError, CanaryError."""
    from uncnn.plugins.recognisers.canaries import check_recognisers
    from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

    check_recognisers([OnnxRecogniser.load(place.folder, ["CPUExecutionProvider"])])
    return Finding("canary", True, "links a known pair and no strangers")


def _crops(card: Card, faces: FaceFolder) -> npt.NDArray[np.uint8]:
    """Return aligned crops of a folder's first faces, (N, H, W, 3) uint8 RGB."""
    from uncnn.plugins.geometry import similarities
    from uncnn.plugins.recognisers.onnx_recogniser import crop

    chosen_faces = faces.faces[:FACES]
    matrices = similarities(np.stack([face.landmarks for face in chosen_faces]), np.array(card.template))
    size = (card.input.width, card.input.height)
    return np.stack([crop(face.patch, matrix, size) for face, matrix in zip(chosen_faces, matrices, strict=True)])


def _accuracy(place: store.Place, faces: FaceFolder, device: str, quiet: bool) -> Finding:
    found, _ = measure(place, faces, device, quiet)
    if found.accuracy is None:
        return Finding("accuracy", True, f"not measured: {'; '.join(found.notes)}")
    value, error = found.accuracy.value, found.accuracy.error
    detail = f"{value:.2%} (standard error {error:.2%}) on {found.accuracy.pairs:,} pairs of {found.data}"
    if value < LEAST_ACCURACY:
        detail += ": it hardly tells people apart; correct the card's input and template, or leave it out"
    return Finding("accuracy", value >= LEAST_ACCURACY, detail)


def _check_detector(data: Path, entries: Sequence[DetectorEntry]) -> Checked:
    """Return what is found of the detector that a run uses, or of the one that is named."""
    try:
        path = _weights(data, entries)
    except ModelsError as error:
        return Checked("detector", store.models_dir(data), (Finding("weights", False, str(error)),))
    findings: list[Finding] = []
    try:
        findings.extend(_about_detector(path, data))
    except UncnnError as error:
        findings.append(Finding("detector", False, str(error)))
    if not entries:
        findings.append(_about_second_detector())
    return Checked(path.stem, path, tuple(findings))


def _about_second_detector() -> Finding:
    """Return what is found of the detector that the second look asks too: its hash, and what it sees."""
    from uncnn.daemon.verify.second_look import load_second_detector
    from uncnn.plugins.recognisers.canaries import check_second_detector

    try:
        check_second_detector(load_second_detector(["CPUExecutionProvider"]))
    except UncnnError as error:
        return Finding("second detector", False, str(error))
    return Finding("second detector", True, f"{second_onnx()[1][:16]}, and finds a known face")


def _about_detector(path: Path, data: Path) -> Iterator[Finding]:
    """Yield what is found of a detector's weights and of its ONNX file: hashes, and what both see.

    Raises:
        DetectorError, ModelsError, CanaryError: one of them is not what it should be.
    """
    from uncnn.plugins.detectors.retinaface import load_onnx
    from uncnn.plugins.detectors.retinaface_network import load_torch
    from uncnn.plugins.recognisers.canaries import check_detector

    known = {entry.installs: entry.files[0].sha256 for entry in read_catalog().detectors}
    known[Path(store.OWN_DETECTOR).name] = read_pins().detectors[store.OWN_DETECTOR]
    digest, expected = sha256_of(path), known.get(path.name)
    if expected is not None and digest != expected:
        yield Finding("sha256", False, f"{digest}, but the catalog says {expected}: install it again")
    else:
        yield Finding("sha256", True, digest[:16] if expected else f"{digest[:16]}, which nobody can confirm")
    check_detector(load_torch(path, sha256=digest))
    yield Finding("weights", True, "fit the network, and find known faces")
    files = files_of(path, store.models_dir(data))
    check_detector(load_onnx(files.onnx, ["CPUExecutionProvider"], sha256=files.onnx_sha256))
    yield Finding("ONNX", True, f"{files.onnx_sha256[:16]}, and finds known faces")


def _weights(data: Path, entries: Sequence[DetectorEntry]) -> Path:
    """Return the weights that a run uses, or those of the detector that is named. Raises ModelsError."""
    if not entries:
        return store.detector_weights(data)
    found = store.find_file(data, entries[0].installs)
    if found is None and entries[0].installs == PUBLISHED:
        return store.EMBEDDED / store.OWN_DETECTOR
    return found or _named_weights(data, entries[0].installs)


def _named_weights(data: Path, name: str) -> Path:
    found = store.find_file(data, name)
    if found is None:
        raise ModelsError(f"{name} is not installed: get it with `uncnn-daemon models pull {Path(name).stem}`")
    return found


def _say(checked: Checked) -> None:
    state, colour = ("sound", "green") if checked.sound else ("faulty", "red")
    say_line(checked.name, state, f" ({printable(checked.place)})", colour)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 2))
    for finding in checked.findings:
        mark = "[green]good[/green]" if finding.sound else "[red]bad[/red]"
        table.add_row(mark, finding.what, escape(finding.detail))
    console = Console()
    Console(width=max(console.width, WIDTH)).print(table, soft_wrap=True)

"""Detectors by name: ours, and strangers' that are broken or answer with what is no face."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from uncnn.exporters.registry.detectors import ChosenDetector, chosen_detector, files_of
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.exporters.registry.store import OWN_DETECTOR
from uncnn.plugins.api import DetectorSource, Face, PluginError, UncnnError
from uncnn.plugins.detectors.centerface import CenterFace
from uncnn.plugins.detectors.checked import checked
from uncnn.plugins.detectors.retinaface import RetinaFace
from uncnn.plugins.recognisers.canaries import Canaries, CanaryError, check_detector
from uncnn.plugins.registry import DETECTORS, detector_names, entries, make_detector

POINTS = ((20.0, 25.0), (50.0, 25.0), (35.0, 40.0), (25.0, 50.0), (45.0, 50.0))
FACE = Face((10.0, 10.0, 60.0, 70.0), POINTS, 0.9)
PHOTO = np.zeros((80, 80, 3), np.uint8)

STRANGERS = """
class Blind:
    def detect(self, photo): return []
def blind(source): return Blind()
def fails(source): raise RuntimeError("not today")
def nothing(source): return None
number = 5
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChosenDetector:
    """Install detectors of strangers, and return RetinaFace."""
    information = tmp_path / "strangers-2.5.dist-info"
    information.mkdir()
    (tmp_path / "strange_detectors.py").write_text(STRANGERS)
    (tmp_path / "strange_imports.py").write_text("import missing_from_everywhere\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 2.5\n")
    names = ("blind", "fails", "nothing", "number")
    lines = "\n".join(f"{name} = strange_detectors:{name}" for name in names)
    (information / "entry_points.txt").write_text(f"[{DETECTORS}]\n{lines}\nimports = strange_imports:any\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return ChosenDetector(files_of(EMBEDDED / OWN_DETECTOR, tmp_path))


def test_ours_come_in_by_the_same_door(strangers: ChosenDetector) -> None:
    ours = {name for name, entry in entries(DETECTORS).items() if entry.dist and entry.dist.name == "uncnn"}
    assert ours == {"retinaface", "centerface"}
    assert set(detector_names()) == ours | {"blind", "fails", "nothing", "number", "imports"}
    assert isinstance(strangers.load("cpu", torch=False), RetinaFace)
    assert isinstance(chosen_detector("centerface", strangers.files).load("cpu", torch=False), CenterFace)


def test_the_worker_looks_in_torch_where_its_device_is_no_plain_cpu(strangers: ChosenDetector) -> None:
    detectors = {device: strangers.load(device, torch=True) for device in ("cpu", "cpu:0")}  # as torch calls the first
    assert isinstance(detectors["cpu"], RetinaFace)
    assert isinstance(detectors["cpu:0"], RetinaFace)
    assert [type(each.forward).__name__ for each in detectors.values()] == ["OnnxForward", "TorchForward"]
    check_detector(detectors["cpu:0"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "detector 'nobody' is not installed: choose one of blind, centerface"),
        ("imports", "cannot be loaded (No module named 'missing_from_everywhere')"),
        ("number", "is no function of a DetectorSource"),
        ("fails", "cannot be made (RuntimeError: not today)"),
        ("nothing", "cannot be made (TypeError: NoneType has no method detect)"),
    ],
)
def test_a_broken_one_is_an_error_of_a_model_that_names_it(strangers: ChosenDetector, name: str, words: str) -> None:
    with pytest.raises(UncnnError) as caught:
        ChosenDetector(strangers.files, name).load("cpu", torch=False)
    assert words in str(caught.value)
    assert caught.value.fault == "model"


def test_a_blind_one_is_refused_by_the_canaries_and_named(strangers: ChosenDetector) -> None:
    chosen = chosen_detector("blind", strangers.files)
    assert (chosen.plugin, chosen.distribution) == ("blind", "strangers 2.5")
    with pytest.raises(CanaryError, match=r"the detector blind misses the drawn face .* choose another as `models\.d"):
        Canaries(chosen.load("cpu", torch=False), plugin=chosen.plugin)


class Answering:
    """A detector that answers with what it is given."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def detect(self, photo: np.ndarray) -> object:
        return self.answer


def test_faces_come_as_plain_numbers_inside_the_photo_the_best_first() -> None:
    numbers = np.float32(0.95)
    large = Face(tuple(np.array([-30, 10, 90, 70], np.float32)), tuple(np.array(POINTS, np.float32)), numbers)
    best, next_best = checked("any", Answering((FACE, large))).detect(PHOTO)
    assert best.box == (-0.5, 10.0, 79.5, 70.0)
    assert all(type(value) is float for value in (*best.box, *best.landmarks[0], best.score))
    assert next_best == FACE


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ["face"],
        [Face((10, 10, 60), POINTS, 0.9)],
        [Face((60, 10, 10, 70), POINTS, 0.9)],
        [Face((100, 10, 120, 70), POINTS, 0.9)],
        [Face((10, 10, 60, math.nan), POINTS, 0.9)],
        [Face((10, 10, 60, 70), POINTS[:4], 0.9)],
        [Face((10, 10, 60, 70), (POINTS[1], *POINTS[1:]), 0.9)],
        [Face((10, 10, 60, 70), (*POINTS[:4], (math.inf, 1)), 0.9)],
        [Face((10, 10, 60, 70), POINTS, 1.5)],
        [Face((10, 10, 60, 70), POINTS, math.nan)],
    ],
)
def test_what_is_no_face_fails_the_photo(answer: object) -> None:
    with pytest.raises(PluginError, match="detector any answers with something that is no face"):
        checked("any", Answering(answer)).detect(PHOTO)


def test_it_cannot_change_the_photo() -> None:
    class Meddler:
        def detect(self, photo: np.ndarray) -> list[Face]:
            photo[:] = 0
            return []

    photo = np.ones((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        checked("any", Meddler()).detect(photo)
    assert photo.all()


def test_the_pin_of_ours_holds_here_too() -> None:
    source_files = {"centerface.onnx": (EMBEDDED / "centerface" / "centerface.onnx", "0" * 64)}
    with pytest.raises(UncnnError, match="not 0000"):
        make_detector("centerface", DetectorSource("cpu", False, source_files))

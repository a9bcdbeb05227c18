"""Small faces behind the one at the desk are looked for now and then, and no frame waits for it."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from uncnn.daemon.live.far_look import EVERY_FRAMES, FarLook, far_detector, others
from uncnn.daemon.live.sources import LARGEST_PIXELS
from uncnn.daemon.live.worker import LOOK_PIXELS
from uncnn.daemon.video.faces import detector_for
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import Detector, Face, Pixels
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.tracking import FAINT


@pytest.fixture(scope="module")
def both() -> tuple[Detector, Detector]:
    detector = load_onnx(EMBEDDED / OWN_ONNX, ["CPUExecutionProvider"], 1)
    far = far_detector(detector, LARGEST_PIXELS)
    assert far is not None
    return detector_for(detector, LOOK_PIXELS, FAINT), far


@pytest.fixture(scope="module")
def small(astronaut: Any) -> Pixels:
    picture = np.full((480, 640, 3), 90, np.uint8)
    picture[200:300, 300:400] = np.asarray(astronaut.resize((100, 100)))
    return picture


def test_it_sees_a_face_that_the_look_at_every_frame_misses(both: tuple[Detector, Detector], small: Pixels) -> None:
    near, far = both
    (face, *_) = far.detect(small)
    assert face.size_px < 24
    assert 300 < face.box[0] < 400
    assert not [one for one in near.detect(small) if one.score >= 0.3]
    assert far_detector(_Own(), LARGEST_PIXELS) is None


def test_in_line_it_looks_at_the_first_frame_and_then_now_and_then(small: Pixels) -> None:
    own = _Own()
    look = FarLook(own, beside=False)
    assert len(look.faces(small, True)) == 1
    seen = [len(look.faces(small, False)) for _ in range(2 * EVERY_FRAMES)]
    assert [number + 1 for number, count in enumerate(seen) if count] == [EVERY_FRAMES, 2 * EVERY_FRAMES]


def test_beside_the_frames_what_is_found_comes_with_a_later_one(small: Pixels) -> None:
    own = _Own()
    look = FarLook(own, beside=True)
    assert look.faces(small, False) == []
    found: list[Face] = []
    while not found:
        time.sleep(0.005)
        found = look.faces(small, False)
    assert (len(found), own.looks) == (1, 1)
    assert look.faces(small, False) == [], "each look counts once"


def test_what_goes_wrong_beside_the_frames_ends_the_run(small: Pixels) -> None:
    class Broken:
        def detect(self, photo: Pixels) -> list[Face]:
            raise RuntimeError("out of memory")

    look = FarLook(Broken(), beside=True)

    def looked_until_told() -> None:
        while look.faces(small, False) == []:
            time.sleep(0.005)

    with pytest.raises(RuntimeError, match="out of memory"):
        looked_until_told()


def test_all_looks_beside_the_frames_are_made_by_one_thread(small: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.daemon.live.far_look.EVERY_SECONDS", 0.0)
    threads: set[int] = set()

    class Noting(_Own):
        def detect(self, photo: Pixels) -> list[Face]:
            threads.add(threading.get_ident())
            return super().detect(photo)

    own = Noting()
    look = FarLook(own, beside=True)
    while own.looks < 5:
        look.faces(small, False)
        time.sleep(0.001)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_face_that_is_known_already_is_not_found_twice() -> None:
    one, beside = _at(10), _at(12)
    assert others([one, _at(300)], [beside]) == [_at(300)]
    assert others([one], []) == [one]


class _Own:
    """A detector that sees one face everywhere."""

    looks = 0

    def detect(self, photo: Pixels) -> list[Face]:
        self.looks += 1
        return [_at(10)]


def _at(x: float) -> Face:
    return Face((x, 10.0, x + 20, 30.0), ((x + 5, 15), (x + 15, 15), (x + 10, 20), (x + 6, 26), (x + 14, 26)), 0.9)

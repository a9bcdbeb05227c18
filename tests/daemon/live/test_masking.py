"""Who is known is shown with a mask of their own once judges do not know them in it, and not a moment longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import torch

from uncnn.daemon.live.following import LiveFace
from uncnn.daemon.live.loop import Loop
from uncnn.daemon.live.masking import HOLDS_SECONDS, LiveChange, Masking, put
from uncnn.daemon.live.sources import Taken, frames_of_clip
from uncnn.daemon.live.worker import LOOK_PIXELS, STRENGTH
from uncnn.daemon.people.store import Person, Template
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.faces import detector_for
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import Change, Detector, Face, Faces, Pixels
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.person_mask import SIDES, PersonMask
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.registry import make_budget
from uncnn.plugins.tracking import FAINT

CPU = ["CPUExecutionProvider"]
NOTHING = PersonMask(tuple(np.zeros((3, side, side), np.float32) for side in SIDES))


class Patchwork:
    """A change after which nobody is to be seen: other colours, a few large pieces."""

    def change(self, faces: Faces) -> Change:
        drawn = np.random.default_rng(0).integers(0, 256, (1, 3, 7, 7)).astype(np.float32)
        pieces = torch.from_numpy(drawn).repeat_interleave(PATCH_PX // 7, 2).repeat_interleave(PATCH_PX // 7, 3)
        return Change(pieces - faces.patches)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Scene:
    picture: Pixels
    face: Face
    person: Person
    judges: list[OnnxRecogniser]
    detector: Detector

    def masking(self, mask: LiveChange, clock: Clock, person: Person | None = None) -> Masking:
        return Masking([(person or self.person, mask)], self.judges, make_budget(STRENGTH, {}), clock)


@pytest.fixture(scope="module")
def scene(astronaut: Any) -> Scene:
    torch.set_num_threads(1)
    detector = load_onnx(EMBEDDED / OWN_ONNX, CPU, 1)
    judges = [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in ("dlib-resnet", "openvino-0095")]
    picture = np.asarray(astronaut.resize((300, 300)))
    (face, *_) = detector.detect(picture)
    landmarks = np.array([face.landmarks])
    templates = [
        Template(judge.card.name, judge.card.sha256, judge.embed(picture, landmarks + 0.5).tolist()) for judge in judges
    ]
    person = Person("Ada", datetime.now(UTC), templates)
    return Scene(picture, face, person, judges, detector_for(detector, LOOK_PIXELS, FAINT))


def test_a_mask_that_holds_is_handed_out_for_a_while(scene: Scene) -> None:
    clock = Clock()
    masking = scene.masking(Patchwork(), clock)
    assert masking.change_of(LiveFace(0)) is None
    masking.look(scene.picture, [(0, 2, scene.face)])
    change = masking.change_of(LiveFace(0, met=2))
    assert change is not None
    assert change.shape == (3, PATCH_PX, PATCH_PX)
    assert masking.change_of(LiveFace(1, met=2)) is None
    assert masking.change_of(LiveFace(0, met=3)) is None, "it met another: it may be the other one now"
    clock.now += HOLDS_SECONDS + 0.1
    assert masking.change_of(LiveFace(0, met=2)) is None, "nobody has judged it lately"


def test_a_face_that_is_known_in_its_mask_is_hidden_from_then_on(scene: Scene) -> None:
    masking = scene.masking(NOTHING, Clock())
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.linked == {0}
    masking.known = [(scene.person, Patchwork())]
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is None


def test_a_mask_that_fails_later_is_taken_back(scene: Scene) -> None:
    masking = scene.masking(Patchwork(), Clock())
    masking.look(scene.picture, [(0, 0, scene.face)])
    masking.known = [(scene.person, NOTHING)]
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is None
    assert masking.linked == {0}


def test_a_stranger_is_given_no_mask_and_one_who_became_one_neither(scene: Scene) -> None:
    other = [
        Template(own.recogniser, own.sha256, (-np.array(own.embeddings)).tolist()) for own in scene.person.templates
    ]
    stranger = Person("Bob", scene.person.enrolled, other)
    masking = scene.masking(Patchwork(), Clock(), stranger)
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is None
    masking.known = [(scene.person, Patchwork())]
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is not None
    masking.known = [(stranger, Patchwork())]
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is None
    assert not masking.linked


def test_one_judge_that_was_not_asked_at_the_enrolment_is_enough_to_hide(scene: Scene) -> None:
    half = Person("Ada", scene.person.enrolled, scene.person.templates[:1])
    masking = scene.masking(Patchwork(), Clock(), half)
    masking.look(scene.picture, [(0, 0, scene.face)])
    assert masking.change_of(LiveFace(0)) is None


def test_a_change_is_put_where_the_face_is_and_nowhere_else(scene: Scene) -> None:
    picture = scene.picture.copy()
    put(picture, torch.full((3, PATCH_PX, PATCH_PX), 30.0), np.array(scene.face.landmarks))
    changed = (picture != scene.picture).any(axis=2)
    x0, y0, x1, y1 = (int(each) for each in scene.face.box)
    assert changed[y0:y1, x0:x1].mean() > 0.9
    assert not changed[:, 250:].any()
    put(picture, torch.full((3, PATCH_PX, PATCH_PX), 30.0), np.array(scene.face.landmarks) + 900)


def test_frames_are_hidden_until_the_mask_was_judged(scene: Scene, tmp_path: Path, astronaut: Any) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.one_person(astronaut, 0.6), 0.2, (480, 360), audio=False)
    masking = scene.masking(Patchwork(), Clock())
    sent: list[Pixels] = []

    class Sink:
        def send(self, pixels: Pixels, stamp: float) -> None:
            sent.append(pixels.copy())

        def close(self) -> None: ...

    def frames() -> Iterator[Taken]:
        for taken in frames_of_clip(clip, "clip", False):
            while masking.is_busy:
                time.sleep(0.01)
            yield taken

    loop = Loop(scene.detector, Sink(), silent, masking)
    loop.run(frames(), lambda: False)
    assert loop.counts.frames == len(sent) == 6
    assert loop.counts.masked == 5, "one is sent while the judges look"
    assert loop.counts.hidden == 1

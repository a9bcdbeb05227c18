"""Faces that are not upright, in colour and in full view, through the worker and the verifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change
from uncnn.daemon.protect.torch_worker import TorchChanger
from uncnn.daemon.protect.verifier import Verifier
from uncnn.daemon.protect.worker import Worker
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Face
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

CPU = ["CPUExecutionProvider"]
SIDE = 200


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folders = [file.parent for file in sorted(EMBEDDED.glob("*/card.yaml"))]
    surrogates = [load_recogniser(folder) for folder in folders if read_card(folder).role == "surrogate"]
    yield Worker(load_torch(EMBEDDED / OWN_DETECTOR), TorchChanger(surrogates))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def verifier(worker: Worker) -> Verifier:
    judge = OnnxRecogniser.load(EMBEDDED / "dlib-resnet", CPU)
    return Verifier(worker.detector, [judge])


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    skimage = pytest.importorskip("skimage")
    return Image.fromarray(skimage.data.astronaut()).crop((130, 20, 130 + SIDE, 20 + SIDE))


def sunglasses(photo: Image.Image, face: Face) -> Image.Image:
    """Draw dark glasses over the eyes."""
    worn = photo.copy()
    draw = ImageDraw.Draw(worn)
    (left, right), radius = face.landmarks[:2], 0.36 * eyes_of(face)
    draw.line([left, right], fill=(20, 20, 22), width=4)
    for x, y in (left, right):
        draw.ellipse((x - 1.15 * radius, y - 0.8 * radius, x + 1.15 * radius, y + radius), fill=(20, 20, 22))
    return worn


def mask(photo: Image.Image, face: Face) -> Image.Image:
    """Draw a surgical mask from the nose down."""
    worn = photo.copy()
    (x, y), reach = face.landmarks[2], eyes_of(face)
    chin = y + 1.75 * reach
    shape = [(x - 1.0 * reach, y), (x + 1.0 * reach, y), (x + 0.8 * reach, chin - 0.4 * reach), (x, chin)]
    ImageDraw.Draw(worn).polygon([*shape, (x - 0.8 * reach, chin - 0.4 * reach)], fill=(150, 185, 205))
    return worn


def eyes_of(face: Face) -> float:
    return float(np.linalg.norm(np.subtract(*face.landmarks[:2])))


def cloak(worker: Worker, photo: Path, face: Face, rotated: bool) -> Path:
    attack = AttackChoice("veil", {"steps": 12})
    asked = Change(Content(photo), photo.name, rotated, (face,), ("strong",), attack, "PNG", "same")
    file = worker.change(asked, lambda _stage: None).candidate.file
    assert file is not None
    return file


@pytest.mark.slow
@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90])
def test_it_is_cloaked_where_it_is_and_found_again(
    worker: Worker, verifier: Verifier, portrait: Image.Image, turn: Image.Transpose, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    portrait.transpose(turn).save(photo)
    upright = worker.detector.detect(np.asarray(portrait))[0]
    (face,) = worker.look(Content(photo), photo.name, rotated=True).faces
    eyes = np.linalg.norm(np.subtract(*upright.landmarks[:2]))
    back = [
        (SIDE - 1 - x, SIDE - 1 - y) if turn is Image.Transpose.ROTATE_180 else (SIDE - 1 - y, x)
        for x, y in face.landmarks
    ]
    assert np.linalg.norm(np.subtract(back, upright.landmarks), axis=1).mean() < 0.15 * eyes
    out = cloak(worker, photo, face, True)
    verdict = verifier.verify(photo.read_bytes(), out.read_bytes(), 1e-3, ["as-is"], 24, [face], rotated=True)
    first, *others = verdict.faces
    assert first.found_again
    assert first.protected
    assert all(each.uncertain for each in others), "what only the second look sees"


def test_a_photo_is_looked_at_anew_under_another_policy(worker: Worker, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30)).save(photo)
    working = worker.look(Content(photo), photo.name)
    assert worker.look(Content(photo), photo.name) is working
    again = worker.look(Content(photo), photo.name, rotated=True)
    assert again.rotated
    assert worker.look(Content(photo), photo.name, rotated=True) is again


@pytest.mark.slow
@pytest.mark.parametrize("wear", [sunglasses, mask])
def test_a_face_that_something_covers_is_cloaked_and_judged(
    worker: Worker, verifier: Verifier, portrait: Image.Image, wear: Callable[..., Image.Image], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    bare = worker.detector.detect(np.asarray(portrait))[0]
    wear(portrait, bare).save(photo)
    (face,) = worker.look(Content(photo), photo.name).faces
    assert np.linalg.norm(np.subtract(face.landmarks, bare.landmarks), axis=1).mean() < 0.25 * eyes_of(bare)
    out = cloak(worker, photo, face, False)
    verdict = verifier.verify(photo.read_bytes(), out.read_bytes(), 1e-3, ["as-is"], 24, [face])
    assert [each.found_again for each in verdict.faces] == [True]
    assert verdict.protected


@pytest.mark.slow
def test_a_photo_without_colour_gets_a_change_without_colour(
    worker: Worker, verifier: Verifier, portrait: Image.Image, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    portrait.convert("L").save(photo)
    (face,) = worker.look(Content(photo), photo.name).faces
    out = cloak(worker, photo, face, False)
    with Image.open(out) as released:
        assert released.mode == "L"
    verdict = verifier.verify(photo.read_bytes(), out.read_bytes(), 1e-3, ["as-is"], 24, [face])
    assert verdict.protected


def test_a_black_and_white_photo_that_is_stored_in_colour_gets_a_grey_change_too(
    worker: Worker, portrait: Image.Image, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    portrait.convert("L").convert("RGB").save(photo, quality=90)
    (face,) = worker.look(Content(photo), photo.name).faces
    out = cloak(worker, photo, face, False)
    released = np.asarray(Image.open(out)).astype(int)
    assert released.shape == (SIDE, SIDE, 3)
    assert np.ptp(released, axis=2).max() <= 1

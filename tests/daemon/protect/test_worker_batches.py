"""Faces of several photos in one batch: the real worker, with the models that come with uncnn."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change, Next
from uncnn.daemon.protect.torch_worker import TorchChanger
from uncnn.daemon.protect.worker import Worker
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Face, PluginError
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.engine import host
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.geometry import region_of
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

# One step: where the sign of a gradient near zero turns, the steps after it go elsewhere.
ATTACK = AttackChoice("pgd", {"steps": 1})


@pytest.fixture(scope="module")
def worker() -> Worker:
    name = next(path.parent.name for path in sorted(EMBEDDED.glob("*/model.onnx")))
    return Worker(load_torch(EMBEDDED / OWN_DETECTOR), TorchChanger([load_recogniser(EMBEDDED / name)]))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    skimage = pytest.importorskip("skimage")
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    folder = tmp_path_factory.mktemp("photos")
    made = [face, face.transpose(Image.Transpose.FLIP_LEFT_RIGHT), face.convert("L"), face.resize((260, 260))]
    for number, photo in enumerate(made):
        photo.save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    return sorted(folder.iterdir())


def cloak(worker: Worker, photo: Path, following: list[Path]) -> np.ndarray:
    faces = worker.look(Content(photo), photo.name).faces
    assert len(faces) == 1
    beside = tuple(Next(Content(each), each.name) for each in following)
    asked = Change(
        Content(photo), photo.name, False, faces, ("balanced",), ATTACK, "PNG", "same", smallest_px=24, following=beside
    )
    changed = worker.change(asked, lambda _stage: None)
    return np.asarray(Image.open(io.BytesIO(changed.candidate.read())).convert("RGB")).astype(int)


@pytest.mark.slow
def test_a_photo_comes_out_the_same_alone_and_beside_others(
    worker: Worker, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    real = host.perturb_all

    def counted(faces_in_photos, *arguments):
        batches.append(len(faces_in_photos))
        return real(faces_in_photos, *arguments)

    monkeypatch.setattr("uncnn.daemon.protect.torch_worker.perturb_all", counted)
    sound = [photo for photo in photos if photo.stem != "broken"]
    alone = []
    for photo in sound:
        worker.working_photos.clear()
        alone.append(cloak(worker, photo, []))
    assert batches == [1, 1, 1, 1]
    batches.clear()
    worker.working_photos.clear()
    beside = [cloak(worker, photo, photos) for photo in sound]
    assert batches == [4]  # the first photo's turn did the faces of all
    for one, other in zip(alone, beside, strict=True):
        assert one.shape == other.shape
        differs = np.abs(one - other) > 1  # the sign of a gradient near zero may turn, here and there
        assert differs.mean() < 0.004


def test_files_of_a_moment_lie_beside_the_copy_and_where_they_did_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, before, seen = tmp_path / "spool", tempfile.tempdir, []
    spool.mkdir()
    source = spool / "a.jpg"
    Image.new("RGB", (64, 64), "grey").save(source)
    monkeypatch.setattr(
        "uncnn.daemon.protect.worker.encode", lambda *given: seen.append(tempfile.gettempdir()) or encode(*given)
    )
    asked = Change(Content(source), "a.jpg", False, (), (), ATTACK, "same", "same")
    changed = Worker(NoFace(), TorchChanger([])).change(asked, lambda _stage: None)
    assert changed.candidate == Content(spool / "a.candidate")
    assert seen == [str(spool)]
    assert tempfile.tempdir == before


class NoFace:
    """Finds none."""

    def detect(self, _pixels: np.ndarray) -> list[Face]:
        return []


class OneFace:
    """Finds the same face in every photo."""

    def detect(self, _pixels: np.ndarray) -> list[Face]:
        return [Face((40, 40, 140, 140), ((70, 80), (110, 80), (90, 100), (75, 120), (105, 120)), 0.9)]


def test_the_same_picture_with_other_metadata_has_the_same_seed_and_no_place_in_its_batch(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PngInfo()
    text.add_text("Comment", "edited since")
    edited = tmp_path / "edited.png"
    Image.open(photos[0]).save(edited, pnginfo=text)
    batches = []

    def broken_off(faces_in_photos, *_arguments):
        batches.append([face_in_photo.seed for face_in_photo in faces_in_photos])
        raise PluginError("seen enough")

    monkeypatch.setattr("uncnn.daemon.protect.torch_worker.perturb_all", broken_off)
    worker = Worker(OneFace(), TorchChanger([]))
    first, other = (worker.look(Content(photos[n]), str(n), keep=True) for n in (0, 1))
    with pytest.raises(PluginError, match="seen enough"):
        cloak(worker, photos[0], [edited, photos[0], photos[1]])
    assert batches[0] == [first.seed, other.seed]
    assert worker.look(Content(photos[0]), "0", keep=True) is first
    assert set(worker.working_photos) == {first.sha256, other.sha256}
    with pytest.raises(PluginError, match="seen enough"):
        cloak(worker, edited, [])
    assert batches[-1] == [first.seed]
    assert first.seed != other.seed


def test_no_photo_is_decoded_twice_for_want_of_room_in_a_batch(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    attacked: list[int] = []

    def counted(data, name):
        decoded.append(name)
        return decode(data, name)

    def unchanged(faces_in_photos, *_arguments):
        attacked.append(len(faces_in_photos))
        regions = [region_of(np.array(each.face.landmarks), 8) for each in faces_in_photos]
        return [Patch(region, np.zeros((3, 8, 8), np.float32), np.zeros((1, 8, 8), np.float32)) for region in regions]

    monkeypatch.setattr("uncnn.daemon.protect.worker.decode", counted)
    monkeypatch.setattr("uncnn.daemon.protect.torch_worker.perturb_all", unchanged)
    monkeypatch.setattr("uncnn.daemon.protect.worker.FACES_A_BATCH", 2)
    worker = Worker(OneFace(), TorchChanger([]))
    for photo in photos[:3]:
        cloak(worker, photo, photos[:3])
    assert decoded == ["0.png", "1.png", "2.png"]
    assert attacked == [2, 1], "the first two share a batch, and the third is alone"
    worker.working_photos.clear()
    decoded.clear()
    monkeypatch.setattr("uncnn.daemon.protect.worker.FACES_A_BATCH", 1)
    cloak(worker, photos[0], photos[:3])
    assert decoded == ["0.png"], "where there is no room at all, no other is looked at"


@pytest.mark.slow
def test_a_batch_that_fails_is_no_fault_of_the_photo(
    worker: Worker, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = host.perturb_all

    def failing(faces_in_photos, *arguments):
        if len(faces_in_photos) > 1:
            raise PluginError("one of them is too much")
        return real(faces_in_photos, *arguments)

    monkeypatch.setattr("uncnn.daemon.protect.torch_worker.perturb_all", failing)
    worker.working_photos.clear()
    before = np.asarray(Image.open(photos[0]).convert("RGB")).astype(int)
    assert np.abs(cloak(worker, photos[0], photos[1:]) - before).max() > 0


@pytest.mark.slow
def test_a_face_beside_which_another_is_found_is_done_anew_inside_one_budget(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier may find a face that the worker did not: from then on both share what they have in common."""
    skimage = pytest.importorskip("skimage")
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200)).save(photo)
    worker.working_photos.clear()
    (face,) = worker.look(Content(photo), photo.name).faces
    shifted = np.add(face.landmarks, (30, 10))
    second = Face(tuple(np.add(face.box, (30, 10, 30, 10))), tuple(map(tuple, shifted)), 0.8)
    batches = []
    real = host.perturb_all

    def counted(faces_in_photos, *arguments):
        batches.append([(face_in_photo.face, face_in_photo.beside) for face_in_photo in faces_in_photos])
        return real(faces_in_photos, *arguments)

    monkeypatch.setattr("uncnn.daemon.protect.torch_worker.perturb_all", counted)
    for faces in ([face], [face, second], [face, second]):
        strengths = ("balanced",) * len(faces)
        asked = Change(Content(photo), photo.name, False, tuple(faces), strengths, ATTACK, "PNG", "same")
        worker.change(asked, lambda _stage: None)
    assert batches == [[(face, ())], [(face, (second,)), (second, (face,))]], "and what is done is not done again"
    (working,) = worker.working_photos.values()
    assert len(working.patches) == 2, "what was done to the first alone is let go"

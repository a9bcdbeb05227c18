"""The verifier on real photos: it does not take the worker's word for anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.verify.measuring import compare, embed, same_face
from uncnn.daemon.verify.verdict import FACE
from uncnn.daemon.verify.verifier import Verifier
from uncnn.plugins.api import Face, UncnnError
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]
VIEWS = ("as-is", "jpeg-75")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def verifier(shared_models: Path, detector_folder: Path) -> Verifier:
    reference = shared_models / "reference"
    (detector,) = detector_folder.glob("*.onnx")
    names = ("openvino-0095", "dlib-resnet", "esp-mfn")
    return Verifier(load_onnx(detector, CPU), [OnnxRecogniser.load(reference / name, CPU) for name in names])


def test_a_copy_is_linked_by_everyone(verifier: Verifier, photo: np.ndarray) -> None:
    released = png(photo)
    verdict = verifier.verify(released, released, 1e-3, VIEWS, 24)
    assert verdict.sha256 == hashlib.sha256(released).hexdigest()
    assert not verdict.protected
    (face,) = verdict.faces
    assert face.found_again
    assert face.ssimulacra2 == pytest.approx(100)
    assert len(face.judgements) == 3 * len(VIEWS)
    assert all(judgement.linked for judgement in face.judgements)
    assert {judgement.role for judgement in face.judgements} == {"judge", "surrogate"}


def test_a_face_that_the_worker_missed_is_found_on_the_released_bytes(verifier: Verifier, photo: np.ndarray) -> None:
    verdict = verifier.verify(png(photo), png(photo), 1e-3, VIEWS, 24, faces=[])
    assert len(verdict.faces) == 1
    assert not verdict.protected


def test_a_face_that_is_gone_is_said_and_still_judged(verifier: Verifier, photo: np.ndarray) -> None:
    left, top, right, bottom = (int(value) for value in verifier.detector.detect(photo)[0].box)
    blotted = photo.copy()
    blotted[top - 40 : bottom + 40, left - 40 : right + 40] = 127
    verdict = verifier.verify(png(photo), png(blotted), 1e-3, VIEWS, 24)
    (face,) = verdict.faces
    assert not face.found_again
    assert verdict.protected


def test_a_shifted_face_is_no_protection(verifier: Verifier, photo: np.ndarray) -> None:
    """The landmarks of the original do not fit any more; those found again do."""
    verdict = verifier.verify(png(photo), png(np.roll(photo, 3, axis=1)), 1e-3, VIEWS, 24)
    assert not verdict.protected


def test_small_faces_are_reported_and_not_required(verifier: Verifier, photo: np.ndarray) -> None:
    verdict = verifier.verify(png(photo), png(photo), 1e-3, VIEWS, 500)
    (face,) = verdict.faces
    assert not face.required
    assert verdict.protected


def test_a_far_that_a_card_lacks_takes_the_stricter_one(verifier: Verifier, photo: np.ndarray) -> None:
    verdict = verifier.verify(png(photo), png(photo), 1e-4, ("as-is",), 24)
    thresholds = {judgement.recogniser: judgement.threshold for judgement in verdict.faces[0].judgements}
    assert thresholds == {"openvino-0095": 0.432, "dlib-resnet": 0.539, "esp-mfn": 0.38}


def test_two_photos_of_different_size_are_refused(verifier: Verifier, photo: np.ndarray) -> None:
    with pytest.raises(UncnnError, match="512 x 512 and 500 x 512"):
        verifier.verify(png(photo), png(photo[:, :500].copy()), 1e-3, VIEWS, 24)


def test_faces_are_matched_by_their_landmarks() -> None:
    face = Face((0, 0, 50, 60), ((15, 20), (35, 20), (25, 32), (17, 45), (33, 45)), 0.9)
    near = Face(face.box, tuple((x + 3, y - 2) for x, y in face.landmarks), 0.5)  # type: ignore[arg-type]
    beside = Face(face.box, tuple((x + 30, y) for x, y in face.landmarks), 0.9)  # type: ignore[arg-type]
    assert same_face(face, near)
    assert not same_face(face, beside)


def test_the_verifier_has_no_torch() -> None:
    code = "import sys, uncnn.daemon.verify.verifier; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_face_is_embedded_in_every_view(verifier: Verifier, photo: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(png(photo))
    asked = {"source": str(source), "name": "photo.png", "judges": ["dlib-resnet"], "views": list(VIEWS), "near": None}
    told = embed(verifier.detector, verifier.recognisers, asked)
    assert told["found"]
    assert {judge: set(views) for judge, views in told["embeddings"].items()} == {"dlib-resnet": set(VIEWS)}
    face = FACE.validate_python(told["face"])
    assert same_face(face, verifier.detector.detect(photo)[0])
    seen = [np.array(told["embeddings"]["dlib-resnet"][view]) for view in VIEWS]
    assert 0 < np.linalg.norm(seen[0] - seen[1]) < 0.3, "the views differ, and show the same person"
    points = tuple((x + 200, y + 100) for x, y in face.landmarks)
    elsewhere = Face(tuple(value + 200 for value in face.box), points, 1.0)
    missed = embed(verifier.detector, verifier.recognisers, {**asked, "near": FACE.dump_python(elsewhere, mode="json")})
    assert not missed["found"], "the detector finds no face there: it is embedded where it was"
    assert FACE.validate_python(missed["face"]) == elsewhere
    assert missed["embeddings"]["dlib-resnet"].keys() == set(VIEWS)
    source.write_bytes(png(np.full_like(photo, 90)))
    assert embed(verifier.detector, verifier.recognisers, asked) == {"face": None, "found": False, "embeddings": {}}


def test_a_face_too_small_for_the_metrics_has_no_visibility(
    verifier: Verifier, photo: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(png(photo))
    tiny = Face((10, 10, 18, 18), ((12, 12), (16, 12), (14, 14), (12, 16), (16, 16)), 1.0)
    asked = {"original": str(source), "released": str(source), "name": "photo.png"}
    for face, is_there in ((tiny, False), (verifier.detector.detect(photo)[0], True)):
        told = compare(verifier.detector, (), {**asked, "face": FACE.dump_python(face, mode="json")})
        assert (told["visibility"] is not None) is is_there

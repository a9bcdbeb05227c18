"""Photos of every size and faces in every place, through the real worker and verifier, and what they take of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.config import Models, Policy
from uncnn.daemon.evaluate.machine import peak_bytes
from uncnn.daemon.photos import decode
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, protect
from uncnn.daemon.protect.process_engine import ProcessEngine

pytestmark = pytest.mark.slow

GB = 1e9
POLICY = {
    "attack": {"name": "veil", "strength": "balanced", "steps": 1},
    "protect": {"views": ["as-is", "half-size"]},  # one is shown at a time: more take no more memory
    "escalate": [],
    "unprotected": "publish-anyway",
}


def make_crew(data: Path) -> ProcessEngine:
    return ProcessEngine(Models(), "cpu", data, data.parent)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    with make_crew(tmp_path_factory.mktemp("data")) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """Return a portrait of 110 x 130 px."""
    skimage = pytest.importorskip("skimage")
    return Image.fromarray(skimage.data.astronaut()).crop((170, 50, 280, 180))


def released(engine: ProcessEngine, photo: Image.Image, folder: Path, kind: str = "png") -> tuple[Outcome, np.ndarray]:
    """Return what became of a photo and how far it was changed, (H, W) grey levels."""
    source = folder / f"photo.{kind}"
    photo.save(source, quality=90)
    job = PhotoJob(Content(source), source.name, Policy.model_validate(POLICY))
    outcome = protect(engine, job, lambda _stage: None)
    assert outcome.decision == "publish"
    before, after = (decode(each.read(), "photo").pixels for each in (Content(source), outcome.candidate))
    assert before.shape == after.shape
    return outcome, np.abs(before.astype(np.int16) - after).max(axis=2)


@pytest.mark.parametrize("side", [1, 16, 64])
def test_a_tiny_photo_goes_its_way(engine: ProcessEngine, portrait: Image.Image, tmp_path: Path, side: int) -> None:
    outcome, change = released(engine, portrait.crop((10, 10, 100, 110)).resize((side, side)), tmp_path)
    faces = [face for face in outcome.verdict.faces if face.required]
    assert len(faces) == (side == 64)
    assert (change.max() > 0) == (side == 64)


def test_a_photo_smaller_than_a_patch_is_changed_where_the_face_is(
    engine: ProcessEngine, portrait: Image.Image, tmp_path: Path
) -> None:
    outcome, change = released(engine, portrait, tmp_path)
    (face,) = outcome.verdict.faces
    x0, y0, x1, y1 = (round(value) for value in face.face.box)
    inside = change[max(y0, 0) : y1, max(x0, 0) : x1]
    assert inside.mean() > 1
    assert change[-1].max() <= 1, "the hair and what is around it stay: the last of the smooth edge is a grey level"


@pytest.mark.parametrize("border", ["left", "right", "top", "bottom"])
def test_a_face_that_the_border_cuts_is_cloaked_up_to_it(
    engine: ProcessEngine, portrait: Image.Image, tmp_path: Path, border: str
) -> None:
    """A third of the face is beyond the border, or up to the brows where that is the upper one."""
    photo = Image.new("RGB", (300, 300), (90, 110, 130))
    place = {"left": (-45, 80), "right": (235, 80), "top": (90, -45), "bottom": (90, 200)}[border]
    photo.paste(portrait, place)
    outcome, change = released(engine, photo, tmp_path)
    (face,) = outcome.verdict.faces
    assert face.found_again
    edge = {"left": change[:, 0], "right": change[:, -1], "top": change[0], "bottom": change[-1]}[border]
    assert edge.max() > 0


def test_many_faces_in_bounded_memory(portrait: Image.Image, tmp_path: Path) -> None:
    across, down = (20, 10) if os.environ.get("UNCNN_FULL") else (10, 8)
    photo = Image.new("RGB", (across * portrait.width, down * portrait.height))
    for number in range(across * down):
        own = portrait.rotate(number % 7 - 3, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
        photo.paste(own, (number % across * portrait.width, number // across * portrait.height))
    with make_crew(tmp_path / "data") as engine:
        outcome, change = released(engine, photo, tmp_path)
        worker, verifier = peak_bytes(engine.worker.pid), peak_bytes(engine.verifier.pid)
    cloaked = [face for face in outcome.verdict.faces if face.required]
    assert len(cloaked) == across * down
    tiles = change.reshape(down, portrait.height, across, portrait.width).max(axis=(1, 3))
    assert (tiles > 0).all(), "each was changed"
    assert worker is not None
    assert verifier is not None
    assert worker < 3 * GB
    assert verifier < 2 * GB


LARGE = {"24 Mpx": ((5656, 4242), 3.0), "100 Mpx": ((11548, 8660), 6.0), "panorama": ((20000, 1000), 3.0)}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.long) if case == "24 Mpx" else case for case in LARGE]
)
def test_a_large_photo_in_bounded_memory(portrait: Image.Image, tmp_path: Path, case: str) -> None:
    """One face fills much of it, another is as small as one in a group."""
    size, most = LARGE[case]
    noise = np.random.default_rng(0).integers(60, 180, (size[1] // 40, size[0] // 40, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    height = size[1] // 2
    photo.paste(portrait.resize((height * 11 // 13, height)), (size[0] // 10, size[1] // 4))
    photo.paste(portrait.resize((330, 390)), (size[0] - 500, size[1] // 2))
    with make_crew(tmp_path / "data") as engine:
        outcome, _ = released(engine, photo, tmp_path, "jpg")
        worker, verifier = peak_bytes(engine.worker.pid), peak_bytes(engine.verifier.pid)
    cloaked = [face for face in outcome.verdict.faces if face.required]
    assert len(cloaked) == 2
    assert all(face.found_again for face in cloaked)
    assert all(face.required or face.uncertain for face in outcome.verdict.faces), "what the noise looks like"
    assert worker is not None
    assert verifier is not None
    assert worker < most * GB
    assert verifier < most * GB

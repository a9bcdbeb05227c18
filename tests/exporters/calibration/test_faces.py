"""Folders of faces: who is on each photo, which face counts, and what is left out and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.exporters.calibration.faces import FacesError, look_with, read_faces
from uncnn.exporters.calibration.patches import LARGEST_PX, cut, decode, main_face
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def detector(detector_onnx: Path) -> RetinaFace:
    return load_onnx(detector_onnx, CPU, 1)


@pytest.fixture(scope="module")
def recognisers() -> list[OnnxRecogniser]:
    names = ("mobileface-v2", "dlib-resnet", "openvino-0095")  # a template each
    return [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in names]


@pytest.fixture(scope="module")
def photos(portraits: Callable[[int], list[np.ndarray]], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return eight photos of a face each."""
    folder = tmp_path_factory.mktemp("photos")
    for number, pixels in enumerate(portraits(8)):
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=95)
    return sorted(folder.iterdir())


def copied(photos: list[Path], folder: Path, names: list[str]) -> Path:
    for photo, name in zip(photos, names, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / name)
    return folder


def people_of(folder: Path, detector: RetinaFace) -> list[str]:
    return [face.person for face in read_faces([folder], look_with(detector)).faces]


def test_one_folder_a_person(photos, detector, tmp_path):
    copied(photos, tmp_path / "us", ["ada/IMG_0001.jpg", "ada/IMG_0002.JPG", "ben/a.jpg", "ben/Zoe_0001.jpg"])
    told: list[tuple[int, int]] = []
    found = read_faces([tmp_path / "us"], look_with(detector), lambda done, total: told.append((done, total)))
    assert [(face.person, face.file.name) for face in found.faces] == [
        ("ada", "IMG_0001.jpg"),
        ("ada", "IMG_0002.JPG"),
        ("ben", "Zoe_0001.jpg"),
        ("ben", "a.jpg"),
    ]
    assert found.name == "us"
    assert found.people == ["ada", "ben"]
    assert found.left_out == ()
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("names", "people"),
    [
        (["Ada_Ada_0001.jpg", "Ada_Ada_0002.jpg", "Al-B_0001.jpg"], ["Ada_Ada", "Ada_Ada", "Al-B"]),
        (["Ada_Ada_0001.jpg", "Ada_Ada_0002.jpg", "other.jpg"], None),
        (["IMG_0001.jpg", "IMG_0002.jpg", "DSC_0001.jpg"], None),  # a camera's names, not people's
        (["Ada_1.jpg", "Ada_2.jpg", "Ben_1.jpg"], None),
    ],
)
def test_flat_files(photos, detector, tmp_path, names, people):
    copied(photos, tmp_path, names)
    assert people_of(tmp_path, detector) == (people or [str(tmp_path / name) for name in sorted(names)])


def test_two_folders_share_their_people(photos, detector, tmp_path):
    copied(photos[:2], tmp_path / "a", ["Ada/1.jpg", "Ben/1.jpg"])
    copied(photos[2:4], tmp_path / "b", ["Ada_0001.jpg", "Cem_0001.jpg"])
    found = read_faces([tmp_path / "a", tmp_path / "b"], look_with(detector))
    assert [face.person for face in found.faces] == ["Ada", "Ben", "Ada", "Cem"]
    assert found.name == "a + b"
    assert read_faces([tmp_path / "a"], look_with(detector), name="family").name == "family"


def test_what_is_left_out_is_named(photos, detector, tmp_path):
    copied(photos, tmp_path, ["a.jpg", "b.jpg"])
    whole = photos[2].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no photo at all")
    (tmp_path / "empty.png").touch()
    shutil.copy(photos[0], tmp_path / "z.jpg")
    Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 20).convert("RGB").save(tmp_path / "fractal.jpg")
    Image.new("1", (20_000, 6_000)).save(tmp_path / "vast.png")
    for ignored in ("notes.txt", ".hidden.jpg", "._a.jpg", "Thumbs.db"):
        (tmp_path / ignored).write_bytes(whole)
    found = read_faces([tmp_path], look_with(detector))
    assert [face.file.name for face in found.faces] == ["a.jpg", "b.jpg"]
    reasons = {left.file.name: left.reason for left in found.left_out}
    assert reasons.keys() == {"cut.jpg", "text.jpg", "empty.png", "z.jpg", "fractal.jpg", "vast.png"}
    assert reasons["fractal.jpg"] == "no face found"
    assert reasons["z.jpg"] == f"a copy (of {tmp_path / 'a.jpg'})"
    assert "truncated" in reasons["cut.jpg"]
    assert "20000 x 6000 pixels, above 100,000,000; make it smaller" in reasons["vast.png"]
    assert all(reasons[name].startswith("cannot be read (") for name in ("cut.jpg", "text.jpg", "empty.png"))
    losses = "\n".join(found.losses())
    assert f"4 photos left out: cannot be read: {tmp_path / 'cut.jpg'}, {tmp_path / 'empty.png'}" in losses
    assert f"1 photo left out: no face found: {tmp_path / 'fractal.jpg'}" in losses


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.heic", "a.avif"])
def test_formats(photos, tmp_path, name):
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.open(photos[0]).save(tmp_path / name, quality=95)
    expected = decode(photos[0].read_bytes()).astype(float)
    assert np.abs(decode((tmp_path / name).read_bytes()) - expected).mean() < 3


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_a_turned_photo_is_upright(photos, tmp_path, orientation):
    """Stored so that the EXIF orientation turns it back; greys of a PNG come back exactly."""
    turns = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90}
    stored = Image.open(photos[0]).transpose(turns.get(orientation, Image.Transpose.ROTATE_270))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(decode((tmp_path / "turned.png").read_bytes()), decode(photos[0].read_bytes()))


def test_a_patch_shows_recognisers_what_the_photo_does(photos, detector, recognisers):
    for path in photos[:4]:
        photo = decode(path.read_bytes())
        face = main_face(detector.detect(photo), photo.shape)
        patch, landmarks = cut(photo, face)
        assert patch.shape[0] * patch.shape[1] < photo.shape[0] * photo.shape[1]
        for recogniser in recognisers:
            whole = recogniser.embed(photo, np.array([face.landmarks]))
            np.testing.assert_allclose(recogniser.embed(patch, landmarks[None]), whole, rtol=0, atol=1e-4)


def test_a_large_face_takes_bounded_memory(photos, detector, recognisers):
    small = decode(photos[0].read_bytes())
    face = main_face(detector.detect(small), small.shape)
    scale = 9
    image = Image.fromarray(small).resize((250 * scale, 250 * scale), Image.Resampling.BICUBIC)
    points = tuple(((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5) for x, y in face.landmarks)
    patch, landmarks = cut(np.asarray(image), Face(tuple(scale * edge for edge in face.box), points, 1.0))
    assert LARGEST_PX / 2 < max(patch.shape) <= LARGEST_PX
    for recogniser in recognisers:
        one, other = recogniser.embed(patch, landmarks[None])[0], recogniser.embed(small, np.array([face.landmarks]))[0]
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.97


def test_the_face_that_a_photo_is_of():
    points = ((0.0, 0.0),) * 5
    middle, corner, background = (
        Face(box, points, 0.9) for box in [(70, 70, 130, 130), (0, 0, 66, 66), (95, 95, 105, 105)]
    )
    assert main_face([corner, background, middle], (200, 200, 3)) is middle
    assert main_face([background, corner], (200, 66, 3)) is corner


def test_a_crowd_gives_one_face(shared_data, detector, tmp_path):
    groups = sorted((shared_data / "groups").iterdir(), key=lambda path: path.stat().st_size)[:2]
    found = read_faces([copied(groups, tmp_path, [group.name for group in groups])], look_with(detector))
    assert len(found.faces) == len(groups) == len(found.people)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "no face; a calibration compares faces of different people: give a folder with one folder"),
        (["ada/1.jpg", "ada/2.jpg"], r"only one person \(ada\); a calibration compares"),
        (["Ada_0001.jpg", "Ada_0002.jpg"], r"only one person \(Ada\)"),
        (
            ["2020/ada/1.jpg", "2020/ben/1.jpg"],
            r"too deep: 2020/ada is a folder in a person's folder; give the folders",
        ),
    ],
)
def test_a_folder_that_will_not_do(photos, detector, tmp_path, names, complaint):
    copied(photos, tmp_path, names)
    with pytest.raises(FacesError, match=complaint) as raised:
        read_faces([tmp_path], look_with(detector))
    assert str(raised.value).startswith(f"{tmp_path}: ")


def test_no_folder(detector, tmp_path):
    with pytest.raises(FacesError, match=r"gone: cannot be read \(No such file or directory\); give a folder"):
        read_faces([tmp_path / "gone"], look_with(detector))
    (tmp_path / "file").touch()
    with pytest.raises(FacesError, match=r"file: cannot be read \(Not a directory\)"):
        read_faces([tmp_path / "file"], look_with(detector))


def test_a_folder_of_broken_photos_says_so(detector, tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_text(f"broken {number}")
    with pytest.raises(
        FacesError, match=rf"no face; 5 photos left out: cannot be read: {tmp_path}/0.jpg, .*, \.\.\.; a"
    ):
        read_faces([tmp_path], look_with(detector))

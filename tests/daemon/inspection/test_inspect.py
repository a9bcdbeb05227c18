"""`inspect`: what a photo is, its faces in a picture, and what a policy makes of what its file says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
import tifffile
from models_home import ModelsHome
from photo_samples import picture, saved
from PIL import Image
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from uncnn.daemon.commands.inspect import inspect_options
from uncnn.daemon.config import ConfigError
from uncnn.daemon.inspection import process, report
from uncnn.daemon.inspection.drawing import LARGEST_PX, drawn
from uncnn.daemon.inspection.facts import facts, jpeg_quality
from uncnn.daemon.inspection.messages import FindFaces
from uncnn.daemon.photos import decode
from uncnn.daemon.protect.content import Content
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.verify import opinion
from uncnn.exporters.registry.detectors import ChosenDetector, DetectorFiles
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors import retinaface


def about(content: bytes) -> dict[str, Any]:
    return facts(decode(content, "photo"))


def deep_png() -> bytes:
    return saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000), "PNG")


def planar_tiff() -> bytes:
    """Return a TIFF that Pillow does not open: its 16-bit colours lie apart."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.zeros((3, 8, 12), np.uint16), photometric="rgb", planarconfig="separate")
    return buffer.getvalue()


def turned(photo_format: str, orientation: int = 6) -> bytes:
    return samples.oriented(picture(), photo_format, orientation)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            lambda: saved(picture(), "JPEG", quality=87, subsampling="4:2:0", progressive=True, dpi=(300, 300)),
            {
                "format": "JPEG",
                "kind": ["progressive", "4:2:0", "quality about 87"],
                "channels": "RGB",
                "colours": "sRGB",
                "profile": None,
                "dots_per_inch": (300, 300),
                "width": 96,
                "height": 64,
            },
        ),
        (lambda: saved(picture().convert("CMYK"), "JPEG"), {"channels": "CMYK", "colours": "unknown"}),
        (lambda: saved(picture().convert("L"), "JPEG"), {"channels": "grey", "colours": "sRGB"}),
        (lambda: turned("JPEG"), {"orientation": 6, "width": 96, "height": 64}),
        (lambda: turned("TIFF"), {"orientation": 6, "width": 96, "kind": ["LZW"], "bits": 8}),
        (lambda: turned("HEIF"), {"orientation": 6, "width": 96, "kind": ["HEVC", "4:4:4"], "bits": 8}),
        (lambda: turned("AVIF", 8), {"orientation": 8, "kind": ["AV1", "4:4:4"]}),
        (lambda: saved(picture(), "AVIF", subsampling="4:2:0"), {"kind": ["AV1", "4:2:0"], "orientation": 1}),
        (lambda: saved(picture(), "TIFF"), {"kind": ["uncompressed"], "dots_per_inch": None}),
        (lambda: saved(picture(), "WEBP"), {"kind": ["lossy"]}),
        (lambda: saved(picture(), "WEBP", lossless=True), {"kind": ["lossless"]}),
        (lambda: saved(picture().convert("P"), "PNG"), {"kind": ["palette"], "palette": 226, "transparency": False}),
        (lambda: saved(picture().convert("RGBA"), "PNG"), {"transparency": True, "palette": None, "bits": 8}),
        (planar_tiff, {"bits": 16, "channels": "RGB", "width": 12, "palette": None}),
        (deep_png, {"bits": 16, "channels": "grey"}),
        (
            lambda: saved(picture(), "PNG", icc_profile=samples.display_p3()),
            {"colours": "wide-gamut", "profile": "sRGB built-in"},
        ),
        (lambda: saved(picture().convert("L"), "PNG", icc_profile=samples.dark_grey()), {"colours": "own"}),
        (lambda: saved(picture().convert("P"), "GIF"), {"format": "GIF", "kind": []}),
        (lambda: saved(picture(), "BMP"), {"format": "BMP", "kind": []}),
    ],
)
def test_what_a_photo_is(content: Any, expected: dict[str, Any]) -> None:
    found = about(content())
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("quality", [30, 49, 50, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_told_by_its_table(quality: int) -> None:
    assert about(saved(picture(), "JPEG", quality=quality))["kind"][-1] == f"quality about {quality}"
    assert jpeg_quality((1, 99) * 32) is None


def a_face(left: float, top: float, size: float) -> Face:
    places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((left + x * size, top + y * size) for x, y in places)
    return Face((left, top, left + size, top + size), points, 0.9)  # type: ignore[arg-type] # five of them


@pytest.mark.parametrize("skin", [(40, 25, 15), (250, 225, 205), (128, 128, 128)])
def test_faces_are_drawn_readable_on_any_skin(skin: tuple[int, int, int]) -> None:
    photo = np.full((1000, 2000, 3), skin, np.uint8)
    faces = [a_face(400, 300, 400), a_face(1200, 300, 20), a_face(-5, -5, 100)]
    with Image.open(BytesIO(drawn(photo, faces, [True, False, True]))) as image:
        assert image.size == (LARGEST_PX, LARGEST_PX // 2)
        made = np.asarray(image)
    scale = LARGEST_PX / 2000
    box = made[:, round(600 * scale)]  # down through the middle of the first face
    light = np.abs(box.astype(int) - (64, 255, 128)).sum(axis=1) < 60
    dark = box.sum(axis=1) < 60
    top = round(300 * scale)
    assert light[top - 6 : top + 3].any()
    assert dark[top - 8 : top + 5].any()
    eye = made[round((300 + 0.4 * 400) * scale), round((400 + 0.3 * 400) * scale)].astype(int)
    assert np.abs(eye - (64, 255, 128)).sum() < 60
    small = made[round(290 * scale) : round(330 * scale), round(1190 * scale) : round(1230 * scale)].astype(int)
    assert (np.abs(small - (255, 176, 0)).sum(axis=2) < 60).any()
    assert tuple(made[-1, -1]) == skin


def test_a_small_photo_is_enlarged_and_one_without_faces_drawn_too() -> None:
    with Image.open(BytesIO(drawn(np.zeros((100, 300, 3), np.uint8), [], []))) as image:
        assert image.size == (1200, 400)
    with Image.open(BytesIO(drawn(np.zeros((1, 3000, 3), np.uint8), [], []))) as image:
        assert image.size == (1600, 1)


class Seer:
    """A detector that sees two faces in a photo as it stands, and none in one that is turned."""

    def __init__(self, photo: Pixels) -> None:
        self.photo = photo

    def detect(self, photo: Pixels) -> list[Face]:
        return [a_face(60, 10, 20), a_face(10.04, 10, 40)] if np.array_equal(photo, self.photo) else []


class Doubting:
    """Recognisers that take what is small for an animal."""

    def kinds(self, photo: Pixels, faces: list[Face], sure: float) -> list[str]:
        return ["human" if face.size_px > self.least else "animal" for face in faces]

    def __init__(self, least: float) -> None:
        self.least = least


def test_faces_come_largest_first_and_the_small_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = decode(saved(picture(), "PNG"), "photo.png")
    monkeypatch.setattr(retinaface, "load_onnx", lambda path, providers, sha256: Seer(photo.pixels))
    monkeypatch.setattr(opinion, "load_opinion", lambda providers: Doubting(0))
    files = DetectorFiles(tmp_path, "", tmp_path, "")
    asked = FindFaces(ChosenDetector(files), "cpu", 24, False, "cloak", Content(tmp_path / "photo.spool"))
    found = process.find_faces(photo, asked)
    large, small = found.faces
    assert (large["number"], large["cloaked"], large["box"]) == (1, True, [10.0, 10.0, 50.0, 50.0])
    assert (small["number"], small["cloaked"], small["size_px"]) == (2, False, 20.0)
    assert len(large["landmarks"]) == 5
    assert found.picture == Content(tmp_path / "photo.faces")
    with Image.open(tmp_path / "photo.faces") as image:
        assert (image.format, image.size) == ("PNG", (96 * 4, 64 * 4))
    monkeypatch.setattr(opinion, "load_opinion", lambda providers: Doubting(50))
    pet = process.find_faces(photo, asked).faces[0]
    assert (pet["cloaked"], pet["uncertain"]) == (False, "may be an animal")
    assert "left unchanged (may be an animal)" in report._fate(pet, 24)
    assert report.faces_line([pet], {"smallest_px": 24, "who": "all"}) == "1 face: 0 to be cloaked; 1 uncertain"


def test_a_person_reads_where_it_was_taken_and_what_would_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = samples.secret_exif()
    exif[0x010F], exif[0x013B] = "Maker", "Ada [bold]Lovelace[/bold]\x1b[31m"
    gps = exif.get_ifd(0x8825)
    gps[3], gps[4] = "E", (13.0, 22.0, 39.0)
    photo = decode(saved(picture(), "JPEG", exif=exif, comment="a" * 500), "photo.jpg")
    read = asdict(process.read(photo, "camera"))
    assert read["place"] == "52.516389 N, 13.377500 E"
    kept = {each["name"] for each in read["said"] if each["kept"]}
    assert kept >= {"Make"}
    assert not kept & {"Artist", "GPSLatitude", "comment", "MakerNote"}
    policy = {"origin": "policy everyday", "metadata": "camera", "smallest_px": 24, "who": "all-but-enrolled"}
    face = {"number": 1, "size_px": 300.4, "box": [-0.2, 1, 2, 3], "score": 0.987, "cloaked": True}
    face["uncertain"] = ""
    small = face | {"number": 2, "size_px": 20.0, "cloaked": False}
    answer = {"file": "pho\nto.jpg", "policy": policy, "faces": [face, small], "written": None, **read}
    out = StringIO()
    monkeypatch.setattr(report, "Console", lambda **options: Console(file=out, width=80, **options))
    report.show(answer, every=False)
    text = out.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert text.startswith("pho\\nto.jpg\n")
    assert "\x1b" not in text
    assert re.search(r"place +52.516389 N, 13.377500 E", text)
    assert "2 faces: 1 to be cloaked, except enrolled people; 1 smaller than 24 px, left unchanged" in " ".join(
        text.split()
    )
    assert re.search(r"Artist +Ada \[bold\]Lovelace\[/bold\] \[31m +removed", text)
    assert re.search(r"Make +Maker +kept", text)
    assert (
        f"{len(read['said']) - len(kept_ones(read))} of {len(read['said'])} metadata entries would be removed" in text
    )
    assert "position, owner, maker note, texts among them" in " ".join(text.split())


def kept_ones(read: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in read["said"] if each["kept"]]


def test_long_groups_are_shortened_to_what_tells_most() -> None:
    plain = {"group": "XMP", "value": "1", "kept": False}
    said = [{**plain, "name": f"crs:{number}", "about": None} for number in range(60)]
    said.append({**plain, "name": "dc:creator", "about": "owner"})
    lines = [Text.from_markup(line).plain for line in report.said_lines(said, 80, every=False)]
    assert len(lines) == 22
    assert any("dc:creator" in line for line in lines)
    assert lines[-1].strip() == "and 41 more: --all lists them"
    assert len(list(report.said_lines(said, 80, every=True))) == 62


def test_the_last_line_in_every_case() -> None:
    thing = {"group": "EXIF", "name": "Make", "value": "Maker", "about": None, "kept": True}
    assert report.last_line([]) == "The file contains no metadata."
    assert report.last_line([thing]) == "None of the metadata would be removed."
    assert Text.from_markup(report.last_line([thing | {"kept": False}])).plain.startswith("1 of 1 metadata")
    assert report.faces_line([], {"smallest_px": 24, "who": "all"}) == "No faces found."


CONFIG = """version: 1
folders:
  - {watch: watched, publish: out, policy: careful}
policies:
  everyday: {metadata: camera}
  careful: {metadata: all-but-location, faces: {smallest_px: 50}}
"""


@pytest.mark.parametrize(
    ("photo", "policy", "metadata", "expected"),
    [
        ("watched/below/a.jpg", None, None, ("all-but-location", 50, "policy careful, of its watched folder")),
        ("watched/below/a.jpg", "everyday", None, ("camera", 24, "policy everyday")),
        ("watched/below/a.jpg", None, "none", ("none", 50, "policy careful, of its watched folder")),
        ("elsewhere/a.jpg", None, None, ("camera", 24, "policy everyday")),
    ],
)
def test_the_policy_is_that_of_the_folder_unless_another_is_named(
    tmp_path: Path, photo: str, policy: str | None, metadata: str | None, expected: tuple[str, int, str]
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = inspect_options(tmp_path / "config.yaml", tmp_path / photo, policy, metadata, None, True, None)
    assert (options.policy.metadata, options.policy.faces.smallest_px, options.origin) == expected


def test_without_a_configuration_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("UNCNN_CONFIG", raising=False)
    options = inspect_options(None, tmp_path / "a.jpg", None, None, "cpu", False, None)
    assert (options.policy.metadata, options.device, options.faces) == ("none", "cpu", False)
    with pytest.raises(ConfigError):
        inspect_options(tmp_path / "none.yaml", tmp_path / "a.jpg", None, None, None, True, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "mild"}, "--policy 'mild' does not exist: choose one of everyday, careful"),
        ({"metadata": "all"}, "--metadata 'all': give none, camera or all-but-location"),
        ({"picture": Path("a.jpg")}, "ends in .png"),
        ({"picture": Path("a.png"), "faces": False}, "leave out --no-faces"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    plain = {"policy": None, "metadata": None, "device": None, "faces": True, "picture": None}
    with pytest.raises(SettingsError, match=re.escape(message)):
        inspect_options(tmp_path / "config.yaml", tmp_path / "a.jpg", **{**plain, **options})


def test_the_photo_itself_is_never_written_over(tmp_path: Path) -> None:
    photo, link = tmp_path / "a.png", tmp_path / "link.png"
    photo.write_bytes(saved(picture(), "PNG"))
    link.symlink_to(photo)
    with pytest.raises(SettingsError, match="is the photo: name another file"):
        inspect_options(None, photo, None, None, None, True, link)


def test_the_command_answers_without_models_and_in_one_line_where_it_cannot(tmp_path: Path) -> None:
    home = ModelsHome(tmp_path / "home")
    (tmp_path / "a.jpg").write_bytes(samples.with_secrets("JPEG"))
    program = (
        "import sys\n"
        f"sys.argv = ['uncnn-daemon', 'inspect', {str(tmp_path / 'a.jpg')!r}, '--no-faces', '--json']\n"
        "from uncnn.daemon.cli.entry import main\n"
        "if __name__ == '__main__':\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code\n"
        "    assert not {'torch', 'onnx', 'onnxruntime', 'PIL', 'tifffile'} & set(sys.modules)\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["schema_version"] == 2
    assert answer["faces"] is None
    assert answer["photo"]["format"] == "JPEG"
    assert {each["group"] for each in answer["said"]} >= {"comment", "second picture"}
    assert list((home.root / "state").rglob("*.jpg")) == []

    (tmp_path / "raw.jpg").write_bytes(b"FUJIFILMCCD-RAW 0201")
    refused = home.run("inspect", tmp_path / "raw.jpg")
    assert refused.returncode == 1
    assert refused.stderr == (
        "uncnn-daemon: raw.jpg is a RAW file (Fujifilm), which is not supported: export it as JPEG, PNG or TIFF\n"
    )


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from uncnn.daemon.cli.main import app\n"
        "try: app(['inspect', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'onnxruntime', 'tifffile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: uncnn-daemon inspect" in done.stdout


@pytest.mark.slow
def test_the_command_finds_faces_and_draws_them(own_detector_folder: Path, tmp_path: Path) -> None:
    from skimage import data

    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    Image.fromarray(data.astronaut()).save(tmp_path / "a.png")
    status, answer = home.json("inspect", tmp_path / "a.png", "-o", tmp_path / "faces.png")
    assert status == 0
    assert [face["number"] for face in answer["faces"]] == [1]
    assert answer["written"] == str(tmp_path / "faces.png")
    with Image.open(tmp_path / "faces.png") as image:
        assert image.size == (1536, 1536)
    shown = home.run("inspect", tmp_path / "a.png")
    assert "1 face: 1 to be cloaked" in shown.stdout
    Image.fromarray(data.astronaut()[::-1, ::-1]).save(tmp_path / "a.png")
    (tmp_path / "config.yaml").write_text("version: 1\npolicies: {turned: {faces: {rotated: true}}}\n")
    _, answer = home.json("inspect", tmp_path / "a.png", "--config", tmp_path / "config.yaml")
    (face,) = answer["faces"]
    (_, eye), *_, (_, mouth) = face["landmarks"]
    assert mouth < eye, "it stands on its head, and is read so"
    missing = home.run("inspect", tmp_path / "none.png")
    assert missing.returncode == 1
    assert "none.png cannot be read: there is no such file" in missing.stderr

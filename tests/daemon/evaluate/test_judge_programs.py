"""The programs of docs/examples that judge from outside, each in its own runtime, on a photo that anybody may have."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
POINTS = np.array([[203, 102], [246, 104], [225, 127], [203, 139], [244, 141]], dtype=np.float64)
"""The eyes, the nose and the corners of the mouth of the portrait, in pixels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a portrait, the same at 0.8 of its size as JPEG, and a photo of nobody."""
    photos = tmp_path_factory.mktemp("photos")
    portrait = Image.open(EXAMPLES / "astronaut.png").convert("RGB")
    portrait.save(photos / "0.png")
    portrait.resize((portrait.width * 4 // 5, portrait.height * 4 // 5)).save(photos / "1.jpg", quality=90)
    Image.new("RGB", (200, 200), (90, 120, 90)).save(photos / "2.png")
    return photos


def rows_of(command: Sequence[str | Path], folder: Path, output: Path) -> list[dict[str, Any]]:
    """Return what a program writes of the three photos."""
    done = subprocess.run([*command, output, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())
    assert list(rows) == [str(path) for path in sorted(folder.iterdir())]
    return list(rows.values())


def ours(name: str, folder: Path) -> np.ndarray:
    """Return the portrait's embedding by the network as it comes with uncnn."""
    recogniser = OnnxRecogniser.load(EMBEDDED / name, ["CPUExecutionProvider"])
    return recogniser.embed(np.asarray(Image.open(folder / "0.png")), POINTS[None])[0]


def test_dlib_links_the_portrait_to_itself_and_to_our_copy_of_its_network(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("dlib", reason="needs dlib: pip install dlib-bin")
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("needs dlib's weights: pip install face_recognition_models")
    large, small, nobody = rows_of([sys.executable, EXAMPLES / "dlib_judge.py"], folder, tmp_path / "out.json")
    assert (large["metric"], len(large["dlib"]), nobody) == ("euclidean", 128, {})
    assert np.linalg.norm(np.subtract(large["dlib"], small["dlib"])) < 0.3
    assert np.linalg.norm(large["dlib"] - ours("dlib-resnet", folder)) < 0.4


def test_openvino_links_the_portrait_to_itself_and_to_our_copy_of_its_network(
    folder: Path, tmp_path: Path, shared_models: Path
) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    pytest.importorskip("dlib", reason="needs dlib: pip install dlib-bin")
    network = shared_models / "upstream" / "face-reidentification-retail-0095.xml"
    command = [sys.executable, EXAMPLES / "openvino_judge.py", network]
    large, small, nobody = rows_of(command, folder, tmp_path / "out.json")
    assert (set(large), len(large["openvino"]), nobody) == ({"openvino"}, 256, {})
    assert cosine(large["openvino"], small["openvino"]) > 0.8
    assert cosine(large["openvino"], ours("openvino-0095", folder)) > 0.8


def cosine(one: Any, other: Any) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(
    ("program", "judge", "length", "metric"),
    [("human-judge.js", "human", 1024, None), ("faceapi-judge.js", "face-api", 128, "euclidean")],
)
def test_web_libraries_link_the_portrait_to_itself(
    folder: Path, tmp_path: Path, program: str, judge: str, length: int, metric: str | None
) -> None:
    modules = Path(os.environ.get("UNCNN_WEB_CLIENTS", "none")) / "node_modules"
    if shutil.which("node") is None or not modules.is_dir():
        pytest.skip(f"needs Node, and $UNCNN_WEB_CLIENTS: a folder in which what {program} names was installed")
    shutil.copyfile(EXAMPLES / program, tmp_path / program)
    (tmp_path / "node_modules").symlink_to(modules.resolve())
    large, small, nobody = rows_of(["node", tmp_path / program], folder, tmp_path / "out.json")
    assert (large.get("metric"), len(large[judge]), nobody) == (metric, length, {})
    assert cosine(large[judge], small[judge]) > 0.9

"""Models that are not what they say, sown one at a time: each blocks release, and the words name it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from PIL import Image
from safetensors.torch import load_file

from uncnn.daemon.protect.verifier import make_verifier
from uncnn.daemon.verify import second_look
from uncnn.exporters.registry import store
from uncnn.exporters.registry.detectors import DETECTOR_EXPORT, LARGER, OWN_DETECTOR, OWN_ONNX, SECOND_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers import canaries
from uncnn.plugins.recognisers.cards import Card, distance, read_card, value_at, write_card

MINE = "mine"
STUDENT = "mobileface-v2"


@dataclass(frozen=True)
class Sown:
    """Where a fault lies: a folder for UNCNN_MODELS, the user's data directory, and a copy of the package."""

    named: Path
    data: Path
    site: Path


def edited(model: ModelProto, names: str, change: Callable[[np.ndarray], np.ndarray]) -> ModelProto:
    """Return the model with the initializers that have one of `names` changed."""
    found = [tensor for tensor in model.graph.initializer if names in tensor.name]
    assert found, [tensor.name for tensor in model.graph.initializer]
    for tensor in found:
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), tensor.name))
    return model


def blind(model: ModelProto) -> ModelProto:
    """Return a detector whose class head says "background" everywhere."""

    def background(bias: np.ndarray) -> np.ndarray:
        bias[0::2], bias[1::2] = 50, -50
        return bias

    return edited(model, "ClassHead", lambda values: background(values) if values.ndim == 1 else values * 0)


def mine(sown: Sown, model: ModelProto, **changes: Any) -> None:
    """Put a judge of the user's own there whose card fits its bytes, whatever they do."""
    content = model.SerializeToString()
    folder = sown.named / MINE
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    facts = {"name": MINE, "role": "judge", "sha256": hashlib.sha256(content).hexdigest(), **changes}
    facts |= {"distilled_from": None, "intervals": None}
    write_card(read_card(EMBEDDED / STUDENT).model_copy(update=facts), folder)


def student() -> ModelProto:
    return onnx.load(EMBEDDED / STUDENT / "model.onnx")


def last_weights(model: ModelProto) -> str:
    """Return the name of the weights of the layer that gives the embedding."""
    named = {tensor.name for tensor in model.graph.initializer}
    return next(name for node in reversed(model.graph.node) for name in node.input if name in named)


def nan_judge(sown: Sown) -> None:
    model = student()
    mine(sown, edited(model, last_weights(model), lambda values: np.full_like(values, np.nan)))


def nan_surrogate(sown: Sown) -> None:
    model = student()
    mine(sown, edited(model, last_weights(model), lambda values: np.full_like(values, np.nan)), role="surrogate")


def constant_judge(sown: Sown) -> None:
    model, (output,) = student(), student().graph.output
    made = model.graph.node[-1]
    made.output[0] = "real"
    nothing = numpy_helper.from_array(np.zeros(1, np.float32), "nothing")
    same = numpy_helper.from_array(np.linspace(-1, 1, 256, dtype=np.float32), "same")
    model.graph.initializer.extend([nothing, same])
    model.graph.node.append(onnx.helper.make_node("Mul", ["real", "nothing"], ["gone"]))
    model.graph.node.append(onnx.helper.make_node("Add", ["gone", "same"], [output.name]))
    mine(sown, model)


def absurd_threshold(sown: Sown) -> None:
    mine(sown, student(), thresholds={1e-2: 0.99, 1e-3: 0.999, 1e-4: 0.9999})


def other_bytes(sown: Sown) -> None:
    mine(sown, student())
    shutil.copy(EMBEDDED / "esp-mfn" / "model.onnx", sown.named / MINE / "model.onnx")


def external_data(sown: Sown) -> None:
    mine(sown, student())
    path = sown.named / MINE / "model.onnx"
    onnx.save_model(student(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    card = read_card(path.parent)
    write_card(card.model_copy(update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}), path.parent)


def weights_as_pth(path: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = load_file(EMBEDDED / OWN_DETECTOR)
    torch.save({name: change(name, value) for name, value in state.items()}, path)


def blind_weights(sown: Sown) -> None:
    def change(name: str, value: torch.Tensor) -> torch.Tensor:
        if "ClassHead" not in name:
            return value
        return value * 0 if value.ndim > 1 else torch.tensor([50.0, -50.0] * (len(value) // 2))

    weights_as_pth(sown.named / LARGER, change)


def blind_cache(sown: Sown) -> None:
    """Sound weights, and in the cache an export that is not theirs, under a name that is right in all parts."""
    weights = sown.named / LARGER
    weights_as_pth(weights, lambda _, value: value)
    content = blind(onnx.load(EMBEDDED / OWN_ONNX)).SerializeToString()
    made, of = (hashlib.sha256(each).hexdigest() for each in (content, weights.read_bytes()))
    cache = store.models_dir(sown.data)
    cache.mkdir(parents=True)
    (cache / f"{weights.stem}-{of[:16]}-{DETECTOR_EXPORT}-{made}.onnx").write_bytes(content)


SOWN = {
    "blind detector's weights": (blind_weights, "the detector misses"),
    "blind detector in the cache": (blind_cache, "the detector misses"),
    "NaN in a judge": (nan_judge, f"{MINE} gives no embedding"),
    "NaN in a surrogate": (nan_surrogate, f"{MINE} gives no embedding"),
    "a judge that says the same of all": (constant_judge, f"{MINE} links two strangers"),
    "a threshold that nothing reaches": (absurd_threshold, f"{MINE} does not link two pictures of one face"),
    "weights of another model": (other_bytes, f"{MINE}/model.onnx: its sha256 is"),
    "weights outside the file": (external_data, f"{MINE}/model.onnx: keeps its weights in other files"),
}


@pytest.fixture
def sown(tmp_path: Path) -> Sown:
    return Sown(tmp_path / "named", tmp_path / "data" / "uncnn", tmp_path / "site")


@pytest.mark.slow
@pytest.mark.parametrize("fault", sorted(SOWN))
def test_a_verifier_does_not_start_on_it(sown: Sown, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sow, words = SOWN[fault]
    monkeypatch.setenv("UNCNN_MODELS", str(sown.named))
    sow(sown)
    with pytest.raises(UncnnError) as caught:
        make_verifier(store.prepare(sown.data, "auto", "auto", ["permissive"]), "cpu")
    assert words in str(caught.value)


def second_like(number: float) -> bytes:
    """Return the second detector with this number for the bias of its heat, whatever it is shown."""
    model = onnx.load(EMBEDDED / SECOND_ONNX)
    (heat,) = [node for node in model.graph.node if node.op_type == "Sigmoid"]
    model.graph.initializer.append(numpy_helper.from_array(np.array(number, np.float32), "number"))
    model.graph.node.insert(
        list(model.graph.node).index(heat), onnx.helper.make_node("Add", [heat.input[0], "number"], ["moved"])
    )
    heat.input[0] = "moved"
    return model.SerializeToString()


SECOND = {
    "blind": (lambda: second_like(-50), "the second detector misses the mean face"),
    "sees faces everywhere": (lambda: second_like(50), "the second detector "),
    "NaN": (lambda: second_like(np.nan), "the second detector misses the mean face"),
    "no network": (lambda: b"no network", "CenterFace's ONNX file"),
}


@pytest.mark.parametrize("fault", SECOND)
def test_a_verifier_does_not_start_on_a_second_detector_that_is_not_sound(
    sown: Sown, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = SECOND[fault]
    file = tmp_path / "second.onnx"
    file.write_bytes(make())
    known = (file, hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(second_look, "second_onnx", lambda: known)
    with pytest.raises(UncnnError) as caught:
        make_verifier(store.prepare(sown.data, "auto", "auto", ["permissive"]), "cpu")
    assert words in str(caught.value)


def cloaked(sown: Sown, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Cloak a photo, the known picture, by the real command in a home of its own."""
    Image.fromarray(canaries.picture()).save(tmp_path / "photo.png")
    environment = {
        **{key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ},
        **{key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "COV_"))},
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(sown.data.parent),
        "UNCNN_STATE": str(tmp_path / "state"),
        "UNCNN_MODELS": str(sown.named),
        "OMP_NUM_THREADS": "1",
        **more,
    }
    command = "import sys; from uncnn.daemon.cli.entry import main; sys.exit(main())"
    arguments = ["cloak", str(tmp_path / "photo.png"), "-o", str(tmp_path / "out"), "--strength", "subtle"]
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=tmp_path,  # where no package `uncnn` lies: Python looks there first
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", sorted(SOWN))
def test_nothing_is_released_by_it(sown: Sown, fault: str, tmp_path: Path) -> None:
    sow, words = SOWN[fault]
    sow(sown)
    answer = cloaked(sown, tmp_path)
    assert answer.returncode == 1, answer
    assert words in " ".join((answer.stderr + answer.stdout).split())
    assert not list((tmp_path / "out").glob("*"))


def edit_judge(folder: Path) -> None:
    card = read_card(folder / "openvino-0095")
    lax = {far: value + 0.2 for far, value in card.thresholds.items()}
    write_card(card.model_copy(update={"thresholds": lax, "intervals": None}), folder / "openvino-0095")


def swap_judge(folder: Path) -> None:
    """Put another model under the name of a judge, with a card that fits it."""
    content = (folder / STUDENT / "model.onnx").read_bytes()
    (folder / "openvino-0095" / "model.onnx").write_bytes(content)
    card: Card = read_card(folder / STUDENT)
    write_card(card.model_copy(update={"name": "openvino-0095", "role": "judge"}), folder / "openvino-0095")


def swap_bytes(folder: Path) -> None:
    shutil.copy(folder / STUDENT / "model.onnx", folder / "openvino-0095" / "model.onnx")


def blind_detector(folder: Path) -> None:
    (folder / OWN_ONNX).write_bytes(blind(onnx.load(folder / OWN_ONNX)).SerializeToString())


def blind_second_detector(folder: Path) -> None:
    (folder / SECOND_ONNX).write_bytes(second_like(-50))


def no_second_detector(folder: Path) -> None:
    (folder / SECOND_ONNX).unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (edit_judge, "openvino-0095: not the card that uncnn shipped with"),
        (swap_judge, "openvino-0095: not the card that uncnn shipped with"),
        (swap_bytes, "openvino-0095/model.onnx: its sha256 is"),
        (blind_detector, f"{OWN_ONNX} has the sha256"),
        (blind_second_detector, f"{SECOND_ONNX} has the sha256"),
        (no_second_detector, f"{SECOND_ONNX} cannot be read"),
    ],
)
def test_nothing_is_released_by_an_installation_that_was_changed(
    sown: Sown, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    source = EMBEDDED.parents[1]
    for part in ("daemon", "exporters", "plugins"):
        shutil.copytree(source / part, sown.site / "uncnn" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "uncnn" / "__init__.py", sown.site / "uncnn")
    spoil(sown.site / "uncnn" / "exporters" / "models")
    answer = cloaked(sown, tmp_path, PYTHONPATH=str(sown.site))
    assert answer.returncode == 1, answer
    assert words in " ".join((answer.stderr + answer.stdout).split())
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.slow
def test_a_shadow_of_a_judge_is_named_and_the_true_one_judges(sown: Sown, tmp_path: Path) -> None:
    folder = shutil.copytree(EMBEDDED / "openvino-0095", sown.named / "openvino-0095")
    edit_judge(folder.parent)
    answer = cloaked(sown, tmp_path)
    first = answer.stderr.splitlines()[0]
    assert "not what their names say: openvino-0095 (a laxer threshold" in first
    true, lax = (
        value_at("cosine", (1 + judge.margin) * distance("cosine", judge.threshold(1e-3)))
        for judge in (read_card(EMBEDDED / "openvino-0095"), read_card(folder))
    )
    assert f">= {true:.3f}" in answer.stdout
    assert f">= {lax:.3f}" not in answer.stdout

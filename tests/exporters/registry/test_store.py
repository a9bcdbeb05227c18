"""Where models are found, and which of them are used for what."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from uncnn.exporters.registry import store
from uncnn.exporters.registry.detectors import LARGER, OWN_ONNX, PUBLISHED, published_sha256
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR, Installed, ModelsError
from uncnn.plugins.detectors.retinaface_network import load_network
from uncnn.plugins.recognisers.cards import read_card, sha256_of


@pytest.fixture(scope="module")
def dlib() -> Installed:
    folder = store.EMBEDDED / "dlib-resnet"
    return Installed(folder, read_card(folder))


@pytest.fixture
def nothing_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED", tmp_path / "nothing")


def called(model: Installed, name: str, role: str, use: str = "permissive") -> Installed:
    licence = model.card.licence.model_copy(update={"use": use})
    return Installed(model.folder, model.card.model_copy(update={"name": name, "role": role, "licence": licence}))


@pytest.fixture
def models(dlib: Installed) -> list[Installed]:
    return [
        dlib,
        called(dlib, "free", "surrogate"),
        called(dlib, "study", "surrogate", "research"),
        called(dlib, "stern", "judge", "research"),
    ]


def names(models: list[Installed]) -> list[str]:
    return [model.card.name for model in models]


def test_auto_takes_every_role_that_the_licences_allow(models: list[Installed]) -> None:
    attacked, judging, left_out = store.choose(models, "auto", "auto", ["permissive"])
    assert (names(attacked), names(judging), names(left_out)) == (["free"], ["dlib-resnet"], ["study", "stern"])
    attacked, judging, left_out = store.choose(models, "auto", "auto", ["permissive", "research"])
    assert (names(attacked), names(judging)) == (["free", "study"], ["dlib-resnet", "stern"])
    assert left_out == []


@pytest.mark.parametrize(
    ("surrogates", "judges", "words"),
    [
        (["nobody"], "auto", "surrogate 'nobody' is not installed: there are dlib-resnet, free"),
        (["study"], "auto", "study is for research use only: add research"),
        (["free", "dlib-resnet"], ["dlib-resnet"], "dlib-resnet cannot be surrogate and judge at once"),
        ([], "auto", "no surrogate is installed"),
    ],
)
def test_a_choice_that_cannot_be_is_named(
    models: list[Installed], surrogates: list[str], judges: list[str], words: str
) -> None:
    with pytest.raises(ModelsError, match=words):
        store.choose(models, surrogates, judges, ["permissive"])


def test_a_side_that_only_a_licence_keeps_empty_says_so(models: list[Installed]) -> None:
    with pytest.raises(ModelsError, match=r"--licence research.*study"):
        store.choose([models[0], models[2]], "auto", "auto", ["permissive"])


def test_a_model_without_thresholds_is_left_out(models: list[Installed]) -> None:
    bare = Installed(models[1].folder, models[1].card.model_copy(update={"name": "bare", "thresholds": {}}))
    attacked, judging, left_out = store.choose([*models, bare], "auto", "auto", ["permissive"])
    assert (names(attacked), names(judging), names(left_out)) == (
        ["free"],
        ["dlib-resnet"],
        ["study", "stern", "bare"],
    )
    with pytest.raises(ModelsError, match=r"surrogate bare has no thresholds.*models calibrate bare --faces FOLDER"):
        store.choose([*models, bare], ["bare"], "auto", ["permissive"])
    with pytest.raises(ModelsError, match=r"models pull --pack small.*calibrate to use them: .* calibrate bare"):
        store.choose([models[0], bare], "auto", "auto", ["permissive"])


def test_every_place_is_seen_broken_ones_too(dlib: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path / "named"))
    shutil.copytree(dlib.folder, tmp_path / "models" / "dlib-resnet")
    (tmp_path / "named" / "broken").mkdir(parents=True)
    (tmp_path / "named" / "broken" / "card.yaml").write_text("name: [")
    ours = [place for place in store.places(tmp_path) if tmp_path in place.folder.parents]
    assert [(place.name, place.card is None) for place in ours] == [("broken", True), ("dlib-resnet", False)]
    assert "not YAML" in ours[0].problem


def test_what_comes_with_uncnn_is_there_without_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCNN_MODELS", raising=False)
    found = store.installed(tmp_path)
    assert {model.folder.parent for model in found} == {store.EMBEDDED}
    attacked, judging, left_out = store.choose(found, "auto", "auto", ["permissive"])
    assert (len(attacked), names(judging), left_out) == (3, ["dlib-resnet", "openvino-0095"], [])
    assert list(tmp_path.iterdir()) == [], "nothing is made at first use"


@pytest.mark.usefixtures("nothing_embedded")
def test_nothing_is_found_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCNN_MODELS", raising=False)
    assert store.installed(tmp_path) == []


@pytest.mark.usefixtures("nothing_embedded")
def test_the_first_folder_that_has_a_name_wins(
    dlib: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("first", "second"):
        shutil.copytree(dlib.folder, tmp_path / place / "dlib-resnet")
    (tmp_path / "first" / ".dlib-resnet-half").mkdir()
    shutil.copy(dlib.folder / "card.yaml", tmp_path / "first" / ".dlib-resnet-half")
    monkeypatch.setenv("UNCNN_MODELS", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    (found,) = store.installed(tmp_path / "data")
    assert found.folder == tmp_path / "first" / "dlib-resnet", "a hidden folder is half a model"


@pytest.mark.usefixtures("nothing_embedded")
def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path))
    with pytest.raises(ModelsError) as caught:
        store.detector_weights(tmp_path)
    assert "retinaface-mobilenet0.25.safetensors" in str(caught.value)
    assert "install uncnn again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_published_detector_comes_with_uncnn_and_nothing_is_exported(
    shared_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNCNN_MODELS", raising=False)
    ours = store.detector_files(tmp_path)
    assert (ours.weights, ours.onnx) == (EMBEDDED / OWN_DETECTOR, EMBEDDED / OWN_ONNX)
    assert (sha256_of(ours.weights), sha256_of(ours.onnx)) == (ours.weights_sha256, ours.onnx_sha256)
    monkeypatch.setenv("UNCNN_MODELS", str(shared_models / "reference"))
    assert store.detector_files(tmp_path) == ours, "the published file is the one that ours was made of"
    published, _ = load_network(shared_models / "reference" / PUBLISHED, published_sha256())
    state = published.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in load_file(ours.weights).items())
    assert list(tmp_path.iterdir()) == []


def test_other_weights_under_the_published_name_are_named_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / PUBLISHED).write_bytes(b"other weights")
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path / "named"))
    assert store.detector_weights(tmp_path) == EMBEDDED / OWN_DETECTOR
    (notice,) = store.notices(tmp_path)
    assert "is not the published file of that name: it is not used" in notice


@pytest.mark.slow
def test_the_users_weights_are_exported_once_and_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "named").mkdir()
    torch.save(load_file(EMBEDDED / OWN_DETECTOR), tmp_path / "named" / LARGER)
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path / "named"))
    files = store.detector_files(tmp_path)
    assert files.weights == tmp_path / "named" / LARGER
    assert files.onnx.stem.endswith(files.onnx_sha256)
    assert sha256_of(files.onnx) == files.onnx_sha256
    written = files.onnx.stat().st_mtime_ns
    assert store.detector_files(tmp_path) == files
    assert files.onnx.stat().st_mtime_ns == written
    assert list(files.onnx.parent.iterdir()) == [files.onnx], "no temporary file stays"
    files.onnx.write_bytes(files.onnx.read_bytes()[:-1] + b"?")
    assert store.detector_files(tmp_path) == files, "it is made again"
    assert "has another sha256 than its name says" in caplog.text


def test_looking_for_models_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from uncnn.exporters.registry import store\n"
        f"assert store.installed(pathlib.Path({str(tmp_path)!r}))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": str(tmp_path)})


def test_a_digest_tells_rosters_apart_and_not_where_they_lie(models: list[Installed], tmp_path: Path) -> None:
    dlib, free = models[:2]
    files = store.DetectorFiles(tmp_path / "weights.pth", "12ab", tmp_path / "detector.onnx", "34cd")
    roster = store.Roster((free,), (dlib,), (), store.ChosenDetector(files))
    elsewhere = Installed(tmp_path, dlib.card)
    moved = replace(files, weights=tmp_path / "other.pth", onnx=tmp_path / "other.onnx")
    assert (
        replace(roster, judges=(elsewhere,), left_out=(free,), detector=store.ChosenDetector(moved)).digest()
        == roster.digest()
    )
    assert dlib.card.confidence is not None
    unsure = Installed(dlib.folder, dlib.card.model_copy(update={"confidence": None}))
    assert replace(roster, judges=(unsure,)).digest() == roster.digest(), "photos that were done are not done again"
    stricter = Installed(dlib.folder, dlib.card.model_copy(update={"thresholds": {1e-3: 0.5}}))
    others = [
        replace(roster, judges=(stricter,)),
        replace(roster, judges=(called(dlib, "other", "judge"),)),
        replace(roster, judges=(dlib, free), surrogates=()),
        replace(roster, surrogates=(free, free)),
        replace(roster, detector=store.ChosenDetector(replace(files, weights_sha256="56ef"))),
        replace(roster, detector=store.ChosenDetector(replace(files, onnx_sha256="56ef"))),
        replace(roster, detector=store.ChosenDetector(files, "other", "others 1.0")),
        replace(roster, detector=store.ChosenDetector(files, "other", "others 1.1")),
    ]
    assert len({roster.digest(), *(other.digest() for other in others)}) == 1 + len(others)

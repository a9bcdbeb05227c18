"""What is missing is said in one line, with what brings it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from uncnn.exporters.registry import store
from uncnn.plugins import extras, registry
from uncnn.plugins.extras import MissingPackage, missing_words, require
from uncnn.plugins.recognisers.sessions import providers_for


@pytest.fixture
def nothing_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"torch", "onnxruntime"}
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in gone else find_spec(name))


def test_what_is_there_is_required_in_silence() -> None:
    require("torch", "onnxruntime", "timm", "matplotlib", "ssimulacra2", "apprise")


@pytest.mark.usefixtures("nothing_that_computes")
def test_a_run_says_what_is_missing_before_it_looks_for_models(tmp_path: Path) -> None:
    words = (
        r'^torch and onnxruntime are not installed: pip install "uncnn\[cpu\]", or "uncnn\[cuda\]" for an NVIDIA GPU$'
    )
    with pytest.raises(MissingPackage, match=words):
        store.prepare(tmp_path, "auto", "auto", ["free"])
    with pytest.raises(MissingPackage, match=r"^onnxruntime is not installed"):
        providers_for("auto")


def test_an_attack_that_needs_torch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> None:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    class Odd:
        def load(self) -> None:
            raise ModuleNotFoundError("No module named 'leaves'", name="leaves")

    monkeypatch.setattr(registry, "entries", lambda _group: {"veil": Entry(), "leaves": Odd()})
    with pytest.raises(registry.UnknownAttack, match=r"cannot be loaded: torch is not installed: pip install"):
        registry.load_attack("veil")
    with pytest.raises(registry.UnknownAttack, match=r"cannot be loaded \(No module named 'leaves'\)"):
        registry.load_attack("leaves")


def test_several_that_are_missing_are_listed() -> None:
    assert missing_words(["starlette", "uvicorn", "segno"]) == (
        'starlette, uvicorn and segno are not installed: pip install "uncnn[web]"'
    )

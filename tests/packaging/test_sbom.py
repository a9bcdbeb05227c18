"""The bill of materials names all that is pinned and all models, and is the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uncnn.exporters.registry.pins import EMBEDDED, read_pins

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # it reads all that is installed
BEGINNINGS = {"MIT": "MIT License", "Apache-2.0": "Apache License", "CC0-1.0": "CC0 1.0 Universal"}


def made(folder: Path, *given: str, seed: str = "0") -> str:
    file = folder / f"{seed}.json"
    command = [sys.executable, ROOT / "packaging" / "make_sbom.py", "-o", file, *given]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True, cwd=folder
    )
    assert (done.stdout, done.stderr) == ("", "")
    return file.read_text()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(tmp_path_factory.mktemp("bill"), "--check")


@pytest.fixture(scope="module")
def components(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def test_every_pin_is_named_with_its_hashes(components: list[dict[str, Any]]) -> None:
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements-cpu.txt").read_text(), re.MULTILINE)
    assert len(pins) > 30
    named = {(each["name"].lower(), each.get("version")): each for each in components}
    assert set(pins) <= set(named)
    (source,) = named["pyyaml", dict(pins)["pyyaml"]]["externalReferences"]
    assert len(source["hashes"]) > 5


def test_every_model_is_named_with_its_hash_and_the_licence_that_lies_beside_it(
    components: list[dict[str, Any]],
) -> None:
    pins = read_pins()
    hashes = {name: pin.sha256 for name, pin in pins.recognisers.items()} | dict(pins.detectors)
    found = {each["name"]: each for each in components if each["type"] == "machine-learning-model"}
    assert {name: each["hashes"][0]["content"] for name, each in found.items()} == hashes
    for name, each in found.items():
        folder = EMBEDDED / name.partition("/")[0]
        (licence,) = each["licenses"]
        assert (folder / "LICENSE").read_text().strip().startswith(BEGINNINGS[licence["license"]["id"]])
        assert each["copyright"] == (folder / "NOTICE").read_text().strip()


def test_it_is_the_same_each_time_and_names_no_machine(text: str, tmp_path: Path) -> None:
    assert made(tmp_path, seed="7") == text
    assert "timestamp" not in text
    assert "serialNumber" not in text
    assert str(ROOT) not in text

"""What the page of the camera may do that no other may, and what it is given: to a browser that was let in, alone."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from served_page import ServedPage

from uncnn.daemon.people.store import People, Person, Template, people_file, write_people
from uncnn.daemon.web import camera
from uncnn.daemon.web.camera import RECOGNISER, RUNTIME
from uncnn.daemon.web.doors import BORNE, POLICY
from uncnn.exporters.registry.pins import EMBEDDED, read_pins
from uncnn.plugins.recognisers.cards import read_card

FILES = ("/camera/detector.onnx", "/camera/recogniser.onnx", "/onnxruntime/ort-wasm-simd-threaded.wasm")
WASM = "'wasm-unsafe-eval'"


def person(name: str, recogniser: str, sha256: str) -> Person:
    return Person(
        name, datetime.now(UTC), [Template("other", "0" * 64, [[9.0]]), Template(recogniser, sha256, [[0.5, 1.5]])]
    )


def test_its_page_alone_may_take_the_camera(standing_page: ServedPage) -> None:
    own = standing_page.ask("GET", "/camera").headers
    assert "camera=(self)" in own["permissions-policy"]
    assert "microphone=()" in own["permissions-policy"]
    others = {name: value for name, value in BORNE.items() if name not in camera.CAMERA_HEADERS}
    assert {name: own[name.lower()] for name in others} == others
    for path in ("/", "/people", "/camera.json", "/nowhere"):
        answer = standing_page.ask("GET", path)
        assert {name: answer.headers[name.lower()] for name in BORNE} == BORNE, path


def test_what_runs_beside_it_alone_may_compile(standing_page: ServedPage) -> None:
    """And the page alone may begin it: by that name, no other script."""
    page, worker, script = (
        standing_page.ask("GET", path).headers["content-security-policy"]
        for path in ("/camera", "/static/camera-worker.js", "/static/camera.js")
    )
    assert script == POLICY
    assert WASM in worker
    assert worker.replace(f" {WASM}", "") == POLICY
    assert WASM not in page
    assert page.replace("trusted-types camera-worker", "trusted-types 'none'") == POLICY


def test_without_a_session_none_of_it_is_given(standing_page: ServedPage) -> None:
    for path in ("/camera", "/camera.json", *FILES, "/onnxruntime/ort.wasm.bundle.min.mjs"):
        assert standing_page.ask("GET", path, Cookie="").status == 401
        assert standing_page.ask("GET", path, Sec_Fetch_Site="cross-site").status == 403


def test_the_models_are_those_that_ship(standing_page: ServedPage) -> None:
    pins = read_pins()
    wanted = {"detector": pins.detectors[camera.OWN_ONNX], "recogniser": pins.recognisers[RECOGNISER].sha256}
    for name, sha256 in wanted.items():
        answer = standing_page.ask("GET", f"/camera/{name}.onnx")
        assert hashlib.sha256(answer.body).hexdigest() == sha256
        again = standing_page.ask("GET", f"/camera/{name}.onnx", If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")
    for path in (
        "/camera/other.onnx",
        "/camera/..%2fdetector.onnx",
        "/onnxruntime/NOTICE",
        "/onnxruntime/..%2fcamera.py",
    ):
        assert standing_page.ask("GET", path).status == 404


def test_a_model_that_was_changed_is_not_given(
    standing_page: ServedPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EMBEDDED / RECOGNISER, tmp_path / RECOGNISER)
    monkeypatch.setattr(camera, "EMBEDDED", tmp_path)
    assert standing_page.ask("GET", "/camera/recogniser.onnx").status == 200
    with (tmp_path / RECOGNISER / "model.onnx").open("r+b") as model:
        model.seek(100_000)
        model.write(b"changed")
    answer = standing_page.ask("GET", "/camera/recogniser.onnx")
    assert (answer.status, b"models check" in answer.body) == (503, True)
    assert standing_page.ask("GET", "/camera/detector.onnx").status == 503  # it is not there at all


def test_the_runtime_is_what_its_notice_says(standing_page: ServedPage) -> None:
    notice = (RUNTIME / "NOTICE").read_text()
    said = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", notice, re.MULTILINE))
    names = {name: sha256 for sha256, name in said.items()}
    assert set(names) == {"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}
    for name, sha256 in names.items():
        answer = standing_page.ask("GET", f"/onnxruntime/{name}")
        packed = answer.headers.get("content-encoding") == "gzip"
        assert hashlib.sha256(gzip.decompress(answer.body) if packed else answer.body).hexdigest() == sha256
    assert "ONNX Runtime Web v1.30.0" in (RUNTIME / "ort.wasm.bundle.min.mjs").read_text()[:100]
    assert (RUNTIME / "LICENSE").read_text().startswith("MIT License")


def test_it_is_told_of_people_what_this_recogniser_made_of_them_alone(page: ServedPage) -> None:
    card = read_card(EMBEDDED / RECOGNISER)
    people = [person("Ada", RECOGNISER, card.sha256), person("Eve", RECOGNISER, "1" * 64)]
    write_people(people_file(), People(1, people))
    said = page.ask("GET", "/camera.json").json()
    assert said["people"] == [{"name": "Ada", "embeddings": [[0.5, 1.5]]}]
    assert said["unasked"] == ["Eve"]  # of another version of it, which says nothing
    recogniser = said["recogniser"]
    assert (recogniser["name"], recogniser["threshold"]) == (RECOGNISER, card.thresholds[1e-3])
    assert recogniser["template"] == [list(point) for point in card.template]
    assert recogniser["input"] == {
        **card.input.model_dump(),
        "mean": list(card.input.mean),
        "std": list(card.input.std),
    }


def test_people_that_cannot_be_read_are_not_taken_for_none(page: ServedPage) -> None:
    people_file().write_bytes(b"{")
    answer = page.ask("GET", "/camera.json")
    assert (answer.status, "enrolled people" in answer.json()["refused"]) == (503, True)

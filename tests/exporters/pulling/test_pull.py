"""From a real server to a folder that a run takes: models come whole and proven, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from model_server import ModelServer, serving

from uncnn.exporters.pulling.download import News, Origin
from uncnn.exporters.pulling.packages import packaged
from uncnn.exporters.pulling.pull import Pulled, Wish, pull
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import DetectorEntry, Entry, RecogniserEntry, read_catalog
from uncnn.plugins.recognisers.cards import CardError, check_model, read_card

MODEL, DETECTOR = "mobileface-v2", "retinaface-mobilenet0.25"
FREE, BOTH = ("permissive",), ("permissive", "research")
PROGRAM = Path(sys.executable).with_name("uncnn-daemon")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.lower().endswith("_proxy") or key.startswith("UNCNN_")]:
        monkeypatch.delenv(key)


@pytest.fixture(autouse=True, scope="module")
def nothing_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the catalog's models be pulled, as if none came with uncnn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uncnn.exporters.pulling.pull.EMBEDDED", tmp_path_factory.mktemp("nothing"))
        yield


@pytest.fixture
def server(shared_models: Path) -> Iterator[ModelServer]:
    with serving(shared_models / "upstream") as server:
        yield server


def pulled(entries: Sequence[Entry], data: Path, origin: Origin, **changes: object) -> dict[str, Pulled]:
    wish = Wish(changes.pop("licences", FREE), origin, **changes)  # type: ignore[arg-type]
    return {each.name: each for each in pull(entries, data, wish, lambda _news: None)}


def entries(*names: str) -> list[Entry]:
    return read_catalog().named(names)


def sound(data: Path, name: str) -> bool:
    try:
        check_model(data / "models" / name, read_card(data / "models" / name))
    except CardError:
        return False
    return True


def visible(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


COMPLETE = {
    "downloads/lock",
    f"models/{MODEL}/card.yaml",
    f"models/{MODEL}/model.onnx",
    "models/retinaface-mobilenet0.25.pth",
}


@pytest.fixture(scope="module")
def data(shared_models: Path, nothing_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory into which a recogniser and the detector were pulled."""
    data = tmp_path_factory.mktemp("data")
    with serving(shared_models / "upstream") as server:
        found = pulled(entries(MODEL, DETECTOR), data, Origin(server.url))
    assert {each.state for each in found.values()} == {"installed"}, found
    return data


def test_what_is_pulled_is_complete_and_what_was_fetched_is_gone(data: Path) -> None:
    assert visible(data) == COMPLETE
    card = read_card(data / "models" / MODEL)
    (entry,) = entries(MODEL)
    assert isinstance(entry, RecogniserEntry)
    assert card.source is not None
    assert (card.source.sha256, card.source.url) == (entry.files[0].sha256, entry.files[0].url)
    assert card.thresholds == entry.thresholds
    assert card.parity is not None
    assert card.parity <= 1e-4
    assert sound(data, MODEL)
    assert store.detector_weights(data) == store.EMBEDDED / store.OWN_DETECTOR, "the same weights, hash pinned"


def test_what_is_there_and_sound_is_not_fetched_again(data: Path, server: ModelServer) -> None:
    found = pulled(entries(MODEL, DETECTOR), data, Origin(server.url))
    assert [each.state for each in found.values()] == ["present", "present"]
    assert found[MODEL].place == data / "models" / MODEL
    assert server.seen == []


@pytest.mark.parametrize("damage", ["truncated", "of other files", "no card"])
def test_what_is_damaged_is_pulled_again(data: Path, server: ModelServer, tmp_path: Path, damage: str) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "models" / MODEL
    if damage == "truncated":
        (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:1000])
    elif damage == "no card":
        (folder / "card.yaml").unlink()
    else:
        (entry,) = entries(MODEL)
        text = (folder / "card.yaml").read_text()
        (folder / "card.yaml").write_text(text.replace(str(entry.files[0].sha256), "0" * 64))
    found = pulled(entries(MODEL), tmp_path, Origin(server.url))
    assert found[MODEL].state == "installed"
    assert visible(tmp_path) == COMPLETE
    assert sound(tmp_path, MODEL)


def test_a_licence_that_is_not_accepted_is_refused_before_a_byte(server: ModelServer, tmp_path: Path) -> None:
    found = pulled(entries("mobilefacenet-y1", "w600k_r50"), tmp_path, Origin(server.url))
    assert {each.state for each in found.values()} == {"refused"}
    message = found["mobilefacenet-y1"].message
    assert "for research use only (none stated; InsightFace models are for non-commercial research)" in message
    assert "--licence research" in message
    assert "models.licences" in message
    assert server.seen == []
    assert visible(tmp_path) == set()


def test_one_that_fails_does_not_stop_the_others(server: ModelServer, tmp_path: Path) -> None:
    server.tricks["mobileface-v2-0000.params"] = ["wrong"]
    (retinaface,) = entries(DETECTOR)
    garbage = tmp_path / "served" / "garbage.onnx"
    garbage.parent.mkdir()
    garbage.write_bytes(b"This is no model." * 100)
    (broken,) = entries("w600k_r50")
    digest = hashlib.sha256(garbage.read_bytes()).hexdigest()
    file = broken.files[0].model_copy(update={"file": "garbage.onnx", "sha256": digest})
    found = pulled([*entries(MODEL), retinaface], tmp_path, Origin(server.url))
    assert [each.state for each in found.values()] == ["failed", "installed"]
    assert "but the catalog says" in found[MODEL].message
    hostile = broken.model_copy(update={"files": (file,)})
    found = pulled([hostile], tmp_path, Origin(folder=garbage.parent), licences=BOTH)
    assert found["w600k_r50"].state == "failed"
    assert "garbage.onnx" in found["w600k_r50"].message
    assert {name for name in visible(tmp_path) if name.startswith("models")} == {"models/retinaface-mobilenet0.25.pth"}


@pytest.mark.slow
def test_dlib_comes_from_its_package_or_a_folder(tmp_path: Path) -> None:
    found = pulled(entries("dlib-resnet"), tmp_path / "package", Origin("http://127.0.0.1:9"))
    assert found["dlib-resnet"].state == "installed", "the package has it: nobody is asked"
    original = packaged(entries("dlib-resnet")[0].files[0])
    assert original.is_file(), "what belongs to the package stays"
    (tmp_path / "from").mkdir()
    shutil.copy(original, tmp_path / "from")
    found = pulled(entries("dlib-resnet"), tmp_path / "folder", Origin(folder=tmp_path / "from"))
    assert found["dlib-resnet"].state == "installed"
    assert visible(tmp_path / "folder") == {
        "downloads/lock",
        "models/dlib-resnet/card.yaml",
        "models/dlib-resnet/model.onnx",
    }


def zipped(entry: Entry, folder: Path, member: str, content: bytes) -> DetectorEntry:
    """Return an entry whose file is a zip of one member, as retinaface-resnet50 is published."""
    folder.mkdir(exist_ok=True)
    file = entry.files[0]
    with zipfile.ZipFile(folder / file.file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    whole = hashlib.sha256((folder / file.file).read_bytes()).hexdigest()
    assert isinstance(entry, DetectorEntry)
    return entry.model_copy(update={"files": (file.model_copy(update={"sha256": whole, "sha256_head": None}),)})


def test_a_detector_in_a_zip_is_taken_out(shared_models: Path, tmp_path: Path) -> None:
    weights = (shared_models / "upstream" / "retinaface-mobilenet0.25.pth").read_bytes()
    entry = zipped(entries("retinaface-resnet50")[0], tmp_path / "from", "../../../evil.pth", weights)
    data = tmp_path / "data"
    found = pulled([entry], data, Origin(folder=tmp_path / "from"))
    assert found[entry.name].state == "installed", found
    assert visible(data) == {"downloads/lock", "models/retinaface-resnet50.pth"}
    assert (data / "models" / "retinaface-resnet50.pth").read_bytes() == weights
    assert list(tmp_path.rglob("evil*")) == []
    assert pulled([entry], data, Origin(folder=tmp_path / "from"))[entry.name].state == "present"
    bad = zipped(entry, tmp_path / "from", "weights.pth", b"no weights")
    found = pulled([bad], tmp_path / "again", Origin(folder=tmp_path / "from"))
    assert found[entry.name].state == "failed"
    assert visible(tmp_path / "again" / "models") == set()


def test_a_full_disk_leaves_no_half_model(shared_models: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(small)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        found = pulled(entries(MODEL), small, Origin(folder=shared_models / "upstream"))
        fetched = {f"downloads/{file.file}" for file in entries(MODEL)[0].files}
        assert found[MODEL].state == "failed"
        assert "the disk is full; free some space and pull again: what was fetched is kept" in found[MODEL].message
        assert visible(small) == {"downloads/lock", *fetched}, "no need to fetch it again"
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_killed_pull_goes_on_where_it_was(server: ModelServer, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    command = [str(PROGRAM), "models", "pull", DETECTOR, "--mirror", server.url]
    data, server.pause = tmp_path / "uncnn", 0.1
    part = data / "downloads" / "retinaface-mobilenet0.25.pth.5f88f795.part"
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 120
        while not (part.is_file() and part.stat().st_size > 200_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.pause = 2.0  # whatever else this machine does, the second command is refused before the first is done
        second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another pull is at work" in second.stderr
        running.send_signal(signal.SIGKILL)
    kept = part.stat().st_size
    assert 200_000 < kept < 1_786_259
    assert not [name for name in visible(data) if name.startswith("models")]
    server.pause = 0.0
    found = pulled(entries(DETECTOR), data, Origin(server.url))
    assert found[DETECTOR].state == "installed"
    assert server.ranges("retinaface-mobilenet0.25.pth") == [None, f"bytes={kept}-"]
    assert visible(data) == {"downloads/lock", "models/retinaface-mobilenet0.25.pth"}


def test_progress_names_files_and_models(server: ModelServer, tmp_path: Path) -> None:
    news: list[News] = []
    list(pull(entries(DETECTOR), tmp_path, Wish(FREE, Origin(server.url)), news.append))
    assert {each.file for each in news} == {"retinaface-mobilenet0.25.pth", DETECTOR}
    assert news[-1].note == "converting and checking"

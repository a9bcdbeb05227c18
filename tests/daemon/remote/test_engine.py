"""A real worker without torch, real processes in place of ssh, and one real server: what comes of a photo."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.config import Models
from uncnn.daemon.config.servers import Address
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change, Changed, Look
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import RequestError, Stage
from uncnn.daemon.remote import servers as servers_module
from uncnn.daemon.remote.engine import RemoteEngine, engine_for
from uncnn.daemon.remote.servers import Servers
from uncnn.plugins.api import Face

FAKE = Path(__file__).parents[1] / "spawned" / "fake_server.py"
MODELS = Models()
FEW_STEPS = AttackChoice("mi-fgsm", {"steps": 2, "flow": 0.01})


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_RSH", f"{sys.executable} {FAKE}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    folder = tmp_path_factory.mktemp("thin")
    (folder / "spool").mkdir()
    with RemoteEngine(MODELS, "cpu", folder / "data", folder / "spool", [Address.parse("ssh://zero")]) as made:
        yield made


@pytest.fixture
def spool(engine: RemoteEngine) -> Iterator[Path]:
    yield engine._spool
    for file in engine._spool.iterdir():
        file.unlink()


def portrait(file: Path, enlarged: int = 1) -> Content:
    """Write the portrait of scikit-image, and one more of it that overlaps, as a photo."""
    skimage = pytest.importorskip("skimage")
    picture = np.array(Image.fromarray(skimage.data.astronaut()))
    picture[:, 330:] = picture[:, 130:312]
    Image.fromarray(picture).resize((512 * enlarged, 512 * enlarged)).save(file)
    return Content(file)


def other_photo(folder: Path) -> Content:
    """Write a photo without a face."""
    Image.new("RGB", (64, 64), "grey").save(folder / "other.png")
    return Content(folder / "other.png")


def asked(photo: Content, faces: Sequence[Face], attack: AttackChoice = FEW_STEPS) -> Change:
    return Change(photo, "portrait.png", False, tuple(faces), tuple("balanced" for _ in faces), attack, "PNG", "same")


def served_by(engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Give the engine these servers, and no torch."""
    hello = engine.servers._hello
    engine.servers.close()
    engine._known = Servers([Address.parse(f"ssh://{name}") for name in names], hello, engine._data)
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)


def pixels(changed: Changed) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(changed.candidate.read())).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unreachable", "Connection refused"),
        ("dies", "in the middle of a frame"),
        ("garbage", "no frame of uncnn's"),
        ("nothing", "no arrays"),
        ("echo", "no array changes"),
        ("ugly", "bounds beyond"),
        ("beyond", "beyond its bounds"),
        ("nan", "not finite"),
        ("refuses", "it will not"),
    ],
)
@pytest.mark.usefixtures("_fake")
def test_no_copy_is_made_of_what_a_lying_server_says(
    name: str, reason: str, engine: RemoteEngine, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = portrait(spool / "a.png")
    engine.look(Look(other_photo(spool), "other.png", False))  # what was done to the first one before is forgotten
    found = engine.look(Look(photo, "portrait.png", False))
    assert len(found.faces) == 2
    served_by(engine, monkeypatch, name)
    want = asked(photo, found.faces)
    with pytest.raises(RequestError, match=reason) as failure:
        engine.change(want, lambda _stage: None)
    assert failure.value.fault == "model", "the folder waits, and no attempt is spent"
    assert f"ssh://{name}" in str(failure.value)
    assert {file.name for file in spool.iterdir()} == {"a.png", "other.png"}, "and nothing lies about"
    served_by(engine, monkeypatch, f"{name}-load-0", "zero-load-90")
    changed = engine.change(want, lambda _stage: None)
    original = np.asarray(Image.open(spool / "a.png")).astype(int)
    assert np.array_equal(pixels(changed), original), "the other server, which changes nothing"


@pytest.mark.slow
@pytest.mark.usefixtures("_fake")
def test_a_link_that_is_lost_30_times_loses_no_photo(
    engine: RemoteEngine, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers_module, "REST_SECONDS", 0.0)
    photo = portrait(spool / "a.png")
    found = engine.look(Look(photo, "portrait.png", False))
    served_by(engine, monkeypatch, "zero")
    expected = engine.change(asked(photo, found.faces), lambda _stage: None).candidate.read()
    served_by(engine, monkeypatch, "unsteady-load-0", "zero-load-90")
    for number in range(30):
        attack = replace(FEW_STEPS, parameters={"steps": 1 + number})  # what was done is not done again
        changed = engine.change(asked(photo, found.faces, attack), lambda _stage: None)
        assert changed.candidate.read() == expected
    assert engine.servers._servers[0].failures == 30


def test_without_servers_it_is_the_usual_engine(tmp_path: Path) -> None:
    assert type(engine_for(MODELS, "cpu", tmp_path, tmp_path, [])) is ProcessEngine
    assert type(engine_for(MODELS, "cpu", tmp_path, tmp_path, ["ssh://box"])) is RemoteEngine


def rsh(folder: Path) -> str:
    """Return a program that runs here what ssh would run there."""
    program = folder / "rsh"
    path = Path(sys.executable).parent
    program.write_text(f'#!/bin/sh\nPATH="{path}:$PATH"\nfor last; do :; done\nexec sh -c "$last"\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.slow
def test_a_photo_is_the_same_to_the_bit_changed_here_or_by_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNCNN_RSH", rsh(tmp_path))
    copies: dict[str, list[bytes]] = {}
    for servers in ((), ("ssh://box",)):
        spool = tmp_path / f"spool{len(servers)}"
        spool.mkdir()
        stages: list[Stage] = []
        with engine_for(MODELS, "cpu", tmp_path / "data", spool, servers) as engine:
            for enlarged in (1, 3):  # at the photo's own scale and shrunk
                photo = portrait(spool / f"{enlarged}.png", enlarged)
                found = engine.look(Look(photo, "portrait.png", False))
                for strength in ("balanced", "strong"):
                    want = asked(photo, found.faces, AttackChoice("veil", {"steps": 2, "flow": 0.01}))
                    changed = engine.change(replace(want, strengths=(strength, "balanced")), stages.append)
                    assert changed.moved is not None, "pixels were moved"
                    copies.setdefault(f"{enlarged} {strength}", []).append(changed.candidate.read())
                assert "changed on this computer" not in str(changed.notes)
        assert max(stage.done for stage in stages if stage.of) > 1
    for name, (here, there) in copies.items():
        assert here == there, name


@pytest.mark.slow
def test_where_no_server_answers_it_is_done_here_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_RSH", f"{sys.executable} {FAKE}")
    spool = tmp_path / "spool"
    spool.mkdir()
    with engine_for(MODELS, "cpu", tmp_path / "data", spool, ["ssh://dies"]) as engine:
        photo = portrait(spool / "a.png")
        found = engine.look(Look(photo, "portrait.png", False))
        changed = engine.change(asked(photo, found.faces), lambda _stage: None)
    original = np.asarray(Image.open(spool / "a.png")).astype(int)
    assert np.abs(pixels(changed) - original).max() > 3
    assert any(note.startswith("changed on this computer: ssh://dies: it ended") for note in changed.notes)


@pytest.mark.slow
def test_a_server_that_changes_nothing_gets_nothing_published(tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "photo.png")
    environment = os.environ | {"HOME": str(tmp_path), "UNCNN_RSH": f"{sys.executable} {FAKE}"}
    program = str(Path(sys.executable).with_name("uncnn-daemon"))
    command = [program, "cloak", "photo.png", "-o", "out", "--server", "ssh://zero"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "held" in done.stdout
    assert not list((tmp_path / "out").glob("*.png"))
    command[-1] = "box"
    wrong = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert wrong.returncode == 2
    assert "server 'box': write it as ssh://host" in wrong.stderr

"""Plugins that fail in every way, in the real service with the models that come with uncnn: it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bad_attacks import install
from PIL import Image
from scene import Scene

from uncnn.daemon.ledger import Job, Ledger, State

KINDS = {
    "raises": "broken_import:Anything",
    "hangs": "bad_attacks:Hangs",
    "nan": "bad_attacks:NotFinite",
    "shape": "bad_attacks:WrongShape",
    "memory": "bad_attacks:Greedy",
    "meddles": "bad_attacks:Meddler",
    "unknown": "bad_attacks:Meddler",  # with a parameter that it does not have
}
WORDS = {
    "raises": "cannot be loaded (RuntimeError: not today)",
    "hangs": "did not answer in 15 s and was stopped",
    "nan": "not finite",
    "shape": "pixels of shape (1, 3, 7, 224)",
    "memory": "out of memory is the usual cause",
    "unknown": "attack unknown has no parameter 'nobody'",
}


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """Return a folder with the attacks as an installed distribution."""
    folder = install(tmp_path / "plugins", KINDS)
    (folder / "broken_import.py").write_text("raise RuntimeError('not today')\n")
    return folder


def configure(scene: Scene, names: list[str]) -> None:
    folders = ", ".join(
        f"{{watch: {name}, publish: {name}-out, policy: {name}, settle_seconds: 0.2}}" for name in names
    )
    more = {"unknown": ", nobody: 1"}
    go = {"meddles": ", unprotected: publish-anyway"}  # what it did is seen in what is published, linked or not
    policies = ", ".join(
        f"{name}: {{attack: {{name: {name}{more.get(name, '')}}}, escalate: []{go.get(name, '')}}}" for name in names
    )
    deadline = 15 if "hangs" in names else 600
    (scene.root / "config.yaml").write_text(
        f"device: cpu\nservice: {{deadline_seconds: {deadline}}}\nfolders: [{folders}]\npolicies: {{{policies}}}\n"
    )
    for name in names:
        (scene.root / name).mkdir(exist_ok=True)


def jobs(scene: Scene) -> dict[str, Job]:
    if not (scene.state / "ledger.sqlite3").exists():
        return {}
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        return {ledger.folders.paths(job.folder)[0].name: job for job in ledger.jobs()}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(KINDS))
def test_a_plugin_that_fails_costs_its_photos_attempts_and_nothing_else(scene: Scene, plugins: Path, name: str) -> None:
    skimage = pytest.importorskip("skimage")
    configure(scene, [name, "pgd"])
    photo = Image.fromarray(skimage.data.astronaut())
    photo.save(scene.root / name / "face.png")
    own = {"PYTHONPATH": str(plugins), "UNCNN_MODELS": str(scene.root / "none"), "HOME": str(scene.root)}
    program = Path(sys.executable).with_name("uncnn-daemon")
    with (scene.root / "log").open("wb") as log:
        service = subprocess.Popen(
            [program, "run", "--config", scene.root / "config.yaml"],
            env={**os.environ, **own, "XDG_DATA_HOME": str(scene.root / "data")},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: jobs(scene).get(name) is not None and jobs(scene)[name].state is not State.QUEUED)
        until(lambda: jobs(scene)[name].state not in {State.RUNNING, State.VERIFIED, State.PUBLISHING})
        job = jobs(scene)[name]
        if name == "meddles":
            assert (job.state, job.attempts) == (State.PUBLISHED, 1)
            bounded_and_inside(scene.root / f"{name}-out" / "face.png", np.asarray(photo))
        elif name in {"raises", "unknown"}:  # no photo's fault: the folder waits for another policy
            assert (job.state, job.attempts) == (State.BLOCKED, 0)
            assert WORDS[name] in job.reason
        else:
            assert (job.state, job.attempts) == (State.RETRY, 1)
            assert WORDS[name] in job.reason
            assert not list((scene.root / f"{name}-out").rglob("*"))
        photo.crop((0, 0, 20, 20)).save(scene.root / "pgd" / "nobody.png")  # the service goes on
        until((scene.root / "pgd-out" / "nobody.png").exists)
    finally:
        service.terminate()
        assert service.wait(240) == 0


def bounded_and_inside(released: Path, original: np.ndarray) -> None:
    """An attack that asks for 255 grey levels and meddles with its bounds changes the face a little, nothing else."""
    changed = np.abs(np.asarray(Image.open(released).convert("RGB")).astype(int) - original)
    assert 4 < changed.max() < 64
    assert not changed[400:].any()  # the patch ends above


def until(condition, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)

"""A backlog: bounded memory, every photo published once, kills on the way. `UNCNN_FULL=1`: all that the design asks."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from running import Running
from scene import Scene

FULL = bool(os.environ.get("UNCNN_FULL"))


def resident_megabytes(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024 / 1e6


def out(scene: Scene) -> int:
    return len(list(scene.publish.glob("*.jpg"))) if scene.publish.exists() else 0


@pytest.mark.slow
def test_a_backlog_is_worked_off_in_bounded_memory(scene: Scene) -> None:
    photos = 10_000 if FULL else 500
    for number in range(photos):
        scene.put(f"{number}.jpg", f"good {number}")
    running = Running(scene)
    most = 0.0

    def done() -> bool:
        nonlocal most
        most = max(most, resident_megabytes(running.process.pid))
        return out(scene) >= photos

    running.until(done, 1200)
    assert most <= 100
    assert running.stop() == 0
    scene.check()
    assert len(scene.published()) == photos


@pytest.mark.slow
def test_what_was_written_while_it_was_stopped_is_published(running: Running) -> None:
    scene = running.scene
    running.until((scene.state / "run.lock").exists)
    running.process.send_signal(signal.SIGSTOP)
    photos = 5000 if FULL else 250
    for number in range(photos):
        scene.put(f"{number}.jpg", f"good {number}")
    running.process.send_signal(signal.SIGCONT)
    running.until(lambda: out(scene) >= photos, 900)
    assert running.stop() == 0
    scene.check()
    assert len(scene.published()) == photos


@pytest.mark.slow
def test_ten_kills_at_random_lose_nothing_and_publish_nothing_twice(scene: Scene) -> None:
    draw = random.Random(0)
    running = Running(scene)
    number = 0
    for _ in range(10):
        for _ in range(draw.randrange(5, 30)):
            scene.put(f"{number}.jpg", "unprotected" if number % 7 == 0 else f"good {number}")
            number += 1
        time.sleep(draw.uniform(0.5, 3.0))
        running.kill()
        running.start()
    scene.put("last.jpg", "good")
    running.until_published("last.jpg")
    running.until(lambda: len(scene.jobs()) == number + 1)
    running.until(lambda: {state.value for state in scene.states().values()} <= {"published", "held"})
    assert running.stop() == 0
    scene.check()
    assert len(scene.published()) == number + 1 - len(range(0, number, 7))
    assert not [path for path in scene.publish.rglob("*") if path.name.startswith(".")]

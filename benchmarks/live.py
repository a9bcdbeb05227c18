"""What `uncnn-daemon live` does: frames a second, latency, who is shown, and memory.

Clips are made of portraits (`clips.py`), so that it is known where each face is in every frame. `shown`: a judge links
what went on to the original frame, at the landmarks that are known. Exit status 1 where anybody is.

    python benchmarks/live.py                  speed by the command itself, and who is shown
    python benchmarks/live.py --minutes 30     memory: a clip again and again, so many minutes in real time
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clips
import numpy as np
from common import CPU, options_of
from PIL import Image

from uncnn.daemon.live.far_look import FarLook, far_detector
from uncnn.daemon.live.loop import Loop
from uncnn.daemon.live.sources import LARGEST_PIXELS, Taken, frames_of_clip
from uncnn.daemon.live.worker import LOOK_PIXELS
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.faces import detector_for
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.tracking import FAINT

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
PORTRAIT = Path(__file__).resolve().parents[1] / "docs" / "examples" / "astronaut.png"
SIZE = (640, 480)
FAR = 1e-3
LEAST_RATE = 15.0
MOST_MS = 120
ROUND_SECONDS = 6.0


@dataclass(slots=True)
class Sent:
    """A sink that compares each frame with its original, and keeps none."""

    scene: clips.Scene
    points: list[Floats]  # of each sprite, in its picture's widths from its middle
    judges: list[OnnxRecogniser]
    originals: Iterator[Taken]
    size: tuple[int, int]
    faces: int = 0
    shown: int = 0
    first: int = 0  # of these, in the first second of a face
    frames: int = 0

    def send(self, pixels: Any, stamp: float) -> None:
        """Judge a frame."""
        before = next(self.originals).pixels()
        self.frames += 1
        for place, sprite in enumerate(self.scene.sprites):
            if not sprite.begins <= stamp < sprite.ends:
                continue
            x, y, share = sprite.place(stamp)
            points = (self.points[place] * share + np.array([x, y])) * self.size[0]
            if not self._is_seen(points, place, stamp):
                continue
            self.faces += 1
            linked = [self._links(judge, before, pixels, points) for judge in self.judges]
            self.shown += any(linked)
            self.first += any(linked) and stamp - sprite.begins < 1

    def close(self) -> None:
        """Judge no more."""

    def _links(self, judge: OnnxRecogniser, before: Any, after: Any, points: Floats) -> bool:
        one, other = (judge.embed(each, points[None]) for each in (before, after))
        return judge.card.matches(float(compare(judge.card, one, other)[0]), FAR)

    def _is_seen(self, points: Floats, place: int, stamp: float) -> bool:
        """Return whether the five points are in the picture, with nothing before them."""
        width, height = self.size
        if (points < 0).any() or (points >= [width, height - 16]).any():
            return False
        for other in self.scene.sprites[place + 1 :]:
            if other.begins <= stamp < other.ends:
                x, y, share = (each * width for each in other.place(stamp))
                tall = share * other.picture.height / other.picture.width
                inside = (np.abs(points - [x, y]) <= [share / 2 + 4, tall / 2 + 4]).all(axis=1)
                if inside.any():
                    return False
        cover = self.scene.cover(stamp)
        if cover is None:
            return True
        low, high = np.array(cover[:2]) * self.size, np.array(cover[2:]) * self.size
        return not ((points >= low) & (points <= high)).all(axis=1).any()


def scenes(pictures: list[Image.Image]) -> dict[str, tuple[clips.Scene, float]]:
    """Return scenes with their seconds."""
    one, other = pictures[0], pictures[-1]

    def runs(time: float) -> tuple[float, float, float]:
        return -0.2 + 1.4 * time, 0.35, 0.35

    def nods(time: float) -> tuple[float, float, float]:
        return 0.5, 0.3 + 0.1 * math.sin(9 * time), 0.4

    def near(time: float) -> tuple[float, float, float]:
        return 0.5, 0.36, 0.15 + 0.3 * time

    away = clips.Sprite(other, lambda _time: (0.75, 0.4, 0.3), begins=0.7, ends=1.5)
    return {
        "one person": (clips.one_person(one), 3.0),
        "crossing": (clips.crossing(one, other, 4.0), 4.0),
        "a cut": (clips.cut(one, other, 1.0), 2.0),
        "hidden for 1.5 s": (clips.hidden(one, 1.0, 2.5), 3.5),
        "runs through": (clips.Scene([clips.Sprite(one, runs)]), 1.0),
        "nods": (clips.Scene([clips.Sprite(other, nods)]), 2.0),
        "comes near": (clips.Scene([clips.Sprite(one, near)]), 2.0),
        "comes and goes": (clips.Scene([clips.Sprite(one, lambda _time: (0.3, 0.35, 0.4)), away]), 2.0),
    }


def points_of(picture: Image.Image, detector: RetinaFace) -> Floats:
    """Return the five points of a portrait, in its widths from its middle."""
    pixels = np.asarray(picture)
    found = max(detector.detect(pixels), key=lambda face: face.size_px)
    points: Floats = (np.array(found.landmarks) - [picture.width / 2, picture.height / 2]) / picture.width
    return points


def who_is_shown(home: Path, pictures: list[Image.Image], names: tuple[str, ...] | None) -> int:
    """Print how many faces are linked in what went on, scene by scene, and return how many."""
    detector = load_onnx(EMBEDDED / OWN_ONNX, CPU, 2)
    looking, far = detector_for(detector, LOOK_PIXELS, FAINT), far_detector(detector, LARGEST_PIXELS)
    assert far is not None
    judges = [OnnxRecogniser.load(EMBEDDED / name, CPU) for name in ("dlib-resnet", "openvino-0095")]
    all_faces = all_shown = 0
    for name, (scene, seconds) in scenes(pictures).items():
        if names is not None and name not in names:
            continue
        clip = clips.write(home / f"{name}.mp4", scene, seconds if names is None else 0.5, SIZE, audio=False)
        points = [points_of(sprite.picture, detector) for sprite in scene.sprites]
        sink = Sent(scene, points, judges, frames_of_clip(clip, name, False), SIZE)
        loop = Loop(looking, sink, silent, far_look=FarLook(far, beside=False))
        loop.run(frames_of_clip(clip, name, False), lambda: False)
        print(
            f"  {name:20}{sink.frames:5} frames, {sink.faces:5} faces: {sink.shown} shown, {sink.first} of them early"
        )
        all_faces, all_shown = all_faces + sink.faces, all_shown + sink.shown
    print(f"faces that a judge links to their originals: {all_shown} of {all_faces}")
    return all_shown


def speed(home: Path, pictures: list[Image.Image], seconds: float, size: tuple[int, int]) -> None:
    """Print what the command says of two faces, as fast as it can and in real time."""
    clip = clips.write(home / "two.mp4", clips.crossing(pictures[0], pictures[-1], seconds), seconds, size, audio=False)
    for words, more in (("as fast as it can", []), ("in real time", ["--real-time"])):
        to = home / f"{len(more)}.mp4"
        environment = {**os.environ, "HOME": str(home), "UNCNN_STATE": str(home / "state")}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(PROGRAM), "live", str(clip), "--to", str(to), "--json", *more]
        said = json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / said["frames"]
        rate = f"{said['frames_per_second']:.1f} frames a second (>= {LEAST_RATE:g}), {said['dropped']} dropped"
        print(f"{words}: {said['frames']} frames, {rate}")
        print(f"  latency: median {said['median_ms']} ms, 95 of 100 within {said['slow_ms']} ms (<= {MOST_MS})")
        print(f"  processors: {spent:.0f} ms a frame, with the start; load of the machine {os.getloadavg()[0]:.1f}")


def memory(home: Path, pictures: list[Image.Image], minutes: float) -> None:
    """Print the memory of the command and of its process in a run of so many minutes in real time, ten times."""
    scene = clips.crossing(pictures[0], pictures[-1], ROUND_SECONDS)
    once = clips.write(home / "once.mp4", scene, ROUND_SECONDS, SIZE, audio=False, b_frames=0)
    clip = clips.repeat(once, max(round(minutes * 60 / ROUND_SECONDS), 1), home / "again.mp4")
    environment = {**os.environ, "HOME": str(home), "UNCNN_STATE": str(home / "state")}
    command = [str(PROGRAM), "live", str(clip), "--to", str(home / "long.mp4"), "--real-time", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as running:
        began, number = time.monotonic(), 1
        while running.poll() is None:
            time.sleep(0.2)
            passed = time.monotonic() - began
            if passed >= number * minutes * 6:
                sizes = sorted((memory_mb(each) for each in [running.pid, *below(running.pid)]), reverse=True)
                print(f"  {passed:6.0f} s: {', '.join(f'{size:.0f}' for size in sizes[:2])} MB", flush=True)
                number += 1
        said = json.loads(running.communicate()[0])
    print(f"  {said['frames']} frames, {said['frames_per_second']:.1f} a second, {said['dropped']} dropped")


def below(process: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found: list[int] = []
    with suppress(OSError):
        for file in Path(f"/proc/{process}/task").glob("*/children"):
            for child in map(int, file.read_text().split()):
                found += [child, *below(child)]
    return found


def memory_mb(process: int) -> float:
    """Return the resident memory of a process in megabytes, 0 where it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def portraits(data: Path) -> list[Image.Image]:
    """Return portraits: one in the public domain, and one more where there are photos."""
    files = sorted((data / "lfw" / "identities").rglob("*.jpg"))[100:101]
    found = [clips.portrait(PORTRAIT), *map(clips.portrait, files)]
    return found if len(found) > 1 else [*found, found[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)]


def main() -> int:
    """Print the figures; return 1 where somebody is shown."""
    parser = options_of(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--minutes", type=float, default=0.0)
    options = parser.parse_args()
    pictures = portraits(options.data)
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        home = Path(folder)
        if options.minutes:
            memory(home, pictures, options.minutes)
            return 0
        speed(home, pictures, 1.0 if options.smoke else options.seconds, (320, 240) if options.smoke else SIZE)
        if options.smoke:
            memory(home, pictures, 1 / 60)
        return int(who_is_shown(home, pictures, ("one person",) if options.smoke else None) > 0)
    return 1


if __name__ == "__main__":
    sys.exit(main())

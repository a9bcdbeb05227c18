"""What cloaking a video file takes and keeps: minutes a minute, memory, time stamps, sound, links, steadiness.

A clip of a portrait is made (`clips.py`), cloaked by the command itself, and compared with its original. Seconds of the
processors are what the machine spent on it, whatever else ran; those of a clip of no length, which starts the same
processes, are told apart. Exit status 1 where what must be kept is not.

    python benchmarks/video.py --memory 8    what a small clip of so many minutes takes, and one of a quarter of that
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import clips
import numpy as np
from common import options_of, set_torch_up, surrogates

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.clip import frames_of, opened, picture
from uncnn.daemon.video.messages import Follow
from uncnn.daemon.video.rendering import Order, SegmentRenderer
from uncnn.daemon.video.timeline import read_timeline
from uncnn.daemon.video.worker import VideoWorker
from uncnn.daemon.video.writing import sounds_of
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.engine.aligned import aligned
from uncnn.plugins.geometry import Floats

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
PORTRAIT = Path(__file__).resolve().parents[1] / "docs" / "examples" / "astronaut.png"

MOST_MINUTES = 4.0  # of two processors, for a minute of 1080p30 with one face
MOST_BYTES = 2_500_000_000
MOST_FLICKER_255 = 1.0  # grey levels from one frame to the next, in the aligned frame


def cloaked(clip: Path, home: Path, *more: str) -> tuple[dict[str, Any], float, float, int]:
    """Return what the command says of a clip, the seconds it took, those of all processors, and its most bytes."""
    environment = {**os.environ, "HOME": str(home), "UNCNN_STATE": str(home / "state")}
    command = [str(PROGRAM), "cloak", str(clip), "-o", str(home / "out"), "--json", *more]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(answer.stdout)["photos"][0], wall, spent, after.ru_maxrss * 1024


def stamps_of(clip: Path) -> list[int | None]:
    """Return the time stamps of all frames."""
    with opened(clip, clip.name) as container:
        return [frame.pts for frame in frames_of(container)]


def sound_of(clip: Path) -> str:
    """Return the hash of all audio packets."""
    digest = hashlib.sha256()
    with opened(clip, clip.name) as container:
        for packet in sounds_of(container):
            digest.update(bytes(packet))
    return digest.hexdigest()


def flicker(clip: Path, scene: clips.Scene, steps: int, pairs: int) -> tuple[float, float]:
    """Return how large a face's change is, and how much it differs from frame to frame: grey levels, mean.

    Before it is encoded: what an encoder does to each frame is no part of it. Each frame is aligned by where its face
    is known to be, since the clip was made: a detector's jitter is no part of it either.
    """
    detector = load_onnx(EMBEDDED / OWN_ONNX, ["CPUExecutionProvider"], 2)
    worker = VideoWorker(detector, surrogates())
    worker.follow(Follow(Content(clip), clip.name, 24), silent)
    timeline = read_timeline(clip.with_suffix(".timeline"))
    order = Order(AttackChoice("veil", {"steps": steps}), "balanced", ())
    renderer = SegmentRenderer(worker.surrogates, clip, clip.name, timeline, order, silent)
    changes = renderer.changes(range(1))
    first = {round(share) for share in np.linspace(0, timeline.frames_in(0).stop - 2, pairs)}
    seen: dict[int, Any] = {}
    own = None
    with opened(clip, clip.name) as container:
        for number, frame in enumerate(frames_of(container)):
            if number not in first | {each + 1 for each in first}:
                continue
            before = picture(frame)
            renderer.change(frame, number, changes)
            moment = number / 30
            if own is None:
                own = _in_portrait(np.array(detector.detect(before)[0].landmarks), scene, moment, before.shape[1])
            points = _in_frame(own, scene, moment, before.shape[1])
            seen[number] = (aligned(picture(frame), points)[0] - aligned(before, points)[0]).mean(dim=1)
            if number > max(first):
                break
    apart = [float((seen[b] - seen[a]).abs().mean()) for a, b in pairwise(sorted(seen)) if b == a + 1]
    return float(np.mean([float(each.abs().mean()) for each in seen.values()])), float(np.mean(apart))


def _in_portrait(points: Floats, scene: clips.Scene, seconds: float, width: int) -> Floats:
    """Return where points of a frame lie in the portrait, in its widths from its middle."""
    x, y, share = scene.sprites[0].place(seconds)
    found: Floats = (points - np.array([x, y]) * width) / (share * width)
    return found


def _in_frame(points: Floats, scene: clips.Scene, seconds: float, width: int) -> Floats:
    """Return where points of the portrait lie in a frame."""
    x, y, share = scene.sprites[0].place(seconds)
    found: Floats = points * (share * width) + np.array([x, y]) * width
    return found


def memory(scene: clips.Scene, minutes: float, home: Path) -> None:
    """Print what the largest process takes for two clips that differ in length alone, and what an hour would by that.

    Few steps, at one strength: memory hardly depends on them, and what is kept of a clip does not.
    """
    most = []
    for share in (0.25, 1.0):
        clip = clips.write(home / f"{share}.mp4", scene, 60 * minutes * share, (320, 180), rate=5)
        said, _, spent, largest = cloaked(clip, home, "--strength", "utmost", "--set", "steps=1")
        most.append(largest)  # of all children so far: the shorter clip goes first
        print(f"{minutes * share:g} minutes of 320x180 at 5 frames a second: {largest / 1e9:.3f} GB; ", end="")
        print(f"{said['status']}, {spent:.0f} s of a processor", flush=True)
    grows = (most[1] - most[0]) / (0.75 * minutes)
    print(f"{grows / 1e6:.2f} MB a minute; an hour: {(most[1] + grows * (60 - minutes)) / 1e9:.2f} GB")


def main() -> int:
    """Print the figures; return 1 where time stamps or sound were not kept, or a released clip has a linked face."""
    parser = options_of(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--portrait", type=Path, default=PORTRAIT)
    parser.add_argument("--width", type=float, default=0.5, help="of the portrait, as a share of the frame's")
    parser.add_argument("--memory", type=float, metavar="MINUTES")
    options = parser.parse_args()
    seconds, size = (1.0, (320, 180)) if options.smoke else (options.seconds, (1920, 1080))
    set_torch_up()
    scene = clips.one_person(clips.portrait(options.portrait), options.width)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if options.memory:
            memory(scene, options.memory, home)
            return 0
        empty = clips.write(home / "empty.mp4", clips.Scene([]), 0.1, (320, 180))
        _, _, starting, _ = cloaked(empty, home)
        clip = clips.write(home / "clip.mp4", scene, seconds, size)
        said, wall, spent, most = cloaked(clip, home)
        print(f"{size[0]}x{size[1]}, 30 frames a second, {seconds:g} s, one face: {said['status']}")
        print(f"  {said['message']}")
        minutes = (spent - starting) / 2 / seconds
        print(f"minutes a minute: {wall / seconds:.2f} by the clock, with the start")
        print(f"                  {minutes:.2f} of two processors (<= {MOST_MINUTES:g}), without the start")
        print(f"start: {starting / 2:.1f} s of two processors")
        print(f"memory of the largest process: {most / 1e9:.2f} GB (<= {MOST_BYTES / 1e9:g})")
        if said["published"] is None:
            return 0
        copy = Path(said["published"])
        same_stamps, same_sound = stamps_of(clip) == stamps_of(copy), sound_of(clip) == sound_of(copy)
        judgements = [each for face in said["verdict"]["faces"] for each in face["judgements"]]
        linked = sum(each["linked"] for each in judgements)
        print(f"time stamps equal: {same_stamps}; sound equal: {same_sound}; links: {linked} of {len(judgements)}")
        size_of, apart = flicker(clip, scene, *((2, 3) if options.smoke else (32, 12)))
        print(f"change: {size_of:.2f} grey levels; from frame to frame {apart:.2f} (<= {MOST_FLICKER_255:g})")
        print(f"bytes: {clip.stat().st_size:,} -> {copy.stat().st_size:,}")
        bad = not (same_stamps and same_sound) or linked > 0
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())

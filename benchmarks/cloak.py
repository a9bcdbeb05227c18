"""What one photo costs: wall time of the whole path once models are loaded, peak memory, and how fast commands answer.

    python benchmarks/cloak.py            a photo of 12 megapixels with one face, five surrogates, 40 steps, on the CPU
    python benchmarks/cloak.py --smoke    the same path on a small photo with few steps: only shows that it runs

Needs models: UNCNN_MODELS, or ../shared/models/reference beside the checkout. Says so and ends with 0 where there are
none.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from uncnn.daemon.config import Models, Policy
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.publish import publish, snapshot
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, people_for, protect
from uncnn.daemon.protect.process_engine import ProcessEngine

ROOT = Path(__file__).resolve().parents[1]
SURROGATES = (
    "mobilefacenet-y1",
    "mobilefacenet-foamliu",
    "esp-mfn",
    "mobilefacenet-sirius",
    "mobilefacenet-casia-tf2",
)
BARS = {"seconds": 8.0, "gigabytes": 3.0, "answer": 0.3}


def main() -> None:
    """Print the figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small photo and few steps")
    parser.add_argument("--runs", type=int, default=5, help="photos in a row (default 5)")
    options = parser.parse_args()
    os.environ.setdefault("UNCNN_MODELS", str(ROOT.parent / "shared" / "models" / "reference"))
    for command in ("--help", "status"):
        report(f"uncnn-daemon {command}", answer_seconds(command), "s", BARS["answer"])
    if not Path(os.environ["UNCNN_MODELS"].split(os.pathsep)[0]).is_dir():
        print("no models: set UNCNN_MODELS to a folder of recognisers to time the path of a photo")
        return
    width, steps, runs = (800, 4, 1) if options.smoke else (4000, 40, options.runs)
    attack = {"name": "veil", "steps": steps}
    with tempfile.TemporaryDirectory() as scratch:
        photos = [Path(scratch) / f"portrait-{index}.jpg" for index in range(runs)]
        painter = multiprocessing.get_context("spawn").Process(target=paint, args=(photos, width))
        painter.start()  # in a process of its own, so that its memory is not counted
        painter.join()
        time_photos("40 steps, one strength", photos, Policy(attack=attack, escalate=()), BARS)
        time_photos("the everyday policy, which escalates", photos, Policy(attack=attack), {})


def paint(photos: list[Path], width: int) -> None:
    """Write JPEG portraits of 4:3 with one face, each a little different."""
    picture = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 384))
    picture = picture.resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    for index, photo in enumerate(photos):
        grain = np.random.default_rng(index).normal(0, 2, (picture.height, picture.width, 1))
        Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(photo, quality=92)


def time_photos(title: str, photos: list[Path], policy: Policy, bars: dict[str, float]) -> None:
    """Print wall seconds a photo and peak memory of the whole service."""
    models = Models(surrogates=SURROGATES, licences=("permissive", "research"))
    with tempfile.TemporaryDirectory() as folder, ProcessEngine(models, "cpu", data_dir(), Path(folder)) as engine:
        engine.start()
        spool, published = Path(folder) / "spool", Path(folder) / "published"
        spool.mkdir()
        published.mkdir()
        timed = [one_photo(engine, photo, policy, spool, published) for photo in photos]
        memory = sum(peak_gigabytes(pid) for pid in (os.getpid(), engine.worker.pid, engine.verifier.pid))
    _, outcome = timed[-1]
    size = f"{Image.open(photos[0]).size[0]} x {Image.open(photos[0]).size[1]}"
    strengths = "+".join(outcome.strengths)
    print(f"{title}: {size}, {len(outcome.verdict.faces)} face, ended at {strengths}: {outcome.decision}")
    report("  whole path of a photo", [seconds for seconds, _ in timed], "s", bars.get("seconds"))
    report("  peak memory, three processes", [memory], "GB", bars.get("gigabytes"))


def one_photo(
    engine: ProcessEngine, photo: Path, policy: Policy, spool: Path, published: Path
) -> tuple[float, Outcome]:
    """Return the wall seconds from the file in the folder to the file that is published or held."""
    started = time.perf_counter()
    taken = snapshot(photo.parent, Path(photo.name), spool)
    outcome = protect(
        engine, PhotoJob(Content(taken.path), photo.name, policy, people_for(policy)), lambda _stage: None
    )
    if outcome.decision == "publish" and outcome.candidate.file is not None:
        publish(outcome.candidate.file, published, Path(photo.name), outcome.verdict.sha256)
    return time.perf_counter() - started, outcome


def peak_gigabytes(pid: int | None) -> float:
    """Return the largest resident size that a process has had, in 1e9 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError(f"/proc/{pid}/status has no VmHWM")


def answer_seconds(command: str, runs: int = 7) -> list[float]:
    """Return the wall seconds of a whole `uncnn-daemon` process."""
    program = [str(Path(sys.executable).with_name("uncnn-daemon")), command]
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        seconds.append(time.perf_counter() - started)
    return seconds


def report(what: str, values: list[float], unit: str, bar: float | None) -> None:
    """Print the median, its spread, and the bar where there is one."""
    middle = statistics.median(values)
    spread = f" ({min(values):.2f} to {max(values):.2f}, {len(values)} runs)" if len(values) > 1 else ""
    held = "" if bar is None else f"; bar {bar:g}: {'met' if middle <= bar else 'MISSED'}"
    print(f"{what}: {middle:.2f} {unit}{spread}{held}", flush=True)


if __name__ == "__main__":
    main()

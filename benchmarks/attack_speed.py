"""What an attack costs beside the passes through its surrogates that it cannot do without.

    python benchmarks/attack_speed.py                        the default attack, 1 and 8 faces at once, 8 steps
    python benchmarks/attack_speed.py pgd --device cuda --batch 64 --steps 40
    python benchmarks/attack_speed.py --smoke                one face, two steps: only shows that it runs

Bare passes: each surrogate forward and backward on crops of its own size, as many steps and as many faces, a surrogate
a core as in the attack. Both are timed in turns, and the ratio is the median of the pairs'. The surrogates are the
development models of ../shared that no judge is, or with --own those that come with uncnn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from common import JUDGES, REFERENCE, set_torch_up

from uncnn.daemon.config.policies import Attack
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Budget, Face
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.loss import CHUNK, cores
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS, attack_names, make_attack


def main() -> None:
    """Print a row a batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attack", nargs="?", default=Attack().name, choices=attack_names())
    parser.add_argument("--batch", type=int, action="append", help="faces at once; again for more sizes")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--own", action="store_true", help="attack the recognisers that come with uncnn")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    set_torch_up()
    own = options.own or options.smoke or not REFERENCE.is_dir()
    folders = sorted(path.parent for path in (EMBEDDED if own else REFERENCE).glob("*/card.yaml"))
    surrogates = [load_recogniser(folder, options.device) for folder in folders if folder.name not in JUDGES]
    budget = replace(STRENGTHS["balanced"], steps=2 if options.smoke else options.steps)
    rounds = 1 if options.smoke else options.rounds
    print(f"{options.attack}, {budget.steps} steps, {len(surrogates)} surrogates, {options.device}")
    print("faces  attack s  bare s  ratio  faces/s")
    for faces in [1] if options.smoke else options.batch or [1, 8]:
        print(_row(options.attack, faces, surrogates, budget, rounds, options.device), flush=True)


def _row(name: str, faces: int, surrogates: Sequence[Recogniser], budget: Budget, rounds: int, device: str) -> str:
    faces_in_photos = [face_in_photo(seed) for seed in range(faces)]
    attack = make_attack(name, {})

    def attacked() -> None:
        perturb_all(faces_in_photos, attack, surrogates, budget)

    def bare() -> None:
        for _ in range(budget.steps):
            for start in range(0, faces, CHUNK):
                passes(surrogates, min(CHUNK, faces - start), device)

    pairs = [(wall_seconds(attacked, device), wall_seconds(bare, device)) for _ in range(rounds + 1)][
        1:
    ]  # the first warms up
    ratio = statistics.median(one / other for one, other in pairs)
    one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return f"{faces:5}  {one:8.2f}  {other:6.2f}  {ratio:5.2f}  {faces / one:7.2f}"


def passes(surrogates: Sequence[Recogniser], faces: int, device: str) -> None:
    """Take every surrogate forward and backward once."""

    def one(surrogate: Recogniser) -> None:
        size = surrogate.card.input
        with torch.enable_grad():
            crops = (255 * torch.rand(faces, 3, size.height, size.width, device=device)).requires_grad_()
            torch.autograd.grad(surrogate.outputs(crops).sum(), crops)

    list((cores().map if device == "cpu" else map)(one, surrogates))


def wall_seconds(work: Callable[[], None], device: str) -> float:
    """Return the seconds of the clock that some work takes."""
    started = time.monotonic()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.monotonic() - started


def face_in_photo(seed: int) -> FaceInPhoto:
    """Return a face of noise: what is in the picture does not change what it costs."""
    photo = np.random.default_rng(seed).integers(60, 200, (250, 250, 3), dtype=np.uint8)
    points = ARCFACE_112 + 70
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return FaceInPhoto(photo, Face((80.0, 80.0, 170.0, 190.0), landmarks, 0.99), seed)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()

"""The attack alone for `cost.py`: by surrogates, steps and batch, beside bare passes, and on a GPU beside the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from attack_speed import face_in_photo, passes
from common import JUDGES, REFERENCE
from memory import Peak
from torch.utils.flop_counter import FlopCounterMode

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.loss import CHUNK
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS

Measure = Callable[[str, Callable[[], Any]], Any]

SURROGATES: Final = (1, 2, 3, 4, 5)
STEPS: Final = (8, 16, 32, 64)
BATCHES: Final = (1, 2, 4, 8)
GPU_BATCHES: Final = (1, 8, 64)
USUAL: Final = 16  # steps where something else varies
ROUNDS: Final = 2
SHIPPED: Final = 3


def attack_lines(measured: Measure, device: str, peak_teraflops: float | None, smoke: bool) -> Iterator[str]:
    """Yield what `veil` costs at `balanced`, a row a number of what varies."""
    if device != "cpu" and not torch.cuda.is_available():
        yield f"nothing measured: no GPU is at hand for --device {device}"
        return
    models = recognisers(device)
    rounds, usual = (1, 2) if smoke else (ROUNDS, USUAL)
    yield "| surrogates | steps | faces | seconds | a face | over bare passes | MiB |\n|" + "---|" * 7
    for count, steps, faces in [(1, 2, 1)] if smoke else _settings(device, usual):
        used = models[:count]
        values = measured(
            f"{count} surrogates, {steps} steps, {faces} faces",
            lambda used=used, steps=steps, faces=faces: _measured(used, steps, faces, device, rounds),
        )
        seconds, bare, peak = values["seconds"], values["bare"], values["bytes"]
        ratio, mebibytes = statistics.median(a / b for a, b in zip(seconds, bare, strict=True)), peak / 2**20
        middle = statistics.median(seconds)
        cells = [f"{middle:.2f}", f"{middle / faces:.2f}", f"{ratio:.2f}", f"{mebibytes:.0f}"]
        yield f"| {count} | {steps} | {faces} | {' | '.join(cells)} |"
        if peak_teraflops is not None and device != "cpu":
            operations = _operations(used, faces, device) * steps
            yield f"  {operations / statistics.median(bare) / peak_teraflops / 1e12:.1%} of the peak in bare passes"
    if device != "cpu":
        yield parity(recognisers("cpu")[:SHIPPED], models[:SHIPPED])


def _settings(device: str, usual: int) -> list[tuple[int, int, int]]:
    """Return what is tried: surrogates, steps, faces at once."""
    if device != "cpu":
        return [(SHIPPED, 32, faces) for faces in GPU_BATCHES]
    varied = [
        *((count, usual, 1) for count in SURROGATES),
        *((SHIPPED, steps, 1) for steps in STEPS),
        *((SHIPPED, usual, faces) for faces in BATCHES),
    ]
    return list(dict.fromkeys(varied))


def recognisers(device: str) -> list[Recogniser]:
    """Return the three that ship and are attacked, and then others."""
    folders = [path.parent for path in sorted(EMBEDDED.glob("*/card.yaml")) if path.parent.name not in JUDGES]
    names = {folder.name for folder in folders} | set(JUDGES)
    more = [path.parent for path in sorted(REFERENCE.glob("*/card.yaml")) if path.parent.name not in names]
    return [load_recogniser(folder, device) for folder in [*folders, *more][: max(SURROGATES)]]


def _measured(used: Sequence[Recogniser], steps: int, faces: int, device: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of the attack and of bare passes, in turns after a first one, and the most memory."""
    attack, bare, held = [], [], 0
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    for number in range(rounds + 1):
        with Peak() as peak:
            seconds = _seconds(lambda: attacked(used, steps, faces), device)
        other = _seconds(lambda: _bare(used, steps, faces, device), device)
        if number:
            attack.append(seconds)
            bare.append(other)
            held = max(held, torch.cuda.max_memory_allocated() if device != "cpu" else peak.bytes)
    return {"seconds": attack, "bare": bare, "bytes": held}


def attacked(used: Sequence[Recogniser], steps: int, faces: int) -> list[Patch]:
    """Return what `veil` makes of so many faces of noise."""
    budget = replace(STRENGTHS["balanced"], steps=steps)
    return perturb_all([face_in_photo(seed) for seed in range(faces)], Veil(), used, budget)


def _bare(used: Sequence[Recogniser], steps: int, faces: int, device: str) -> None:
    for _ in range(steps):
        for start in range(0, faces, CHUNK):
            passes(used, min(CHUNK, faces - start), device)


def _seconds(work: Callable[[], object], device: str) -> float:
    """Return the seconds of a core, or on a GPU those of the clock."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def _operations(used: Sequence[Recogniser], faces: int, device: str) -> int:
    """Return the floating-point operations of a forward and a backward pass of so many faces."""
    with FlopCounterMode(display=False) as counter:
        for start in range(0, faces, CHUNK):
            passes(used, min(CHUNK, faces - start), device)
    total: int = counter.get_total_flops()
    return total


def parity(one: Sequence[Recogniser], other: Sequence[Recogniser], after: Sequence[int] = (1, 32)) -> str:
    """Return how far the changes of the same faces on two devices lie from each other after so many steps."""
    words = []
    for steps in after:
        pairs = zip(attacked(one, steps, 8), attacked(other, steps, 8), strict=True)
        apart = np.stack([np.abs(a.change - b.change) for a, b in pairs])
        words.append(f"{steps} steps: mean {apart.mean():.3f}, largest {apart.max():.2f} grey levels")
    return f"apart from the CPU's changes: {'; '.join(words)}"

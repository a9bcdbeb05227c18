"""What canaries cost and how much room they leave: `python benchmarks/canaries.py`.

Seconds are those of one processor, of all threads, on the second look; the first also warms the runtimes up. Needs
nothing but what ships; the recognisers of ../shared are asked too, where they are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import common
from common import CPU, REFERENCE

from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.exporters.registry.store import detector_files
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers import canaries
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser


def main() -> None:
    """Print a table."""
    options = common.options_of(__doc__).parse_args()
    folders = sorted(card.parent for place in (EMBEDDED, REFERENCE) for card in place.glob("*/card.yaml"))
    files = detector_files(common.data_dir())
    detector = load_onnx(files.onnx, CPU, 1, files.onnx_sha256)
    print("| model | first s | again s | same face | strictest | stranger | loosest |\n|---|---|---|---|---|---|---|")
    first, again = (_seconds(lambda: canaries.check_detector(detector)) for _ in range(2))
    print(f"| detector | {first:.2f} | {again:.2f} |  |  |  |  |")
    for folder in folders[: 2 if options.smoke else None]:
        recogniser = OnnxRecogniser.load(folder, CPU)
        first, again = (_seconds(lambda own=recogniser: canaries.check_recognisers([own])) for _ in range(2))
        ships = "" if folder.parent == EMBEDDED else " (../shared)"
        print(f"| {folder.name}{ships} | {first:.2f} | {again:.2f} | {_answers(recogniser)} |")


def _answers(recogniser: OnnxRecogniser) -> str:
    drawn, stranger = (recogniser.embed(canaries.picture(), each[None]) for each in (canaries.DRAWN, canaries.CROWD))
    pair = recogniser.embed(canaries.changed(), canaries.DRAWN[None])
    same, other = (float(compare(recogniser.card, drawn, each)[0]) for each in (pair, stranger))
    limits = recogniser.card.thresholds
    return f"{same:.3f} | {limits[min(limits)]:.3f} | {other:.3f} | {limits[max(limits)]:.3f}"


def _seconds(work: Callable[[], None]) -> float:
    before = os.times()
    work()
    after = os.times()
    return after.user + after.system - before.user - before.system


if __name__ == "__main__":
    main()

"""What protection costs: seconds of a core and memory by faces, pixels, surrogates, steps and batch: docs/cost.md.

    python benchmarks/cost.py --keep DIR                      all of it; goes on where it stopped
    python benchmarks/cost.py --keep DIR --part photos        whole photos, by stage: some faces, some megapixels
    python benchmarks/cost.py --keep DIR --part attack        the attack alone, and beside bare passes
    python benchmarks/cost.py --keep DIR --draw docs/cost.svg     the stages as a picture
    python benchmarks/cost.py --part attack --device cuda --peak-teraflops 60    on a GPU: batch 1, 8, 64, its share of
                                                              the peak, and how far its changes lie from the CPU's
    python benchmarks/cost.py --smoke                         one small photo, two steps

Seconds are those of a core, all threads of the process together, so that other work beside it changes them little; on
a GPU they are those of the clock. Photos go the whole path in one process that holds the worker's and the verifier's
models, at `balanced` without escalation. `cloak.py` has the wall seconds of the service, `attack_speed.py` each attack
beside its bare passes, `memory.py` each format, `cold.py` the start.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from common import REFERENCE, is_missing, options_of, set_torch_up
from cost_attack import attack_lines
from cost_photos import CASES, Case, Spent, draw, line_of, spend

PARTS: Final = ("photos", "attack")
HEAD: Final = "| photo | decode | detect | change | encode | judge | all | MiB |\n|" + "---|" * 8
CORES: Final = 2  # of the small machine
DAY_SECONDS: Final = 86_400


def main() -> None:
    """Print the tables."""
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for what was measured")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--draw", type=Path, help="where the picture goes, SVG")
    parser.add_argument("--device", default="cpu", help="of the attack: cpu or cuda")
    parser.add_argument("--peak-teraflops", type=float, help="of that device, in float32")
    options = parser.parse_args()
    if is_missing(REFERENCE):
        return
    set_torch_up()
    with tempfile.TemporaryDirectory() as scratch:
        measured = Measured((options.keep or Path(scratch)) / f"cost-{options.device}.json")
        for part in options.part or PARTS:
            lines = photo_lines(measured, options.smoke, options.draw) if part == "photos" else None
            for line in lines or attack_lines(measured, options.device, options.peak_teraflops, options.smoke):
                print(line, flush=True)


class Measured:
    """What was measured before, in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.values: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return what is known under a name, measured now where nothing is."""
        if name not in self.values:
            self.values[name] = measure()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.values, indent=1))
        return self.values[name]


def photo_lines(measured: Measured, smoke: bool, picture: Path | None) -> Iterator[str]:
    """Yield a row a photo, and what that comes to in a day."""
    yield HEAD
    spent: dict[Case, Spent] = {}
    for case in [Case(1, 1)] if smoke else CASES:
        values: Mapping[str, Any] = measured(case.name, lambda case=case: spend(case).as_json)
        spent[case] = Spent(values["seconds"], values["bytes"])
        yield line_of(case, spent[case])
    for case, own in spent.items():
        faces = CORES * DAY_SECONDS / own.all * case.faces
        yield f"{case.name}: {faces:,.0f} faces a day on {CORES} cores"
    if picture is not None:
        picture.write_text(draw(spent))


if __name__ == "__main__":
    main()

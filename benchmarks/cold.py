"""What the first photo costs: `uncnn-daemon cloak` of one small photo in an empty home, until the shell's next line.

    python benchmarks/cold.py            five runs: the wall seconds of each stage, and the CPU seconds of each process
    python benchmarks/cold.py --smoke    one run
The one before them, in which Python writes down what it compiles, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

PHOTO: Final = Path(__file__).resolve().parents[1] / "docs" / "examples" / "astronaut.png"
BAR: Final = 8.0  # seconds, on two cores that do nothing else


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    runs = [run() for _ in range(2 if parser.parse_args().smoke else 6)][1:]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in runs[-1]:
        values = [times[name] for times in runs]
        bar = f"; bar {BAR:g}: {'met' if statistics.median(values) <= BAR else 'MISSED'}" if name == "wall" else ""
        print(f"{name:20}{statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f}){bar}")


def run() -> dict[str, float]:
    """Return the seconds of one command, by stage and process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "UNCNN_", "PYTHON"))}
    with tempfile.TemporaryDirectory() as home:
        began, environment = time.monotonic(), {**clean, "HOME": home, "PYTHONPATH": str(Path(__file__).parent)}
        program = f"import cold; cold.traced({home!r}, {began!r})"
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        wall = time.monotonic() - began
        times: dict[str, float] = json.loads(Path(home, "times").read_text())
    return {**times, "end": wall - sum(times[name] for name in times if not name.endswith("CPU")), "wall": wall}


def traced(home: str, began: float) -> None:
    """Run the command, and write down how long each answer of a process was waited for."""
    from uncnn.daemon.cli.main import app
    from uncnn.daemon.protect.processes import Child

    call, close, stages, marks = Child.call, Child.close, dict[str, float](), [began]

    def mark(name: str) -> None:
        marks.append(time.monotonic())
        stages[name] = stages.get(name, 0.0) + marks[-1] - marks[-2]

    def timed(self: Child, asked: Any, *arguments: Any) -> Any:
        mark("between" if stages else "start")
        answer = call(self, asked, *arguments)
        mark(f"{self.name} {type(asked).__name__}")
        return answer

    def closed(self: Child) -> None:
        words = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        stages[f"{self.name} CPU"] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        close(self)

    children: Any = Child
    children.call, children.close = timed, closed
    try:
        app(["cloak", str(PHOTO), "-o", f"{home}/out"])
    finally:
        Path(home, "times").write_text(json.dumps(stages), encoding="utf-8")


if __name__ == "__main__":
    main()

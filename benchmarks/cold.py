"""What the first photo costs: `uncnn-daemon cloak` of one small photo in an empty home, until the shell's next line.

    python benchmarks/cold.py              five runs: wall seconds of each stage, CPU seconds of each process
    python benchmarks/cold.py --service    with a running service, whose models are loaded: what a photo costs besides
                                           the service's own work on it
    python benchmarks/cold.py --smoke      one run
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
BARS: Final = {"wall": 8.0, "besides the service's work": 0.3}  # seconds, on two cores that do nothing else


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--service", action="store_true")
    chosen = parser.parse_args()
    count = 2 if chosen.smoke else 6
    runs = (with_service(count) if chosen.service else [run() for _ in range(count)])[1:]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in runs[-1]:
        values = [times[name] for times in runs]
        bar = BARS.get(name) if chosen.service == (name != "wall") else None
        words = "" if bar is None else f"; bar {bar:g}: {'met' if statistics.median(values) <= bar else 'MISSED'}"
        print(f"{name:28}{statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f}){words}")


def run() -> dict[str, float]:
    """Return the seconds of one command, by stage and process."""
    with tempfile.TemporaryDirectory() as home:
        began, environment = time.monotonic(), _environment(home)
        program = f"import cold; cold.traced({home!r}, {began!r})"
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        wall = time.monotonic() - began
        times: dict[str, float] = json.loads(Path(home, "times").read_text())
    return {**times, "end": wall - sum(times[name] for name in times if not name.endswith("CPU")), "wall": wall}


def _environment(home: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "UNCNN_", "PYTHON"))}
    return {**clean, "HOME": home, "PYTHONPATH": str(Path(__file__).parent)}


def with_service(count: int) -> list[dict[str, float]]:
    """Return the seconds of commands at a running service: until the shell's next line, and of them the service's."""
    with tempfile.TemporaryDirectory() as home:
        file, environment = Path(home, "config.yaml"), _environment(home)
        file.write_text("version: 1\n", encoding="utf-8")
        service = subprocess.Popen([sys.executable, "-m", "uncnn", "run", "--config", file], env=environment)
        try:
            return [_served(home, environment, file) for _ in range(count)]
        finally:
            service.terminate()
            service.wait()


def _served(home: str, environment: dict[str, str], file: Path) -> dict[str, float]:
    times = Path(home, "times")
    while not list(Path(home).rglob("control.sock")):
        time.sleep(0.1)
    program, began = f"import cold; cold.asked({home!r}, {str(file)!r})", time.monotonic()
    subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    wall, waited = time.monotonic() - began, float(times.read_text())
    assert waited > 0, "the command did not use the service"
    return {"wall": wall, "of the service": waited, "besides the service's work": wall - waited}


def asked(home: str, file: str) -> None:
    """Run the command once more, and write down how long the service was waited for."""
    from uncnn.daemon.cli.main import app
    from uncnn.daemon.control.service_engine import ServiceEngine

    answer, waited = ServiceEngine._answer, [0.0]

    def timed(self: ServiceEngine, *arguments: Any) -> Any:
        began = time.monotonic()
        try:
            return answer(self, *arguments)
        finally:
            waited[0] += time.monotonic() - began

    engine: Any = ServiceEngine
    engine._answer = timed
    try:
        app(["cloak", str(PHOTO), "-o", f"{home}/out", "--again", "--config", file])
    finally:
        Path(home, "times").write_text(str(waited[0]), encoding="utf-8")


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

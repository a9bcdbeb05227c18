"""Every benchmark in small, two at a time: shows that each runs.

    python benchmarks/smokes.py            all of them
    python benchmarks/smokes.py looks fuzz those that are named

What one prints comes out whole, when it has ended. Exit status: that of the first that failed, which is named.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
LONGEST_FIRST: Final = (
    *("mutants", "founding", "looks", "kinds", "attacks", "rotations", "pack", "cloak", "formats", "fuzz", "sameness"),
    *("overlap", "service", "explain", "portraits", "backdrops", "margin", "recognisers", "detector", "blind"),
    *("attack_speed", "video", "live", "live_hiding", "half_written", "canaries", "audit", "displays", "frontier"),
    *("cold", "web", "augment", "onepass", "mask", "peers", "server", "transformer", "judges", "adaptive", "cost"),
    "archive",
)
"""So that no core is idle at the end."""


def main() -> int:
    """Run them, print what each said, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(LONGEST_FIRST)}")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    if unknown := set(options.names) - set(LONGEST_FIRST):
        parser.error(f"no smoke of {', '.join(sorted(unknown))}: name one of {', '.join(LONGEST_FIRST)}")
    failed: list[tuple[str, int]] = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.at_once) as pool:
        started = {pool.submit(run, name, Path(scratch)): name for name in options.names or LONGEST_FIRST}
        for ended in as_completed(started):
            status, said, seconds = ended.result()
            print(f"\n== {started[ended]}: exit status {status} after {seconds:.0f} s\n{said}", flush=True)
            if status != 0:
                failed.append((started[ended], status))
    if failed:
        print(f"failed: {', '.join(f'{name} ({status})' for name, status in failed)}", file=sys.stderr)
    return failed[0][1] if failed else 0


def run(name: str, scratch: Path) -> tuple[int, str, float]:
    """Run one benchmark in small, and return its exit status, all that it printed, and the seconds it took."""
    output = ["-o", str(scratch / name)] if name == "blind" else []
    began = time.monotonic()
    command = [sys.executable, "-u", str(HERE / f"{name}.py"), "--smoke", *output]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())

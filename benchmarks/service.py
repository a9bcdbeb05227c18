"""What the service costs beside the attack: idle, scanning, and what a photo takes from its last write to its release.

    python benchmarks/service.py            # about four minutes
    python benchmarks/service.py --smoke

The worker and the verifier are processes without networks (those of the tests): all else is the real service.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uncnn.daemon.config import Folder, Policy
from uncnn.daemon.ledger import Ledger, State
from uncnn.daemon.watch.backlog import SourceFolder, scan_folder

SERVICE = Path(__file__).resolve().parents[1] / "tests" / "daemon" / "spawned" / "stub_service.py"
SETTLE_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the measures, each beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a tenth of everything")
    share = 0.1 if parser.parse_args().smoke else 1.0
    with tempfile.TemporaryDirectory() as root:
        idle(Path(root) / "idle", seconds=60 * share)
        latency(Path(root) / "latency", photos=max(int(20 * share), 3))
        throughput(Path(root) / "throughput", photos=int(2000 * share))
        scanning(Path(root) / "scan", photos=int(10_000 * share))


def idle(root: Path, seconds: float) -> None:
    """Measure the service with nothing to do: processor time and resident memory of the supervisor."""
    with serving(root) as process:
        wait_for(root / "state" / "ledger.sqlite3")
        time.sleep(5)
        before = spent(process.pid)
        time.sleep(seconds)
        cost = (spent(process.pid) - before) / seconds
        said("idle, share of a core", f"{cost:.2%}", "<= 0.5 %")
        said("idle, resident", f"{resident(process.pid):.0f} MB", "<= 80 MB")


def latency(root: Path, photos: int) -> None:
    """Measure from the last write to the release, one photo at a time, less the time to settle."""
    with serving(root):
        wait_for(root / "state" / "ledger.sqlite3")
        put(root, "first.jpg")
        wait_for(root / "out" / "first.jpg")  # the processes have started
        took = []
        for number in range(photos):
            began = time.monotonic()
            put(root, f"{number}.jpg")
            wait_for(root / "out" / f"{number}.jpg")
            took.append(time.monotonic() - began - SETTLE_SECONDS)
        words = f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s"
        said(f"close to publish beyond {SETTLE_SECONDS:g} s of settling, {photos} photos", words, "<= 1 s")


def throughput(root: Path, photos: int) -> None:
    """Measure photos a second of everything but the attack, with a backlog."""
    (root / "in").mkdir(parents=True)
    for number in range(photos):
        put(root, f"{number}.jpg")
    with serving(root) as process:
        wait_for(root / "out" / "0.jpg", 60)
        began, first = time.monotonic(), released(root)
        while released(root) < photos:
            time.sleep(0.2)
        rate = (photos - first) / (time.monotonic() - began)
        said(f"everything but the attack, {photos} photos", f"{rate:.0f} photos/s", "")
        said("resident after it", f"{resident(process.pid):.0f} MB", "")


def scanning(root: Path, photos: int) -> None:
    """Measure a scan of many files, all new and all done, and the ledger's queries."""
    watch = root / "in"
    watch.mkdir(parents=True)
    for number in range(photos):
        put(root, f"{number % 50}/{number}.jpg")
    with Ledger(root / "ledger.sqlite3") as ledger:
        folder = Folder(watch=watch, publish=root / "out")
        (number,) = ledger.folders.watch([(watch, root / "out")])
        source = SourceFolder(number, folder, Policy(), Policy().digest())
        began = time.monotonic()
        seen = scan_folder(ledger, source)
        said(f"scan of {photos} new files", f"{time.monotonic() - began:.2f} s", "<= 3 s")
        assert len(seen.new) == photos
        slowest = done_by_hand(ledger, source, [found.relative for found in seen.new])
        said("slowest step of the ledger, a median of each kind", f"{slowest * 1000:.2f} ms", "<= 5 ms")
        began = time.monotonic()
        seen = scan_folder(ledger, source)
        said(f"scan of {photos} files that are done", f"{time.monotonic() - began:.2f} s", "<= 3 s")


def done_by_hand(ledger: Ledger, source: SourceFolder, photos: list[Path]) -> float:
    """Take photos through the ledger, and return the median seconds of the slowest kind of step."""
    times: dict[str, list[float]] = {}

    def timed(name: str, began: float) -> None:
        times.setdefault(name, []).append(time.monotonic() - began)

    for relative in photos:
        found = (source.folder.watch / relative).lstat()
        same = f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
        began = time.monotonic()
        job = ledger.enqueue(source.number, relative, str(relative), source.digest, same)
        timed("enqueue", began)
        began = time.monotonic()
        job = ledger.claim(job)
        timed("claim", began)
        for state in (State.VERIFIED, State.PUBLISHING, State.PUBLISHED):
            began = time.monotonic()
            job = ledger.move(job, state, published=relative)
            timed(state.value, began)
        began = time.monotonic()
        ledger.done(source.number, relative, same, source.digest)
        timed("done", began)
    return max(statistics.median(each) for each in times.values())


@contextmanager
def serving(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service on `in` and `out` below a folder."""
    (root / "in").mkdir(parents=True, exist_ok=True)
    (root / "config.yaml").write_text(
        f"folders: [{{watch: in, publish: out, settle_seconds: {SETTLE_SECONDS}}}]\npolicies: {{everyday: {{}}}}\n"
    )
    own = {"UNCNN_STATE": str(root / "state"), "XDG_DATA_HOME": str(root / "data")}
    command = [sys.executable, str(SERVICE), str(root / "config.yaml")]
    process = subprocess.Popen(command, env={**os.environ, **own}, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def put(root: Path, name: str) -> None:
    """Write a photo of words."""
    path = root / "in" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"good {name}")


def released(root: Path) -> int:
    """Return how many photos are out."""
    return sum(name.endswith(".jpg") for name in os.listdir(root / "out"))  # noqa: PTH208 (names alone)


def wait_for(path: Path, seconds: float = 30) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            sys.exit(f"{path} did not come in {seconds:g} s")
        time.sleep(0.01)


def spent(process: int) -> float:
    """Return the processor seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(process: int) -> float:
    """Return the resident memory of a process in MB."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def said(what: str, found: str, bar: str) -> None:
    """Print a measure."""
    print(f"{what}: {found}" + (f" (bar {bar})" if bar else ""), flush=True)


if __name__ == "__main__":
    main()

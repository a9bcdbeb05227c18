"""What an archive costs beside the photos themselves: listing, resuming, requests to S3, memory, and Ray.

    python benchmarks/archive.py                     # all
    python benchmarks/archive.py --part resume       # or rows, requests, memory, ray
    python benchmarks/archive.py --smoke             # a fiftieth, without Ray

The worker and the verifier are processes without networks (those of the tests), so that what is measured is all else.
The S3 server is moto's, on this machine, which is slower than a real one at requests, and nearer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from uncnn.daemon.archive.listing import PassedOver
from uncnn.daemon.archive.manifest import Row, write_rows
from uncnn.daemon.archive.plan import Plan, new_plan, read_plan, write_plan
from uncnn.daemon.archive.records import Record, rows_done
from uncnn.daemon.archive.shards import Shard
from uncnn.daemon.archive.stores import RemoteStore, Store, open_store
from uncnn.daemon.archive.working import Share
from uncnn.daemon.config import Models, Policy
from uncnn.daemon.evaluate.machine import peak_bytes
from uncnn.daemon.files.folders import data_dir

STUBS = Path(__file__).resolve().parents[1] / "tests" / "daemon" / "spawned"
sys.path.insert(0, str(STUBS))
from stub_engine import StubEngine  # noqa: E402 (beside the tests)

PHOTO_SECONDS = 8.99  # of a core, of a 4 MP photo with one face: docs/cost.md


def main() -> None:
    """Print the measures, each beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--part", choices=PARTS, action="append")
    options = parser.parse_args()
    share = 0.02 if options.smoke else 1.0
    chosen = options.part or [name for name in PARTS if not (options.smoke and name == "ray")]
    with tempfile.TemporaryDirectory(prefix="uncnn-bench-") as root, moto() as counts:
        os.environ.update(UNCNN_STATE=f"{root}/state", XDG_DATA_HOME=f"{root}/data")
        for name in chosen:
            top = Path(root) / name
            top.mkdir()
            PARTS[name](top, share, counts)


def resume(top: Path, share: float, _counts: Counter[str]) -> None:
    """A share whose photos are all done: how long until that is known, and until the command has ended."""
    for where, most in ((str(top), 10_000), ("s3://bench/resume", 1_000)):  # moto takes its time to be filled
        photos = int(most * share)
        fill(where, photos)
        began = time.monotonic()
        plan = planned(where)
        listed = time.monotonic() - began
        store = open_store(plan.destination)
        left = Share.of(f"{where}/plan", Shard()).rows()
        made = (Record(each.photo, each.id, "skipped", "", plan.digest, plan.version, each.id * 2) for each in left)
        put_all(store, {each.key: each.packed() for each in made})
        began, busy = time.monotonic(), time.process_time()
        assert len(rows_done(store, plan.digest, Shard())) == photos
        known, busy = time.monotonic() - began, time.process_time() - busy
        began, before = time.monotonic(), os.times()
        said = worked(f"{where}/plan")
        ended, after = time.monotonic() - began, os.times()
        core = after.children_user + after.children_system - before.children_user - before.children_system
        assert said["done_before"] == photos
        print(
            f"{kind(where)}, {photos} photos: planned in {listed:.1f} s; all done: known after {known:.2f} s,"
            f" {busy:.2f} s of a core; the command took {ended:.2f} s, {core:.2f} s of a core (bar for 10,000: 5 s)",
            flush=True,
        )


def requests(_top: Path, share: float, counts: Counter[str]) -> None:
    """Requests to S3 of a photo that is published, and of a photo of the same bytes as one before."""
    photos = max(int(100 * share), 2)
    for name, content in (("different", "photo {}"), ("same", "photo")):
        where = f"s3://bench/{name}"
        fill(where, photos, content)
        planned(where)
        counts.clear()
        worked(f"{where}/plan")
        before = Counter(counts)
        counts.clear()
        worked(f"{where}/plan")
        each = {verb: (before[verb] - counts[verb]) / photos for verb in sorted(before)}
        words = ", ".join(f"{number:.2f} {verb}" for verb, number in each.items() if number > 0)
        print(f"requests a photo, {photos} of {name} bytes: {words}; of a share besides: {dict(counts)}", flush=True)


def memory(top: Path, share: float, _counts: Counter[str]) -> None:
    """The memory of the process that works, without those with models: up to a fifth of the photos, and at the end."""
    photos = max(int(1000 * share), 10)
    fill(str(top), photos)
    planned(str(top))
    running = subprocess.Popen(
        [sys.executable, str(STUBS / "stub_archive.py"), str(top / "plan"), "1/1"], stdout=subprocess.DEVNULL
    )
    seen: dict[int, int] = {}
    while running.poll() is None:
        done = sum(1 for _ in (top / "plan" / "done").glob("*/*")) if (top / "plan" / "done").exists() else 0
        seen[done] = max(seen.get(done, 0), resident(running.pid))
        time.sleep(0.2)
    early = max(size for done, size in seen.items() if done <= photos * 0.2)
    late = max(seen.values())
    print(
        f"memory, {photos} photos: {early / 1e6:.1f} MB up to a fifth of them, {late / 1e6:.1f} MB at most"
        f" ({(late - early) / photos:.0f} bytes a photo)",
        flush=True,
    )


def rows(top: Path, share: float, _counts: Counter[str]) -> None:
    """The list of photos: its size, and the memory that writing it takes."""
    photos = int(300_000 * share)
    store, before = open_store(str(top)), peak_bytes(os.getpid()) or 0
    named = ((f"{number // 1000:06}/IMG_{number}.jpg", number) for number in range(photos))
    listed = (Row(name, 3_000_000 + number, hashlib.md5(name.encode()).hexdigest(), name) for name, number in named)
    parts = write_rows(listed, store)
    size, more = sum(len(store.read(part.key)) for part in parts), (peak_bytes(os.getpid()) or 0) - before
    print(f"list, {photos} photos: {size / photos:.0f} bytes each, {more / 1e6:.0f} MB of memory more", flush=True)


def ray(top: Path, share: float, _counts: Counter[str]) -> None:
    """What Ray adds: `work` and `ray` with one actor in turns, seconds a photo once the first is done."""
    photos = max(int(200 * share), 10)
    fill(str(top), photos)
    found: dict[str, list[float]] = {"stub_archive.py": [], "stub_archive_ray.py": []}
    for turn in range(2):
        for program, arguments in (("stub_archive.py", ["1/1"]), ("stub_archive_ray.py", ["1"])):
            plan = f"{top}/plan-{turn}-{len(arguments[0])}"
            planned(str(top), plan)
            began = time.monotonic()
            subprocess.run([sys.executable, str(STUBS / program), plan, *arguments], check=True, capture_output=True)
            whole = time.monotonic() - began
            times = sorted(path.stat().st_mtime for path in Path(plan, "done").glob("*/*"))
            found[program].append((times[-1] - times[0]) / (len(times) - 1))
            print(
                f"{program}, turn {turn + 1}: {whole:.1f} s in all, {found[program][-1] * 1000:.1f} ms a photo",
                flush=True,
            )
    added = [b - a for a, b in zip(*found.values(), strict=True)]
    words = ", ".join(f"{each * 1000:.1f} ms" for each in added)
    worst = max(added) / PHOTO_SECONDS
    print(
        f"Ray adds {words} a photo: at most {worst:.2%} of the {PHOTO_SECONDS} s that one takes (bar: 3 %)", flush=True
    )


PARTS = {"rows": rows, "resume": resume, "requests": requests, "memory": memory, "ray": ray}


def fill(where: str, photos: int, content: str = "photo {}") -> None:
    """Put photos into a source, a hundred to a folder."""
    files = {f"{number // 100:04}/{number}.jpg": content.format(number).encode() for number in range(photos)}
    put_all(open_store(f"{where}/photos"), files)


def put_all(store: Store, files: dict[str, bytes]) -> None:
    """Put many files at once, without making each durable."""
    if isinstance(store, RemoteStore):
        store.files.pipe({f"{store.url}/{key}": data for key, data in files.items()})
        return
    for key, data in files.items():
        path = Path(store.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def planned(where: str, folder: str | None = None) -> Plan:
    """Plan a source, as the command does."""
    store = open_store(folder or f"{where}/plan")
    engine = StubEngine(Models(), "auto", data_dir(), Path(os.environ["UNCNN_STATE"]))
    plan = new_plan(open_store(f"{where}/photos").url, store.url, Policy(), Models(), engine.roster)
    write_plan(plan, store, PassedOver(), lambda _count: None)
    return read_plan(store)


def worked(plan: str) -> dict[str, int]:
    """Work a plan in a process of its own, and return what it says."""
    command = [sys.executable, str(STUBS / "stub_archive.py"), plan, "1/1"]
    said: dict[str, int] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return said


def resident(process: int) -> int:
    """Return the memory of a process in bytes, 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def kind(where: str) -> str:
    """Return what a place is called."""
    return "S3" if where.startswith("s3") else "folder"


class Counting(logging.Handler):
    """Counts the requests that a server logs, by their verb."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        """Count a request; one that lists is a GET too."""
        words = record.getMessage().partition('"')[2]
        verb = words.split()[0].removeprefix("\x1b[33m").removeprefix("\x1b[1m") if words else ""
        if verb:
            self._counts["LIST" if "list-type=2" in words else verb] += 1


@contextmanager
def moto() -> Iterator[Counter[str]]:
    """Yield the requests that an S3 server with an empty bucket has had."""
    counts: Counter[str] = Counter()
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Counting(counts))
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION="us-east-1",
    )
    import fsspec

    fsspec.filesystem("s3").mkdir("bench")
    try:
        yield counts
    finally:
        server.stop()


if __name__ == "__main__":
    main()

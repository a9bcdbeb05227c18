"""Damaged photo files through the whole service: nothing dies, nothing is lost, nothing wrong is published.

    python benchmarks/fuzz.py                          5,000 files, until the last attempt of each
    python benchmarks/fuzz.py --files 500 --seed 7
    python benchmarks/fuzz.py --trips 20000            decode, encode and decode again alone, in little memory
    python benchmarks/fuzz.py --smoke                  few files, and one attempt of each

The files are seeded mutations of a portrait and of a photo without a face, in every format and kind that is read
(tests/faults). The worker and the verifier are the real ones with the models that come with uncnn; the attack is the
quickest, and what it does not protect is published all the same, so that much is published.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.ledger.view import opened
from uncnn.daemon.photos import PhotoError, decode

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "faults"), str(TESTS / "daemon")]

from mutations import Case, mutated  # noqa: E402 (their folder is on the path from here on)
from originals import originals  # noqa: E402
from round_trip import photo, table, trips  # noqa: E402

MOST_SECONDS = 60.0
MOST_MEGABYTES = 4096
FACES = 0.25
"""So many of the files are of the portrait: those take an attack."""

ENDINGS = {"JPEG": "jpg", "HEIF": "heic", "TIFF": "tif"}
DECODERS = ("jpeg", "png", "tiff", "webp", "heif", "avif", "PIL", "imagecodecs", "torch")
BETWEEN = {State.QUEUED, State.RUNNING, State.VERIFIED, State.PUBLISHING, State.BLOCKED}
CONFIG = """\
device: cpu
service: {deadline_seconds: 120}
models: {licences: [permissive]}
folders: [{watch: in, publish: out, settle_seconds: 0.2}]
policies:
  everyday:
    attack: {name: fgsm, strength: subtle}
    protect: {views: [as-is]}
    escalate: []
    unprotected: publish-anyway
"""


def main() -> int:
    """Print what became of the files, and return 1 where something did that must not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow it")
    parser.add_argument("--trips", type=int, help="so many files through the decoders and encoders alone")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.trips:
        return round_trips(range(options.seed, options.seed + options.trips))
    files = 150 if options.smoke else options.files
    with tempfile.TemporaryDirectory() as root:
        return through_the_service(Path(root), range(options.seed, options.seed + files), options.smoke)


def round_trips(seeds: range) -> int:
    """Take files through the decoders and encoders alone."""
    found = []
    for trip in trips(seeds):
        found.append(trip)
        if trip.is_bad:
            print(f"seed {trip.seed}, {trip.kind}, {trip.damage}: {trip.end}: {trip.words}", flush=True)
    print(table((trip.kind.split()[0], trip.end) for trip in found))
    print(table((trip.damage, trip.end) for trip in found))
    slowest = max(found, key=lambda trip: trip.seconds)
    print(f"slowest: {slowest.seconds:.1f} s, seed {slowest.seed}, {slowest.kind}, {slowest.damage}")
    print(f"most memory: {max(trip.megabytes for trip in found)} MB")
    return int(any(trip.is_bad for trip in found))


@dataclass(slots=True)
class Watch:
    """What is seen of the service from outside while it works."""

    most: dict[str, int] = field(default_factory=dict)  # megabytes of a process, by what it is
    working: tuple[str, float] = ("", 0.0)  # the photo, and since when
    seconds: dict[str, float] = field(default_factory=dict)  # of each photo that was seen at work

    def look(self, service: int, busy: str) -> None:
        """Note who is there and how much memory each took, and which photo is being worked on."""
        for child in children(service):
            role = role_of(child)
            if role:
                self.most[role] = max(self.most.get(role, 0), most_megabytes(child))
        now = time.monotonic()
        if busy != self.working[0]:
            self.working = (busy, now)
        if busy:
            self.seconds[busy] = max(self.seconds.get(busy, 0.0), now - self.working[1])


def through_the_service(root: Path, seeds: range, first_attempt: bool) -> int:
    """Let a service take all files, and say what became of them."""
    cases = put_files(root, seeds)
    began, watch = time.monotonic(), Watch()
    own = {"UNCNN_STATE": str(root / "state"), "XDG_DATA_HOME": str(root / "data"), "UNCNN_MODELS": str(root / "none")}
    command = [Path(sys.executable).with_name("uncnn-daemon"), "run", "--config", root / "config.yaml"]
    with (root / "log").open("wb") as log:
        service = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    waiting = BETWEEN if first_attempt else BETWEEN | {State.RETRY}
    try:
        while service.poll() is None:
            time.sleep(0.25)
            counts, busy = at_work(root)
            watch.look(service.pid, busy)
            if sum(counts.values()) >= len(cases) and not waiting & counts.keys():
                break
        jobs = jobs_of(root)
        lived = service.poll() is None
        mapped = Path(f"/proc/{service.pid}/maps").read_text() if lived else ""
        service.send_signal(signal.SIGTERM)
        status = service.wait(30)
    finally:
        service.kill()  # where anything here failed; after that it has ended by itself
    print(f"{len(cases)} files, seeds {seeds.start} to {seeds.stop - 1}, {time.monotonic() - began:.0f} s")
    print(table((case.photo_format, str(jobs[name].state)) for name, case in cases.items() if name in jobs))
    print(table((case.damage, str(jobs[name].state)) for name, case in cases.items() if name in jobs))
    said = (root / "log").read_text(errors="replace")
    wrong = [] if lived and status == 0 else [f"the service ended with status {status}: {said[-500:]}"]
    wrong += [f"the supervisor has loaded {name}" for name in DECODERS if name.lower() in mapped.lower()]
    wrong += problems(root, cases, jobs) + costs(watch)
    wrong += [
        f"{words!r} in the log" for words in ("Traceback", "ended unexpectedly", "did not answer") if words in said
    ]
    print("\n".join(f"WRONG: {each}" for each in wrong) or "nothing wrong")
    return int(bool(wrong))


def put_files(root: Path, seeds: range) -> dict[str, Case]:
    """Write the files and the configuration; return what each is."""
    (root / "in").mkdir()
    (root / "config.yaml").write_text(CONFIG)
    portrait, scene = originals(photo(side=128)), originals(photo(with_face=False, side=128))
    cases = {}
    for seed in seeds:
        case = mutated(portrait if seed % round(1 / FACES) == 0 else scene, seed)
        name = f"{seed}.{ENDINGS.get(case.photo_format, case.photo_format.lower())}"
        (root / "in" / name).write_bytes(case.data)
        cases[name] = case
    return cases


def problems(root: Path, cases: dict[str, Case], jobs: dict[str, Job]) -> list[str]:
    """Return what is wrong with what was published, kept and said."""
    wrong = [f"{name} is no photo of the ledger" for name in cases if name not in jobs]
    wrong += [f"{name} was changed" for name, case in cases.items() if (root / "in" / name).read_bytes() != case.data]
    out = {path.name: path.read_bytes() for path in (root / "out").glob("*") if path.is_file()}
    verified = {str(job.published): job.released_sha256 for job in jobs.values() if job.state is State.PUBLISHED}
    wrong += [f"{name} was published, and the ledger does not know of it" for name in out if name not in verified]
    for name, sha256 in verified.items():
        if hashlib.sha256(out.get(name, b"")).hexdigest() != sha256:
            wrong.append(f"{name} is not what was verified")
            continue
        try:
            decode(out[name], name)
        except PhotoError as error:
            wrong.append(str(error))
    for name, job in jobs.items():
        bad = "\n" in job.reason or ": " not in job.reason or "internal error" in job.reason
        if job.state in (State.QUARANTINED, State.RETRY) and bad:
            wrong.append(f"{name} ({cases[name].kind}, {cases[name].damage}): {job.reason!r}")
    return wrong


def costs(watch: Watch) -> list[str]:
    """Print what the photos took, and return what was too much."""
    name, seconds = max(watch.seconds.items(), key=lambda each: each[1], default=("", 0.0))
    print(f"slowest: {name}, {seconds:.1f} s (bar {MOST_SECONDS:g})")
    wrong = [f"{name} took {seconds:.0f} s"] if seconds > MOST_SECONDS else []
    for role, most in sorted(watch.most.items()):
        print(f"{role}: {most} MB at most (bar {MOST_MEGABYTES})")
        wrong += [f"the {role} took {most} MB"] if most > MOST_MEGABYTES else []
    return wrong


def at_work(root: Path) -> tuple[dict[State, int], str]:
    """Return how many photos are in each state, and which one is being worked on."""
    with opened(root / "state" / "ledger.sqlite3") as ledger:
        if ledger is None:  # the service has made the file, and not yet its tables, or not even that
            return {}, ""
        counts = dict(ledger.rows("SELECT state, count(*) FROM jobs WHERE state != 'superseded' GROUP BY state"))
        query = "SELECT CAST(relative AS TEXT) FROM jobs WHERE state IN ('running', 'verified', 'publishing')"
        busy = next((name for (name,) in ledger.rows(query)), "")
    return {State(state): number for state, number in counts.items()}, busy


def jobs_of(root: Path) -> dict[str, Job]:
    """Return the rows of the ledger by the name of their file."""
    if not (root / "state" / "ledger.sqlite3").exists():
        return {}
    with Ledger(root / "state" / "ledger.sqlite3") as ledger:
        return {str(job.relative): job for job in ledger.jobs() if job.state is not State.SUPERSEDED}


def children(service: int) -> list[int]:
    """Return the processes that the service's threads have started."""
    try:
        folders = list(Path(f"/proc/{service}/task").iterdir())
        return [int(child) for folder in folders for child in (folder / "children").read_text().split()]
    except OSError:  # a thread has ended
        return []


def role_of(process: int) -> str:
    """Return what a process of the service is by what it has loaded, "" while that is not to be seen."""
    try:
        mapped = Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return ""
    if "libtorch_cpu" in mapped:
        return "worker"
    return "verifier" if "onnxruntime" in mapped else ""


def most_megabytes(process: int) -> int:
    """Return the most memory that a process has had."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return int(next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")) // 1024


if __name__ == "__main__":
    sys.exit(main())

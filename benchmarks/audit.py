"""What it costs to keep verdicts and to look at what was published: bytes a photo, `status` and `audit` over many rows.

    python benchmarks/audit.py              # 50,000 published photos of 1 kB, of two faces each
    python benchmarks/audit.py --smoke

The ledger is a real one with real verdicts of made-up figures; both commands are processes of their own. Every photo
was judged by other models than those that are installed, so that every verdict is read.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger import Ledger, Proof, Run, State
from uncnn.daemon.verify.keeping import kept_of, proof_of
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.exporters.registry.detectors import ChosenDetector, DetectorFiles
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import Card

PROGRAM: Final = Path(sys.executable).with_name("uncnn-daemon")
VIEWS: Final = ("as-is", "jpeg-75", "half-size", "blur-1")
RECOGNISERS: Final = 8
FACES: Final = (0, 1, 2, 20, 200)
PHOTO: Final = b"x" * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--smoke", action="store_true", help="with 300 photos")
    wanted = parser.parse_args()
    for faces in FACES:
        proof = proof_of(verdict(faces, "0" * 64), [""] * faces, Policy(), roster())
        began = time.perf_counter()
        kept_of(proof.roster, proof.content)
        seconds = time.perf_counter() - began
        print(
            f"verdict on {faces:3} faces, {RECOGNISERS} recognisers, {len(VIEWS)} views: {len(proof.content):6} bytes,"
            f" read in {seconds * 1000:.1f} ms"
        )
    with tempfile.TemporaryDirectory() as folder:
        over_many(Path(folder), 300 if wanted.smoke else wanted.photos)


def over_many(root: Path, photos: int) -> None:
    """Print what the commands take over so many published photos."""
    environment = {**os.environ, "UNCNN_STATE": str(root / "state"), "XDG_DATA_HOME": str(root / "data")}
    environment |= {"XDG_CONFIG_HOME": str(root / "config"), "UNCNN_MODELS": "", "OMP_NUM_THREADS": "1"}
    file = fill(root, photos)
    with closing(sqlite3.connect(file)) as ledger:
        (size,) = ledger.execute("SELECT sum(length(content)) FROM verdicts").fetchone()
    print(f"{photos} photos: ledger {file.stat().st_size / photos:.0f} bytes a photo, {size / photos:.0f} its verdict")
    times = [took([PROGRAM, "status"], environment)[:2] for _ in range(5)]
    seconds, busy = (sorted(column)[2] for column in zip(*times, strict=True))
    print(f"{photos} photos: status {seconds:.2f} s, {busy:.2f} s of a core, medians of 5")
    for number in (1, 2):
        seconds, busy, memory, answer = took([PROGRAM, "audit", "--anew"], environment)
        cost = f"{seconds:.1f} s, {busy:.1f} s of a core, {memory:.0f} MB"
        print(f"{photos} photos: audit, run {number}: {cost} ({answer.splitlines()[-1]})")


def fill(root: Path, photos: int) -> Path:
    """Make a ledger in which so many photos were published, and the photos."""
    state, out = root / "state", root / "out"
    state.mkdir(mode=0o700)
    out.mkdir()
    proofs = [made(number, faces) for number, faces in enumerate([2] * 50)]
    sha256 = hashlib.sha256(PHOTO).hexdigest()
    with Ledger(state / "ledger.sqlite3") as ledger:
        ledger.folders.watch([(root / "in", out)])
        job = ledger.enqueue(1, Path("0.jpg"), "0", "policy", "source")
        for step in (State.RUNNING, State.VERIFIED, State.PUBLISHING, State.PUBLISHED):
            proof = proofs[0] if step is State.VERIFIED else None
            job = ledger.move(
                job, step, "2 faces protected", released_sha256=sha256, published=Path("0.jpg"), proof=proof
            )
        with ledger.database.transaction() as connection:  # the others are copies of the first
            names = [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
            others = ", ".join(name for name in names if name not in {"id", "relative", "published", "sha256"})
            columns = f"relative, published, sha256, {others}"
            query = f"INSERT INTO jobs ({columns}) SELECT ?, ?, ?, {others} FROM jobs WHERE id = 1"
            for number in range(1, photos):
                name = f"{number}.jpg".encode()
                added = connection.execute(query, (name, name, str(number))).lastrowid
                proof = proofs[number % len(proofs)]
                connection.execute("INSERT INTO verdicts VALUES (?, 1, ?)", (added, proof.content))
    Run(state / "ledger.sqlite3").end()
    for number in range(photos):
        (out / f"{number}.jpg").write_bytes(PHOTO)
    return state / "ledger.sqlite3"


def made(seed: int, faces: int) -> Proof:
    """Return a verdict with figures of its own."""
    random.seed(seed)
    return proof_of(verdict(faces, hashlib.sha256(PHOTO).hexdigest()), ["balanced"] * faces, Policy(), roster())


def verdict(faces: int, sha256: str) -> Verdict:
    """Return a verdict of made-up figures."""
    return Verdict(sha256, 1e-3, VIEWS, tuple(face() for _ in range(faces)), "f" * 64)


def face() -> FaceVerdict:
    """Return the verdict on a face of made-up figures."""
    left, top = random.uniform(0, 4000), random.uniform(0, 3000)
    found = Face((left, top, left + 200.1, top + 233.3), ((left, top),) * 5, random.random())  # type: ignore[arg-type]
    judgements = tuple(
        Judgement(
            f"recogniser-{number}",
            "judge" if number < 2 else "surrogate",
            "cosine",
            view,
            random.uniform(0.8, 1),
            random.uniform(0, 0.4),
            0.4,
            linked=False,
        )
        for view in VIEWS
        for number in range(RECOGNISERS)
    )
    return FaceVerdict(found, True, True, judgements, zoom=random.uniform(9, 10))


def roster() -> Roster:
    """Return models of no bytes."""
    cards = [
        Card.model_construct(
            name=f"recogniser-{number}",
            family="none",
            role="judge" if number < 2 else "surrogate",
            metric="cosine",
            sha256=hashlib.sha256(bytes(number)).hexdigest(),
            thresholds={1e-2: 0.3, 1e-3: 0.4, 1e-4: 0.5},
        )
        for number in range(RECOGNISERS)
    ]
    models = [SimpleNamespace(card=card) for card in cards]
    file = Path("detector.onnx")
    detector = ChosenDetector(DetectorFiles(file, "0" * 64, file, "0" * 64))
    made_up: Any = SimpleNamespace(judges=models[:2], surrogates=models[2:], detector=detector)
    return cast(Roster, made_up)


def took(command: list[str | Path], environment: dict[str, str]) -> tuple[float, float, float, str]:
    """Return the seconds that a command took, those of a core, its own memory at most in MB, and what it said."""
    began, before, most = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            with suppress(OSError, IndexError):
                text = Path(f"/proc/{process.pid}/status").read_text()
                most = max(most, int(text.split("VmHWM:")[1].split()[0]) / 1024)
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said.seek(0)
        answer = said.read()
    assert process.returncode in {0, 3}, answer
    busy = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, busy, most, answer


if __name__ == "__main__":
    main()

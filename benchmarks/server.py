"""What it costs to have faces changed by a server: seconds a face beside the work, bytes, and the client's memory.

    python benchmarks/server.py            a photo of one face and one of eight; then one real server; pipes, then TLS
    python benchmarks/server.py --smoke    one face, once

The first part asks a server that changes nothing, at once: what is left is cutting, packing, sending, unpacking and
checking on both sides. The second asks a real one and sums the proportional set sizes (PSS) of the client's processes:
this one, the worker without torch and the verifier, while a photo is looked at, changed and judged.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from uncnn.daemon.config import Models
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.config.servers import Address
from uncnn.daemon.files.folders import private
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change, Look
from uncnn.daemon.protect.pipeline import PhotoJob, protect
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.remote.access import keep_key
from uncnn.daemon.remote.certificate import identity
from uncnn.daemon.remote.engine import RemoteEngine, engine_for
from uncnn.daemon.remote.frames import Frame
from uncnn.plugins.api import Face

HERE: Final = Path(__file__).resolve().parent
FAKE: Final = HERE.parent / "tests" / "daemon" / "spawned" / "fake_server.py"
LISTENER: Final = FAKE.with_name("https_server.py")
SCHEMES: Final = ("ssh", "https")
PORTRAIT: Final = HERE.parent / "docs" / "examples" / "astronaut.png"
NAMES: Final = {"zero": f"{sys.executable} {FAKE}", "box": ""}


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one face, once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shell = folder / "shell"
        programs = Path(sys.executable).parent
        shell.write_text(f'#!/bin/sh\nPATH="{programs}:$PATH"\nfor last; do :; done\nexec sh -c "$last"\n')
        shell.chmod(0o755)
        NAMES["box"] = str(shell)
        for scheme in SCHEMES:
            for across, down in ((1, 1),) if options.smoke else ((1, 1), (4, 2)):
                _overhead(folder, scheme, across, down, 1 if options.smoke else 7)
            if not options.smoke:
                _memory(folder, scheme)


@contextmanager
def _engine(folder: Path, scheme: str, name: str) -> Iterator[RemoteEngine]:
    data, spool = private(folder / "data"), folder / f"spool-{name}"
    spool.mkdir(exist_ok=True)
    with (
        _served(data, scheme, name) as address,
        engine_for(Models(), "cpu", data, spool, [address]) as engine,
    ):
        assert isinstance(engine, RemoteEngine)
        engine.start()
        yield engine


@contextmanager
def _served(data: Path, scheme: str, name: str) -> Iterator[str]:
    """Yield the address of a server: `zero` changes nothing, `box` is a real one."""
    if scheme == "ssh":
        os.environ["UNCNN_RSH"] = NAMES[name]
        yield f"ssh://{name}"
        return
    command = [sys.executable, LISTENER, data, name, "1", *(["--real"] if name == "box" else [])]
    with subprocess.Popen([str(each) for each in command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = process.stderr.readline().split("port ")[1].split(",")[0]
        keep_key(data, Address.parse(f"https://127.0.0.1:{port}"), identity(data).key)
        try:
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


def _overhead(folder: Path, scheme: str, across: int, down: int, rounds: int) -> None:
    """Print seconds a face that are neither looking, changing, rendering nor encoding."""
    with _engine(folder, scheme, "zero") as engine:
        photo = folder / "spool-zero" / "photo.png"
        Image.fromarray(np.tile(np.array(Image.open(PORTRAIT)), (down, across, 1))).save(photo)
        faces = engine.look(Look(Content(photo), "photo.png", False)).faces
        sent: list[int] = []
        asked_of = engine.servers.changed

        def counted(frame: Frame, *rest: object) -> object:
            answer = asked_of(frame, *rest)  # type: ignore[arg-type]
            sent.extend((len(frame.content), len(answer.frame.content)))
            return answer

        engine.servers.changed = counted  # type: ignore[method-assign,assignment]
        beside = []
        for number in range(rounds):
            asked = _change(photo, faces, number + 1)
            first = _seconds(engine, asked)
            beside.append((first - _seconds(engine, asked)) / len(faces))  # the second time only renders and encodes
    there, back = (sum(sent[way::2]) / rounds / len(faces) / 1e6 for way in (0, 1))
    middle = statistics.median(beside)
    print(
        f"{scheme}, {len(faces)} faces: {1000 * middle:.0f} ms a face beside the work"
        f" ({1000 * min(beside):.0f} at best)",
        end="; ",
    )
    print(f"{there:.1f} MB a face there, {back:.1f} back", flush=True)


def _change(photo: Path, faces: Sequence[Face], steps: int) -> Change:
    strengths = tuple("balanced" for _ in faces)
    attack = AttackChoice("veil", {"steps": steps})
    return Change(Content(photo), photo.name, False, tuple(faces), strengths, attack, "PNG", "same")


def _seconds(engine: RemoteEngine, asked: Change) -> float:
    began = time.perf_counter()
    engine.change(asked, silent)
    return time.perf_counter() - began


def _memory(folder: Path, scheme: str) -> None:
    """Print the most memory that the client takes while a real server changes a face."""
    with _engine(folder, scheme, "box") as engine:
        assert engine._verifier is not None
        photo = folder / "spool-box" / "photo.png"
        Image.open(PORTRAIT).save(photo)
        own = [os.getpid(), engine.worker.pid, engine._verifier.pid]
        most: dict[int | None, float] = {}
        together = [0.0]
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(own, most, together, done))
        watcher.start()
        protect(engine, PhotoJob(Content(photo), "photo.png", Policy()), silent)
        done.set()
        watcher.join()
    names = zip(("this process", "worker", "verifier"), own, strict=True)
    parts = ", ".join(f"{name} {most[pid]:.0f}" for name, pid in names)
    print(f"{scheme}, most memory at any time: {together[0]:.0f} MB; of each by itself: {parts}", flush=True)


def _watch(
    processes: Sequence[int | None], most: dict[int | None, float], together: list[float], done: threading.Event
) -> None:
    """Note the most memory of each process, and of all at one time, MB."""
    while not done.wait(0.02):
        now = 0.0
        for process in processes:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            pss = int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) / 1000
            most[process] = max(most.get(process, 0.0), pss)
            now += pss
        together[0] = max(together[0], now)


if __name__ == "__main__":
    main()

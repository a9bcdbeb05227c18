"""An empty home in which commands run without a network: who tries to reach one is killed, and told of."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
FILTER = Path(__file__).parent / "spawned" / "without_network.py"
OURS = (".cache/uncnn/", ".config/uncnn/", ".local/share/uncnn/", ".local/state/uncnn/", ".config/systemd/user/uncnn")
REACHED = re.compile(r"AF_INET|AF_INET6|AF_NETLINK|AF_PACKET|systemd/resolve|killed by SIGSYS")
"""In a trace: a socket that leads out of the machine, the routes that a look-up asks for, the resolver of systemd."""


def tracer() -> list[str]:
    """Return a command of strace that follows all children and sees their sockets, without `-o FILE`; [] without it."""
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,connect,sendto", "-e", "signal=SIGSYS"]
    if shutil.which("strace") is None:
        return []
    with tempfile.NamedTemporaryFile() as log:
        tried = subprocess.run([*command, "-o", log.name, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else []


@dataclass(frozen=True)
class Answer:
    """What became of a command, and which lines of its trace show that it reached out."""

    status: int
    said: str
    reached: list[str]


@dataclass(frozen=True)
class OfflineHome:
    """A home, a folder to work in beside it, and a manager of services that does nothing."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    def make(self) -> OfflineHome:
        for folder in (self.home, self.work / "in", self.temporary, self.root / "bin"):
            folder.mkdir(parents=True)
        systemctl = self.root / "bin" / "systemctl"
        systemctl.write_text("#!/bin/sh\n")
        systemctl.chmod(0o755)
        return self

    def environment(self) -> dict[str, str]:
        """Return an environment that asks for telemetry, as far as it can."""
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "UNCNN_CONFIG": str(self.work / "config.yaml"),
            "ORT_DISABLE_TELEMETRY": "0",
            "DO_NOT_TRACK": "0",
            "COLUMNS": "200",
            "OMP_NUM_THREADS": "1",
        }

    @contextmanager
    def started(self, *arguments: object, program: Sequence[object] = (PROGRAM,)) -> Iterator[subprocess.Popen[str]]:
        """Start a command under the filter, and under the tracer where there is one; it is ended with the block."""
        traced = tracer()
        command = [*traced, *(["-o", str(self._trace)] if traced else []), sys.executable, str(FILTER)]
        self._trace.unlink(missing_ok=True)
        with subprocess.Popen(
            [*command, *map(str, program), *map(str, arguments)],
            env=self.environment(),
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: object, program: Sequence[object] = (PROGRAM,), seconds: float = 900) -> Answer:
        """Run a command to its end."""
        with self.started(*arguments, program=program) as process:
            said, _ = process.communicate(timeout=seconds)
        return Answer(process.returncode, said, self.reached())

    def reached(self) -> list[str]:
        """Return the lines of the last trace that show a way out of the machine; none without a tracer."""
        lines = self._trace.read_text(errors="replace").splitlines() if self._trace.exists() else []
        return [line for line in lines if REACHED.search(line)]

    def strangers(self) -> list[str]:
        """Return the files in the home that are not ours, and those that were left in the temporary folder."""
        there = [path.relative_to(self.home).as_posix() for path in self.home.rglob("*") if not path.is_dir()]
        left = [path.relative_to(self.root).as_posix() for path in self.temporary.rglob("*") if not path.is_dir()]
        return [name for name in there if not name.startswith(OURS)] + left

    @property
    def _trace(self) -> Path:
        return self.root / "trace"


def stop(process: subprocess.Popen[str]) -> int:
    """End what `started` gave as systemd would, and return its exit status; a tracer hands the signal to nobody."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]) if tracer() else process.pid, signal.SIGTERM)
    return process.wait(300)


def make_people(folder: Path, portrait: Image.Image, people: int) -> None:
    """Write two photos each of `people` that recognisers may take for others: one face, stretched and coloured."""
    random = np.random.default_rng(0)
    for number in range(people):
        width, height = (int(side) for side in random.integers(170, 260, 2))
        person = ImageEnhance.Color(portrait.resize((width, height))).enhance(float(random.uniform(0.2, 2)))
        (folder / f"person{number}").mkdir(parents=True)
        person.save(folder / f"person{number}" / "1.png")
        ImageOps.mirror(person).save(folder / f"person{number}" / "2.png")


def make_clip(file: Path, portrait: Image.Image) -> None:
    """Write a video of a third of a second that shows a portrait."""
    import av

    frame = av.VideoFrame.from_image(portrait)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *portrait.size, "yuv420p"
        for packet in (packet for _ in range(10) for packet in stream.encode(frame)):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)

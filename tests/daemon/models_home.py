"""A scratch home for `uncnn-daemon models`: real processes, a real server, real photos."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")


@dataclass(frozen=True)
class ModelsHome:
    """A home of its own; nothing of the user's environment but what measures coverage comes in."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data" / "uncnn"

    @property
    def models(self) -> Path:
        return self.data / "models"

    def having(self, folder: Path) -> ModelsHome:
        """Return the home, with all of a folder of models in it: `own_detector_folder` spares it an export."""
        shutil.copytree(folder, self.models, dirs_exist_ok=True)
        return self

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "XDG_DATA_HOME": str(self.root / "data"),
            "UNCNN_STATE": str(self.root / "state"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            **{key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "COV_"))},
            **more,
        }

    def run(self, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), *map(str, arguments)]
        environment = self.environment(**more)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)

    def json(self, *arguments: object, version: int = 2, **more: str) -> tuple[int, dict[str, Any]]:
        answer = self.run(*arguments, "--json", **more)
        assert answer.stdout.startswith("{"), answer
        content = json.loads(answer.stdout)
        assert content["schema_version"] == version
        return answer.returncode, content


def some_people(identities: Path, folder: Path, people: int, photos: int) -> Path:
    """Return `folder` with links to a few photos of a few people who have as many."""
    chosen = [path for path in sorted(identities.iterdir()) if len(list(path.glob("*.jpg"))) >= photos][:people]
    for person in chosen:
        (folder / person.name).mkdir(parents=True)
        for photo in sorted(person.glob("*.jpg"))[:photos]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder


def type_at(command: list[str], environment: dict[str, str], typed: list[tuple[str, str]]) -> tuple[int, str]:
    """Run a command on a terminal, type an answer after each prompt, and return its exit status and all it showed."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        shown, at, deadline = "", 0, time.monotonic() + 600
        waiting = list(typed)
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
            if waiting and waiting[0][0] in shown[at:]:
                at = len(shown)
                os.write(master, waiting.pop(0)[1].encode() + b"\n")
        os.close(master)
        return running.wait(120), shown

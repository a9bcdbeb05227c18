"""Other systems than Linux, as far as they can be tried on it: with what they lack taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "astronaut.png"

WINDOWS = """
import concurrent.futures, httpx, imagecodecs, importlib.abc, jpeglib, multiprocessing.connection, multiprocessing.pool
import multiprocessing.resource_tracker, numpy, onnx, onnx2torch, onnxruntime, onnxscript, os, pillow_heif, pydantic
import platformdirs, rich.console, safetensors, signal, sqlite3, subprocess, sys, tempfile, tifffile, torch, torchvision
import yaml, PIL.Image  # others' packages: they have builds of their own there

class Missing(importlib.abc.MetaPathFinder):
    names = {"fcntl", "grp", "pwd", "resource", "termios", "tty"}

    def find_spec(self, name, path, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in Missing.names:
    sys.modules.pop(name, None)
for name in ("chown", "fchmod", "fchown", "fork", "geteuid", "getuid", "getxattr", "listxattr", "memfd_create"):
    delattr(os, name)
for name in [name for name in dir(os) if name.startswith("O_")]:
    if name not in {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREAT", "O_TRUNC", "O_EXCL"}:
        delattr(os, name)
for name in ("pipe2", "sched_getaffinity", "statvfs"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIG_BLOCK", "pthread_sigmask"):
    delattr(signal, name)
"""


@pytest.mark.slow
def test_a_photo_is_cloaked_from_python_without_anything_that_only_unix_has(tmp_path: Path) -> None:
    code = f"{WINDOWS}\nimport uncnn\nprint(repr(uncnn.cloak({str(PORTRAIT)!r})))"
    environment = {"HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<Cloaked, PNG, publish: 1 face protected"), done.stdout


def test_commands_say_where_they_run() -> None:
    code = "import sys; sys.platform = 'win32'; from uncnn.daemon.cli.entry import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "uncnn-daemon: the commands need Linux or macOS; on Windows photos are cloaked from Python: import uncnn\n"
    )


MACOS = """
import os, platform, sys

for name in ("O_PATH", "O_TMPFILE", "copy_file_range", "eventfd", "getxattr", "listxattr", "memfd_create", "pipe2"):
    if hasattr(os, name):
        delattr(os, name)
real = platform.system


def system():  # others' packages look for their own libraries by it
    return "Darwin" if sys._getframe(1).f_globals.get("__name__", "").startswith("uncnn") else real()


platform.system = system
"""


@pytest.mark.slow
def test_a_photo_is_cloaked_by_command_without_what_only_linux_has(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(MACOS)  # in the processes that are started too
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "uncnn", "cloak", "--verbose", PORTRAIT, "--output", tmp_path / "out"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "missing: Landlock" in done.stderr, "or it was not tried"
    assert (tmp_path / "out" / PORTRAIT.name).is_file()

"""What all builds start from: the files that git tracks, the time of the last commit, the programs that are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
UV: Final = Path(sys.executable).with_name("uv")
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
UMASK: Final = 0o022


def epoch() -> int:
    """Return the time that all that is built bears, in seconds: $SOURCE_DATE_EPOCH, or else that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(given or output(["git", "-C", ROOT, "log", "-1", "--format=%ct"]))


def copy_sources(place: Path) -> Path:
    """Copy the files that git tracks, as they are now, into the new folder `place`; nothing that lies beside them."""
    for name in output(["git", "-C", ROOT, "ls-files", "-z"]).split("\0")[:-1]:
        source, copy = ROOT / name, place / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
    return place


def need(*programs: str, packages: str) -> None:
    """End with what is missing, and the Debian packages that bring it, unless all `programs` are there."""
    found = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in programs if shutil.which(name, path=found) is None]:
        sys.exit(f"{', '.join(missing)}: not found; on Debian 12: apt install {packages}")


def run(command: Sequence[str | Path], place: Path | None = None, more: Mapping[str, str] | None = None) -> None:
    """Run a program, as reproducibly as it can: the same time, hashes, language and rights. Ends where it fails."""
    own = {"SOURCE_DATE_EPOCH": str(epoch()), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(command, cwd=place, env={**os.environ, **own, **(more or {})}, umask=UMASK, check=False)
    if done.returncode != 0:
        sys.exit(f"{Path(command[0]).name}: exit status {done.returncode}, of: {' '.join(map(str, command))}")


def output(command: Sequence[str | Path]) -> str:
    """Return what a program prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

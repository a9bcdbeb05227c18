"""What systemd says of a unit, and the units in the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SHIPPED = Path(__file__).resolve().parents[2] / "systemd"
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed: apt install systemd")


def exposure(*files: Path) -> float:
    answer = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", *map(str, files)], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", answer.stdout)
    assert found, answer.stderr
    return float(found[1])

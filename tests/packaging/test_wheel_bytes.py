"""The wheel is the same to the byte, whoever builds it, wherever."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = [sys.executable, str(ROOT / "packaging" / "make_wheel.py")]


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name, umask in (("one", 0o022), ("other", 0o077)):
        made = subprocess.run(
            [*MAKE, "-o", tmp_path / name], umask=umask, check=True, capture_output=True, text=True, cwd=tmp_path
        )
        (wheel,) = (tmp_path / name).iterdir()
        digests.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
        assert made.stdout == f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel}\n"
    assert len(digests) == 1
    with zipfile.ZipFile(wheel) as archive:
        assert len({entry.date_time for entry in archive.infolist()}) == 1
        assert not [entry for entry in archive.infolist() if entry.external_attr >> 16 & 0o111], "nothing is a program"
        assert "uncnn/daemon/service/units.py" in archive.namelist()

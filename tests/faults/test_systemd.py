"""The units under a real systemd, booted over this machine's files: what it changes is gone with it.

`inside_systemd.py` is what is tried in there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

BOX = """\
set -eu
mount -t tmpfs -o size=2g none "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" none "$1/root"
cp "$2" "$1/root/etc/systemd/system/inside.service"
exec systemd-nspawn --quiet --directory="$1/root" --bind-ro="$3" --bind="$4" --link-journal=no --register=no \
    --keep-unit --private-network --console=pipe \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    --boot systemd.unit=inside.service
"""

UNIT = """\
[Unit]
After=basic.target
Wants=dbus.service systemd-logind.service
[Service]
Type=oneshot
Environment=PYTHONDONTWRITEBYTECODE=1
ExecStart={python} -m pytest -xq --tb=short -p no:cacheprovider -o addopts= --junit-xml={said}/report.xml {tests}
StandardOutput=file:{said}/log
StandardError=inherit
ExecStopPost=/bin/systemctl --no-block poweroff
"""


@pytest.mark.slow
def test_the_units_hold_under_a_real_systemd(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("needs root and systemd-nspawn: apt install systemd-container dbus")
    box, said = tmp_path / "box", tmp_path / "said"
    box.mkdir()
    said.mkdir()
    tests = Path(__file__).with_name("inside_systemd.py")
    (tmp_path / "unit").write_text(UNIT.format(python=sys.executable, said=said, tests=tests))
    command = ["unshare", "--mount", "bash", "-c", BOX, "box", box, tmp_path / "unit", REPOSITORY, said]
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1500
    )
    if not (said / "log").exists():
        pytest.skip(f"a container cannot be booted here: {answer.stderr.strip()[-300:]}")
    log = (said / "log").read_text()
    assert (said / "report.xml").exists(), log
    assert " passed" in log, log
    assert " failed" not in log, log
    assert " error" not in log, log

"""A machine to install services on."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from uncnn.daemon.service import installing


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a machine with a configuration for this user, in which systemd is not at work."""
    configuration = tmp_path / "etc" / "uncnn" / getpass.getuser() / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f"folders: [{{watch: {tmp_path}/in, publish: {tmp_path}/out}}]\n")
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(installing.shutil, "which", lambda _name: None)
    return tmp_path

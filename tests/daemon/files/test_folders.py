"""uncnn's own folders: private, absolute, and clear where they cannot be had."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uncnn.daemon.files import workspace
from uncnn.daemon.files.folders import FolderError, data_dir, state_dir
from uncnn.daemon.files.workspace import RunningError, only_run, run_at_work


def test_state_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "deep" / "state"))
    assert state_dir() == tmp_path / "deep" / "state"
    assert stat.S_IMODE(state_dir().stat().st_mode) == 0o700


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCNN_STATE", "state")
    assert state_dir() == tmp_path / "state"


def test_without_it_the_users_own_folders_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert state_dir() == tmp_path / "state" / "uncnn"
    assert data_dir() == tmp_path / "data" / "uncnn"


def test_an_open_folder_is_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    assert stat.S_IMODE(state_dir().stat().st_mode) == 0o700


def test_a_file_in_its_place_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("UNCNN_STATE", str(path))
        with pytest.raises(FolderError, match="not a folder"):
            state_dir()


ASKING = """
import fcntl, os, sys, time
opened = os.open(sys.argv[1], os.O_RDONLY)
while True:
    fcntl.flock(opened, fcntl.LOCK_SH)
    time.sleep(0.02)
    fcntl.flock(opened, fcntl.LOCK_UN)
    time.sleep(0.005)
"""


def test_a_run_starts_while_others_ask_whether_one_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(workspace, "_ASKED_SECONDS", 60.0)
    with only_run():
        pass
    asking = subprocess.Popen([sys.executable, "-c", ASKING, str(tmp_path / "state" / "run.lock")])
    try:
        time.sleep(0.5)
        for _ in range(5):
            with only_run():
                assert run_at_work() is not None
    finally:
        asking.kill()
        asking.wait()


def test_two_runs_at_once_are_refused_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    with only_run(), pytest.raises(RunningError, match="already running"), only_run():
        pass

"""Links that another process makes."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from uncnn.daemon.web.links import LINK_SECONDS, MOST_LINKS, links_folder, new_code, use_code


def test_a_code_works_once(tmp_path: Path) -> None:
    code, other = new_code(tmp_path), new_code(tmp_path)
    assert code != other
    assert not use_code(tmp_path, "a guess")
    assert use_code(tmp_path, code)
    assert not use_code(tmp_path, code)
    assert use_code(tmp_path, other)


def test_nothing_that_lies_there_lets_anybody_in(tmp_path: Path) -> None:
    code = new_code(tmp_path)
    (file,) = tmp_path.iterdir()
    assert code not in file.name
    assert file.read_bytes() == b""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for name in (file.name, f"../{tmp_path.name}/{file.name}", "..", ""):
        assert not use_code(tmp_path, name)


@pytest.mark.parametrize("age", [LINK_SECONDS + 1, -60.0])
def test_an_old_code_lets_nobody_in(tmp_path: Path, age: float) -> None:
    code = new_code(tmp_path)
    (file,) = tmp_path.iterdir()
    made = time.time() - age
    os.utime(file, (made, made))
    assert not use_code(tmp_path, code)
    assert not list(tmp_path.iterdir())


def test_they_do_not_pile_up(tmp_path: Path) -> None:
    codes = [new_code(tmp_path) for _ in range(MOST_LINKS + 5)]
    assert len(list(tmp_path.iterdir())) == MOST_LINKS
    assert use_code(tmp_path, codes[-1])


def test_the_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    assert stat.S_IMODE(links_folder().stat().st_mode) == 0o700

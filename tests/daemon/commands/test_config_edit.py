"""`config set`, `config unset` and `config add-folder` on real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncnn.daemon.commands.config_edit import EditError, add_folder, set_values, unset_values
from uncnn.daemon.config import load
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.output import OK


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1  # of this file\nfolders: [{watch: in, publish: out}]\n")
    return path


def test_values_are_set_and_unset(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_values(file, ["policies.everyday.attack.strength=strong", "folders[0].settle_seconds=9"]) == OK
    assert "next: uncnn-daemon config check, then uncnn-daemon reload" in capsys.readouterr().out
    config = load(file)
    assert config.policies["everyday"].attack.strength == "strong"
    assert config.folders[0].settle_seconds == 9
    assert unset_values(file, ["policies.everyday.attack.strength", "folders[0].settle_seconds"]) == OK
    assert load(file).policies["everyday"].attack.strength == "balanced"
    assert "# of this file" in file.read_text()


@pytest.mark.parametrize("text", ["device", "=cpu", "a..b=1", "device=[", "device={"])
def test_what_is_no_value_is_refused_before_the_file_is_touched(file: Path, text: str) -> None:
    before = file.read_bytes()
    with pytest.raises(EditError):
        set_values(file, [text])
    assert file.read_bytes() == before


def test_a_folder_is_added_and_made(file: Path, tmp_path: Path) -> None:
    watch, publish = tmp_path / "phone's", tmp_path / "deep" / "out"
    assert add_folder(file, watch, publish, None) == OK
    assert watch.is_dir()
    assert publish.is_dir()
    assert [each.watch for each in load(file).folders] == [tmp_path / "in", watch]
    with pytest.raises(ConfigError, match="overlap"):
        add_folder(file, watch / "below", tmp_path / "other", None)
    assert not (watch / "below").exists()


@pytest.mark.parametrize("folders", ["", "folders:\n", "folders: null\n", "folders: []\n"])
def test_the_first_folder_is_added(tmp_path: Path, folders: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"version: 1\n{folders}")
    assert add_folder(file, tmp_path / "in", tmp_path / "out", "everyday") == OK
    assert [each.publish for each in load(file).folders] == [tmp_path / "out"]


def test_a_folder_that_cannot_be_made_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EditError, match=r"file.*cannot be made"):
        add_folder(file, tmp_path / "file" / "in", tmp_path / "x", None)

"""`config set`, `config unset`, `config add-folder` and `config add-server` on real files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from uncnn.daemon.commands.config_edit import EditError, add_folder, set_values, unset_values
from uncnn.daemon.commands.server_access import add_server
from uncnn.daemon.config import load
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.config.servers import Address, AddressError
from uncnn.daemon.output import OK
from uncnn.daemon.remote.access import AccessError, AccessKey, known_key


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


KEY = AccessKey(b"a" * 32, b"b" * 32)


@pytest.mark.parametrize("servers", ["", "servers:\n", "servers: null\n", "servers: []\n", "servers: [ssh://office]\n"])
def test_a_server_is_added_once(tmp_path: Path, servers: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"version: 1  # of this file\n{servers}")
    before = load(file).servers
    assert add_server(file, tmp_path, "ssh://box") == OK
    assert load(file).servers == (*before, "ssh://box")
    assert "# of this file" in file.read_text()
    assert add_server(file, tmp_path, "ssh://box") == OK
    assert "already" in capsys.readouterr().out
    assert load(file).servers == (*before, "ssh://box")
    assert not (tmp_path / "servers.json").exists()


def test_the_access_key_of_a_server_is_read_and_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY.text[:50]}\n{KEY.text[50:]}\n"))
    assert add_server(file, tmp_path, "https://box") == OK
    assert load(file).servers == ("https://box",)
    assert known_key(tmp_path, Address.parse("https://box:8488")) == KEY
    for same in ("https://box:8488", "https://BOX/"):
        monkeypatch.setattr("sys.stdin", io.StringIO(KEY.text))
        assert add_server(file, tmp_path, same) == OK
        assert load(file).servers == ("https://box",), same
    assert KEY.text not in file.read_text() + capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("no key\n"))
    with pytest.raises(AccessError):
        add_server(file, tmp_path, "https://other")
    assert load(file).servers == ("https://box",)


def test_without_a_configuration_the_key_is_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "UNCNN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY.text))
    assert add_server(None, tmp_path, "https://box") == OK
    assert "cloak --server https://box" in capsys.readouterr().out
    assert known_key(tmp_path, Address.parse("https://box")) == KEY


@pytest.mark.parametrize(
    "text", ["box", "http://box", "https://me@box", "https://box/path", "https://box:0", "https://"]
)
def test_what_is_no_address_is_refused(file: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(AddressError, match="https://host:port"):
        add_server(file, tmp_path, text)

"""Addresses of servers: what a person may write, and what is run for it."""

from __future__ import annotations

import pytest

from uncnn.daemon.config import ConfigError, load
from uncnn.daemon.config.servers import Address, AddressError


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ssh://box", ["--", "box", "uncnn-daemon serve --stdio"]),
        ("ssh://me@box.example:2222", ["-p", "2222", "--", "me@box.example", "uncnn-daemon serve --stdio"]),
        ("ssh://box/opt/uncnn/bin/uncnn-daemon", ["--", "box", "/opt/uncnn/bin/uncnn-daemon serve --stdio"]),
        ("ssh://box/home/a b/uncnn-daemon", ["--", "box", "'/home/a b/uncnn-daemon' serve --stdio"]),
        ("ssh://[fe80::1]/", ["--", "fe80::1", "uncnn-daemon serve --stdio"]),
    ],
)
def test_what_is_run_for_an_address(text: str, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCNN_RSH", raising=False)
    found = Address.parse(text).command()
    assert found[0] == "ssh"
    assert "BatchMode=yes" in found
    assert found[-len(command) :] == command
    monkeypatch.setenv("UNCNN_RSH", "ssh -i 'my key'")
    assert Address.parse(text).command()[:3] == ["ssh", "-i", "my key"]


def test_what_a_person_types_to_be_let_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCNN_RSH", raising=False)
    assert Address.parse("ssh://box/opt/uncnn/bin/uncnn-daemon").by_hand() == "ssh box"
    monkeypatch.setenv("UNCNN_RSH", "ssh -i 'my key'")
    assert Address.parse("ssh://me@box:2222").by_hand() == "ssh -i 'my key' -p 2222 me@box"


@pytest.mark.parametrize(
    "text",
    [
        "box",
        "http://box",
        "ssh://",
        "ssh://-oProxyCommand=true",
        "ssh://-l@box",
        "ssh://box:0",
        "ssh://box:99999",
        "ssh://box;reboot",
        "ssh://box/$(reboot)",
        "ssh://box/a\nb",
        "ssh://bóx",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="write it as ssh://host"):
        Address.parse(text)


def test_the_configuration_names_the_line(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("version: 1\nservers: [ssh://box, box]\n")
    with pytest.raises(ConfigError, match=r"config.yaml:2: servers\[1\]: .*write it as ssh://host"):
        load(file)
    file.write_text("version: 1\nservers: [ssh://box]\n")
    assert load(file).servers == ("ssh://box",)

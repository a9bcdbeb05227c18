"""What helps where a server is not reached; inside_systemd.py has the units that may open no connection."""

from __future__ import annotations

import pytest

from uncnn.daemon.config.servers import Address
from uncnn.daemon.remote.remedies import remedy

BOX = Address.parse("ssh://me@box:2222")


@pytest.mark.parametrize(
    ("words", "help"),
    [
        ("Host key verification failed.", "`ssh -p 2222 me@box`, once, as the user of the service"),
        ("me@box: Permission denied (publickey,password).", "a key in ~/.ssh without a passphrase"),
        ("Bad owner or permissions on /etc/ssh/ssh_config.d/20-site.conf", "`uncnn-daemon service install` leaves"),
        ("bash: line 1: uncnn-daemon: command not found", "as in ssh://host/path/of/uncnn-daemon"),
        ("sh: 1: uncnn-daemon: not found", "as in ssh://host/path/of/uncnn-daemon"),
        ("zsh:1: command not found: uncnn-daemon", "as in ssh://host/path/of/uncnn-daemon"),
        ("bash: line 1: /opt/uncnn-daemon: No such file or directory", "as in ssh://host/path/of/uncnn-daemon"),
    ],
)
def test_what_helps_is_said(words: str, help: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCNN_RSH", raising=False)
    assert help in remedy(BOX, words)


@pytest.mark.parametrize(
    "words", ["", "ssh: connect to host box port 2222: Connection refused", "Bad owner or permissions on /home/me/x"]
)
def test_where_nothing_is_known_nothing_is_said(words: str) -> None:
    assert remedy(BOX, words) == ""
    assert remedy(Address.parse("https://box"), "Permission denied (") == ""

"""What a person can do where a server is not reached: by what was said last, and by what this process may do."""

from __future__ import annotations

import errno
import os
import re
import socket
from typing import Final

from uncnn.daemon.config.servers import Address

_NO_NETWORK: Final = (
    "this service may open no connection; after `servers` was changed, `uncnn-daemon service install` (for a system"
    " service with --for USER) lets it"
)

_OF_SSH: Final = (
    (
        re.compile(r"Host key verification failed"),
        "`{by_hand}`, once, as the user of the service, shows the key of that machine and asks whether it is the right"
        " one",
    ),
    (
        re.compile(r"Permission denied \("),
        "ssh has to be let in without a question, by a key in ~/.ssh without a passphrase or, but for a system service,"
        " by an agent",
    ),
    (
        re.compile(r"Bad owner or permissions on (?:/usr)?/etc/"),
        "in a unit of your own, files of root belong to nobody; `uncnn-daemon service install` leaves those of"
        " /etc/ssh/ssh_config.d out, and UNCNN_RSH='ssh -F none' in its environment all others",
    ),
    (
        re.compile(r"uncnn-daemon: (?:command )?not found|not found: |uncnn-daemon: No such file"),
        "where uncnn-daemon lies on that machine is written behind its name, as in ssh://host/path/of/uncnn-daemon",
    ),
)
"""What ssh, or the shell at the other end, says, and what helps."""


def remedy(address: Address, words: str) -> str:
    """Return what helps where a server is not reached and `words` were said last; empty: nothing that is known."""
    if not _may_connect():
        return _NO_NETWORK
    if address.scheme != "ssh":
        is_refused = words == os.strerror(errno.ECONNREFUSED)
        return f"uncnn-daemon serve --listen {address.port} does not run there" if is_refused else ""
    return next((help.format(by_hand=address.by_hand()) for said, help in _OF_SSH if said.search(words)), "")


def _may_connect() -> bool:
    """Return whether this process may open connections: a unit without `servers.conf` may not."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno != errno.EAFNOSUPPORT
    return True

"""`serve --listen`, its access key, and `config add-server`, which keeps the key of a server on a client."""

from __future__ import annotations

import getpass
import re
import socket
import sys
from pathlib import Path
from typing import Final

from uncnn.daemon.commands.config_edit import edit_configuration
from uncnn.daemon.config import config_file, find_config
from uncnn.daemon.config.editing import added_server
from uncnn.daemon.config.servers import PORT, Address
from uncnn.daemon.output import OK, USAGE
from uncnn.daemon.remote.access import AccessKey, keep_key
from uncnn.daemon.remote.certificate import identity
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

_WHERE: Final = re.compile(r"(?:(?P<host>[^\s\[\]:]+|\[[^\s\]]+\]):)?(?P<port>[0-9]{1,5})", re.ASCII)


MOST_KEY: Final = 4096
"""Characters that are read of what is to be an access key."""


class ListenError(UncnnError):
    """No place to listen at."""

    exit_status = USAGE


def listen_for_clients(data: Path, where: str, device: str, at_once: int) -> int:
    """Serve clients by https:// until a signal ends it; return the exit status.

    `data` is the folder of the user's data. Raises ListenError, MissingPackage, FolderError, AccessError.
    """
    found = _WHERE.fullmatch(where)
    if found is None or not 0 <= int(found["port"]) < 1 << 16:
        raise ListenError(f"--listen {where!r}: write it as PORT or HOST:PORT, as in {PORT} or 192.168.1.5:{PORT}")
    from uncnn.daemon.remote.listening import listen  # asyncio and ssl

    known = identity(data)

    def begun(port: int) -> None:
        if sys.stdout.isatty():
            here = f"https://{socket.gethostname()}:{port}"
            sys.stdout.write(
                f"On the machine whose faces are to be changed here, once: uncnn-daemon config add-server {here}\n"
                f"It asks for this access key, which is a secret: {known.key.text}\n"
            )
            sys.stdout.flush()

    hosts = None if found["host"] is None else [found["host"].strip("[]")]
    return listen(known, hosts, int(found["port"]), device, at_once, begun)


def print_access_key(data: Path, new: bool) -> int:
    """Print the access key of this server, made where there is none or a `new` one is wanted; return the exit status.

    Raises MissingPackage, FolderError, AccessError.
    """
    sys.stdout.write(f"{identity(data, new).key.text}\n")
    return OK


def add_server(explicit: Path | None, data: Path, text: str) -> int:
    """Add a server to the configuration file, and keep its access key where it has one; return the exit status.

    The key is asked for where a person is there, else it is read from standard input.

    Raises AddressError, AccessError; ConfigError: the file cannot be changed, or would be wrong.
    """
    address, file = Address.parse(text), config_file(explicit)
    if address.scheme == "https":
        asked = getpass.getpass("its access key (not shown): ") if sys.stdin.isatty() else sys.stdin.read(MOST_KEY)
        keep_key(data, address, AccessKey.parse(asked))
        sys.stdout.write(f"the access key of {address.text} is kept\n")
        if explicit is None and not file.exists():
            sys.stdout.write(
                f"there is no configuration: for single photos, uncnn-daemon cloak --server {address.text}\n"
            )
            return OK
    edits = added_server(find_config(explicit), address.text)
    if not edits:
        sys.stdout.write(f"{address.text} is in {printable(file)} already\n")
        return OK
    status = edit_configuration(explicit, edits)
    sys.stdout.write("where systemd runs the service, `uncnn-daemon service install` lets it reach its servers\n")
    return status

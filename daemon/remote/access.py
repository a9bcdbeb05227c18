"""The access key of a server that is reached by https://: how a client knows it, and it the client.

One text holds both: the SHA-256 digest of the server's certificate, to which a client holds fast whatever name and
authority say, and a token of 32 random bytes, without which the server does nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.config.servers import Address
from uncnn.daemon.files.private_file import write_private
from uncnn.daemon.output import USAGE
from uncnn.plugins.api import UncnnError

BYTES: Final = 32
_BEGIN: Final = "uncnn1-"
_FILE: Final = "servers.json"


class AccessError(UncnnError):
    """What is given as an access key is none, or those that are kept cannot be read or written."""

    exit_status = USAGE


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What lets a client have faces changed by one server."""

    certificate: bytes  # its SHA-256 digest, 32 bytes
    token: bytes  # 32 bytes

    @classmethod
    def parse(cls, text: str) -> AccessKey:
        """Return the key that this text holds. Raises AccessError; the message does not repeat it."""
        written = "".join(text.split())  # a terminal or a message may have broken its line
        encoded = written.removeprefix(_BEGIN)
        try:
            both = base64.b64decode(f"{encoded}{'=' * (-len(encoded) % 4)}", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _no_key() from error
        if len(both) != 2 * BYTES or not written.startswith(_BEGIN):
            raise _no_key()
        return cls(both[:BYTES], both[BYTES:])

    @property
    def text(self) -> str:
        """Return what `parse` takes."""
        return f"{_BEGIN}{base64.urlsafe_b64encode(self.certificate + self.token).decode().rstrip('=')}"

    @property
    def sent(self) -> str:
        """Return the token as a client sends it in the header `Authorization`."""
        return f"Bearer {base64.urlsafe_b64encode(self.token).decode().rstrip('=')}"


def _no_key() -> AccessError:
    return AccessError(
        f"that is no access key: one begins with {_BEGIN} and is printed, in one line, by `uncnn-daemon serve"
        " --access-key` on the server"
    )


def new_token() -> bytes:
    """Return a token that nobody can guess."""
    return secrets.token_bytes(BYTES)


def known_key(data: Path, address: Address) -> AccessKey | None:
    """Return the key that is kept for a server in the folder of the user's data, if one is. Raises AccessError."""
    text = _known(data).get(_name(address))
    return None if text is None else AccessKey.parse(text)


def keep_key(data: Path, address: Address, key: AccessKey) -> None:
    """Keep the key of a server, readable by nobody else, in place of an earlier one. Raises AccessError."""
    keep(data / _FILE, json.dumps({**_known(data), _name(address): key.text}, indent=1).encode())


def keep(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises AccessError."""
    try:
        write_private(file, content)
    except OSError as error:
        raise AccessError(f"{file} cannot be written: {error.strerror}") from error


def _name(address: Address) -> str:
    return f"{address.host.lower()}:{address.port}"


def _known(data: Path) -> dict[str, str]:
    file = data / _FILE
    try:
        read = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise AccessError(f"{file}, the access keys of servers, cannot be read: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(each, str) for each in read.values()):
        raise AccessError(f"{file} holds no access keys of servers: move it away, and add the servers again")
    return read

"""Where a server is: ssh://[user@]host[:port][/path/of/uncnn-daemon], or https://host[:port]."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import Final, Literal

from uncnn.daemon.output import USAGE
from uncnn.plugins.api import UncnnError

_HOST: Final = r"(?P<host>[A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{1,5}))?"
_SSH: Final = re.compile(
    rf"(?P<scheme>ssh)://(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?{_HOST}(?P<program>/[\w./+@ -]*)?", re.ASCII
)
_HTTPS: Final = re.compile(rf"(?P<scheme>https)://{_HOST}/?", re.ASCII)

SHELL: Final = "UNCNN_RSH"
"""The environment's variable that names another program than ssh, with its options, as BORG_RSH does."""

PORT: Final = 8488
"""Where `serve --listen` listens, and where https:// goes, unless another port is named."""

_OPTIONS: Final = (
    *("-T", "-o", "BatchMode=yes"),  # nobody is there to be asked
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
    # A connection that is open already may be shared. To be the one that others share, ssh needs a socket beside the
    # keys, which a service of the system's cannot make, and lives on after who started it.
    *("-o", "ControlMaster=no"),
)


class AddressError(UncnnError):
    """No address of a server."""

    fault = "policy"
    exit_status = USAGE


@dataclass(frozen=True, slots=True)
class Address:
    """A machine of one's own, and uncnn on it."""

    text: str  # as a person wrote it
    host: str
    scheme: Literal["ssh", "https"] = "ssh"
    user: str = ""
    port: int | None = None
    program: str = "uncnn-daemon"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that a person wrote. Raises AddressError."""
        found = _SSH.fullmatch(text) or _HTTPS.fullmatch(text)
        if found is None or not 0 < int(found["port"] or 22) < 1 << 16:
            raise AddressError(
                f"server {text!r}: write it as ssh://host, ssh://user@host:port, ssh://host/path/of/uncnn-daemon or"
                " https://host:port"
            )
        port, host = int(found["port"]) if found["port"] else None, found["host"].strip("[]")
        if found["scheme"] == "https":
            return cls(text, host, "https", port=port or PORT)
        program = found["program"] if found["program"] not in (None, "/") else "uncnn-daemon"
        return cls(text, host, "ssh", found["user"] or "", port, program)

    def is_same(self, text: object) -> bool:
        """Return whether this text names the same server: hosts have no case, and a port may go without saying."""
        try:
            other = Address.parse(str(text))
        except AddressError:
            return False
        return self._place() == other._place()

    def _place(self) -> tuple[object, ...]:
        return (self.scheme, self.host.lower(), self.user, self.port, self.program)

    def command(self) -> list[str]:
        """Return what is run here to have uncnn run there, over ssh."""
        return [*_shell(), *_OPTIONS, *self._port, "--", self._where, f"{shlex.quote(self.program)} serve --stdio"]

    def by_hand(self) -> str:
        """Return what a person types to be let in by ssh, and to be asked what ssh asks."""
        return shlex.join([*_shell(), *self._port, self._where])

    @property
    def _port(self) -> list[str]:
        return ["-p", str(self.port)] if self.port else []

    @property
    def _where(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host


def _shell() -> list[str]:
    return shlex.split(os.environ.get(SHELL, "")) or ["ssh"]

"""Where the page may be reached: what a browser must name as `Host`, and where a change must come from.

A page of a stranger whose name was made to resolve to this machine (DNS rebinding) names its own host, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from uncnn.daemon.settings import SettingsError
from uncnn.daemon.text import printable

LOOPBACK: Final = "127.0.0.1"
_NAMES: Final = (LOOPBACK, "localhost")
_USUAL: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a page that listens on one port."""

    port: int
    hosts: frozenset[str]  # `name:port` as a browser writes it, in small letters
    origins: frozenset[str]  # `scheme://name:port`
    shown: str  # the origin that a link begins with
    elsewhere: bool = False  # other machines reach it under that one
    also: str | None = None  # another one that a link is printed for

    @classmethod
    def of(cls, port: int, origins: Sequence[str] = (), lan: str | None = None) -> Addresses:
        """Return those of a port on this machine, and `origins` that a person named, such as that of a proxy.

        `lan` is this machine's address in its network, where other devices may reach it by that.

        Raises SettingsError: one is no origin.
        """
        named = [_origin(each) for each in (*([] if lan is None else [f"http://{lan}:{port}"]), *origins)]
        hosts = {f"{name}:{port}" for name in _NAMES} | {host for _, host in named}
        own = [f"http://{name}:{port}" for name in _NAMES]
        whole = [f"{scheme}://{host}" for scheme, host in named]
        elsewhere = bool(named) and not named[0][1].startswith(_NAMES)
        also = None if lan is None else own[0]
        return cls(port, frozenset(hosts), frozenset((*own, *whole)), [*whole, *own][0], elsewhere, also)

    @property
    def shown_at(self) -> tuple[str, ...]:
        """Return the origins that a link is printed for."""
        return (self.shown,) if self.also is None else (self.shown, self.also)

    def link(self, origin: str, code: str) -> str:
        """Return the link to one of the origins that lets a browser in by a code."""
        return f"{origin}/enter?code={code}"

    @property
    def cookie(self) -> str:
        """Return the name of the cookie: browsers send those of one port of this machine to all others too."""
        return f"uncnn-{self.port}"


def _origin(text: str) -> tuple[str, str]:
    """Return the scheme and the host of an origin, as browsers write it. Raises SettingsError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _wrong(text) from error
    name = (parts.hostname or "").lower()
    if parts.scheme not in _USUAL or not name or parts.path not in ("", "/") or parts.query or "@" in parts.netloc:
        raise _wrong(text)
    shown = f"[{name}]" if ":" in name else name
    return parts.scheme, shown if port in (None, _USUAL[parts.scheme]) else f"{shown}:{port}"


def _wrong(text: str) -> SettingsError:
    return SettingsError(f"--origin {printable(text)!r}: write it as https://photos.example.org or http://host:8080")

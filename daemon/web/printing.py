"""The link to the page, on a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import segno

from uncnn.daemon.output import OK
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.links import links_folder, new_code


def say_link(addresses: Addresses, code: str) -> None:
    """Print a link, and for a phone's camera its picture where the page is reached from elsewhere."""
    link = addresses.link(code)
    if addresses.elsewhere is not None and sys.stdout.isatty():
        drawn = io.StringIO()
        segno.make(link, micro=False).terminal(drawn, compact=True)
        sys.stdout.write(drawn.getvalue())
    sys.stdout.write(f"open this link in your browser; it works once, within an hour:\n  {link}\n")


def print_link(port: int, origins: Sequence[str]) -> int:
    """Print a link to a page that runs already, or that systemd starts, and return the exit status.

    Raises SettingsError: an origin is none. FolderError, OSError: uncnn's own folders cannot be used.
    """
    addresses = Addresses.of(port, origins)
    say_link(addresses, new_code(links_folder()))
    return OK

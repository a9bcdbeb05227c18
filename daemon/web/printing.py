"""Links to the page, on a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from functools import partial

from uncnn.daemon.output import OK
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.links import links_folder, new_code
from uncnn.daemon.web.network import own_address


def say_links(addresses: Addresses, code: Callable[[], str], running: bool = True) -> None:
    """Print a link for this machine, and one for others with its picture for a phone's camera, where they are let in.

    `code` makes the code of a link. `running`: the page is served by this process.
    """
    lines = []
    if addresses.elsewhere is not None:
        link = addresses.link(addresses.elsewhere, code())
        lines += ["open this link on another device; it works once, within an hour:", f"  {link}"]
        if sys.stdout.isatty():
            import segno

            drawn = io.StringIO()
            segno.make(link, micro=False).terminal(drawn, compact=True)
            lines.append(drawn.getvalue())
        if link.startswith("http:"):
            lines.append("what it sends is not encrypted: use it only in a network that you trust")
    lines.append("open this link in your browser; it works once, within an hour:")
    lines.append(f"  {addresses.link(addresses.own, code())}")
    if running:
        lines.append("Ctrl-C ends the page")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def print_links(port: int, origins: Sequence[str], lan: bool) -> int:
    """Print links to a page that runs already, or that systemd starts, and return the exit status.

    Raises SettingsError: an origin is none. NetworkError. FolderError, OSError: uncnn's own folders cannot be used.
    """
    addresses = Addresses.of(port, origins, own_address() if lan else None)
    say_links(addresses, partial(new_code, links_folder()), running=False)
    return OK

"""The link of the page, printed: at the start, and once more whenever Enter is pressed."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from uncnn.daemon.output import OK
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.links import links_folder, new_code
from uncnn.daemon.web.network import own_address
from uncnn.daemon.web.site import Site


def say_links(addresses: Addresses, code: Callable[[], str]) -> None:
    """Print a link that works once for each address; `code` makes the code of one.

    That by which other machines reach the page is drawn too, for a phone's camera.
    """
    for number, origin in enumerate(addresses.shown_at):
        link, elsewhere = addresses.link(origin, code()), addresses.elsewhere and number == 0
        if elsewhere and sys.stdout.isatty():
            import segno  # with what it imports it would take 2 MB of a process that draws once

            drawn = io.StringIO()
            segno.make(link, micro=False).terminal(drawn, compact=True)
            sys.stdout.write(drawn.getvalue())
        where = "on another device" if len(addresses.shown_at) > 1 and elsewhere else "in your browser"
        sys.stdout.write(f"open this link {where}; it works once, within an hour:\n  {link}\n")
        if elsewhere and origin.startswith("http:"):
            sys.stdout.write("what that sends is not encrypted: use it only in a network that you trust\n")
    sys.stdout.flush()


def say_own_links(site: Site) -> None:
    """Print the links of a page that this process serves."""
    say_links(site.addresses, site.sessions.new_code)
    sys.stdout.write("Enter prints another link, Ctrl-C ends the page\n" if sys.stdout.isatty() else "")
    sys.stdout.flush()


def print_links(port: int, origins: Sequence[str], lan: bool) -> int:
    """Print links to a page that runs already, or that systemd starts, and return the exit status.

    Raises SettingsError: an origin is none. NetworkError. FolderError, OSError: uncnn's own folders cannot be used.
    """
    say_links(Addresses.of(port, origins, own_address() if lan else None), partial(new_code, links_folder()))
    return OK


@contextmanager
def another_on_enter(site: Site) -> Iterator[None]:
    """Print another link whenever Enter is pressed inside the block, where there is a terminal."""
    loop, terminal = asyncio.get_running_loop(), sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if not terminal:
        yield
        return
    keyboard = sys.stdin.fileno()

    def pressed() -> None:
        with suppress(OSError):
            if os.tcgetpgrp(keyboard) != os.getpgrp():  # what is typed is for another program: reading it would stop us
                return
            if os.read(keyboard, 4096):
                say_own_links(site)
                return
        loop.remove_reader(keyboard)  # the terminal is gone

    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)

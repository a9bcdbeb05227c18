"""The link of the page, printed: at the start, and once more whenever Enter is pressed."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from uncnn.daemon.web.site import Site


def say_link(site: Site) -> None:
    """Print a link that works once, and for a phone's camera its picture where other machines reach the page."""
    link, terminal = site.link, sys.stdout.isatty()
    if site.addresses.elsewhere and terminal:
        import segno  # with what it imports it would take 2 MB of a process that draws once

        drawn = io.StringIO()
        segno.make(link, micro=False).terminal(drawn, compact=True)
        sys.stdout.write(drawn.getvalue())
    sys.stdout.write(f"open this link in your browser; it works once, within an hour:\n  {link}\n")
    sys.stdout.write("Enter prints another link, Ctrl-C ends the page\n" if terminal else "")
    sys.stdout.flush()


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
                say_link(site)
                return
        loop.remove_reader(keyboard)  # the terminal is gone

    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)

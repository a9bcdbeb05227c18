"""Whether there is a person to ask."""

from __future__ import annotations

import sys


def interactive() -> bool:
    """Return whether questions can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()

"""What the page says, in one file, so that others can translate it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("strings.toml")


@cache
def strings() -> dict[str, Any]:
    """Return what the page says, by page and name."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def said(page: str, name: str) -> str:
    """Return one of them. Raises KeyError: there is none."""
    return str(strings()[page][name])

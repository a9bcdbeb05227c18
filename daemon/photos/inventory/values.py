"""One thing that a file says, in words that fit on a line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from uncnn.daemon.text import size_words

About: TypeAlias = Literal[
    "position",
    "people",
    "owner",
    "serial number",
    "maker note",
    "second picture",
    "video",
    "time",
    "words",
    "software",
    "camera",
]
"""What of a person, a place or a machine a thing tells; most telling first."""

Key: TypeAlias = tuple[str, int | str]
"""How a policy knows a thing: the page of EXIF and the tag, or what else of a file is written again."""

_LONGEST: Final = 200  # characters of a value
_LOOKED_AT: Final = 4000  # bytes of a text
_ABOUT: Final[tuple[tuple[About, re.Pattern[str]], ...]] = (
    ("software", re.compile(r"tool|software|history|derived|hostcomputer|processing|app\b", re.I)),
    ("position", re.compile(r"gps|latitude|longitude|location|city|country|province|state$|altitude|offsettime", re.I)),
    ("people", re.compile(r"person|people|region|face", re.I)),
    ("serial number", re.compile(r"serial|uniqueid|documentid|instanceid|identifier|guid|uuid", re.I)),
    (
        "owner",
        re.compile(r"artist|owner|author|creator|copyright|rights|by-?line|credit|contact|writer|publisher", re.I),
    ),
    ("time", re.compile(r"date|time(?!s)", re.I)),
    (
        "words",
        re.compile(
            r"descri|comment|caption|title|subject|keyword|headline|instruction|label|tags|urgency|object", re.I
        ),
    ),
    ("camera", re.compile(r"\bmake\b|model|lens", re.I)),
)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that a file says besides its pixels."""

    group: str  # where it stands: EXIF, GPS, XMP, thumbnail, ...
    name: str
    value: str  # on one line, shortened
    about: About | None = None
    key: Key | None = None  # None: nothing of its kind is ever written


Part: TypeAlias = Thing | Callable[[], Iterator[Thing]]
"""A thing, or what reads a part of a file that may be damaged where the rest is not."""


def thing(group: str, name: str, value: str, key: Key | None = None) -> Thing:
    """Return a thing whose name says what it tells."""
    return Thing(group, shortened(name, 80), shortened(value), about(name), key)


def about(name: str) -> About | None:
    """Return what the name of a tag says of its content."""
    return next((found for found, pattern in _ABOUT if pattern.search(name)), None)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return text on one line: what cannot be printed is dropped."""
    line = " ".join("".join(part if part.isprintable() else " " for part in text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def text_of(content: bytes, *encodings: str) -> str:
    """Return the start of bytes as text where they are some, else how many there are."""
    for encoding in encodings or ("utf-8",):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            words = decoder.decode(content[:_LOOKED_AT], len(content) <= _LOOKED_AT).strip("\0")
        except UnicodeDecodeError:
            continue
        if all(part.isprintable() or part.isspace() for part in words):
            return words
    return size_words(len(content))

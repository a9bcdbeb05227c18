"""The names that a closed-set classifier of the user's own knows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

MOST_NAMES: Final = 1_000_000
_LARGEST_BYTES: Final = 100_000_000


class NamesError(UncnnError):
    """The names of a classifier cannot be read."""


def read_names(file: Path) -> tuple[str, ...]:
    """Return the names of a classifier's classes, one a line of a text file. Raises NamesError."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise NamesError(f"--names {printable(file)}: {system_words(error)[1]}; name a text file") from error
    except UnicodeDecodeError as error:
        raise NamesError(f"--names {printable(file)}: it is no text in UTF-8; save it as such") from error
    names = tuple(line.strip() for line in text.splitlines())
    if not names or len(names) > MOST_NAMES or len(content) > _LARGEST_BYTES:
        raise NamesError(f"--names {printable(file)}: it has {len(names):,} lines; write the name of a class on each")
    if "" in names:
        number = names.index("") + 1
        raise NamesError(f"--names {printable(file)}: line {number} is empty; write the name of a class on each line")
    return names

"""The ways in which a file is given its name in a publish folder, the strongest first: file systems differ in that."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Way(StrEnum):
    """How a whole file comes to stand under its name, without ever replacing another."""

    UNNAMED = "unnamed"  # written without a name, which it is given by its descriptor
    LINK = "link"  # written under a temporary name, the final one is a link to it
    RENAME = "rename"  # renamed by a call that fails where the name is taken
    CLAIM = "claim"  # the name is taken by a file with a mark, over which the whole one is renamed
    COPY = "copy"  # the name is taken by a file with a mark, into which the bytes are copied

    @property
    def words(self) -> str:
        """Return what it means for a person, "" of the way that hides a file until it is whole."""
        return _WORDS[self]


_WORDS: Final[dict[Way, str]] = {
    Way.UNNAMED: "",
    Way.LINK: "photos are written under a temporary name first: this file system does not support unnamed files",
    Way.RENAME: "photos are written under a temporary name first: this file system does not support hard links",
    Way.CLAIM: (
        "a file of a few bytes holds a photo's name until the whole photo takes its place:"
        " this file system has neither links nor renaming that never replaces"
    ),
    Way.COPY: (
        "a photo is written under its final name, where other programs may see a part of it for a moment:"
        " this file system has neither links nor renaming"
    ),
}

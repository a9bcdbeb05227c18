"""`config init`: the documented sample, with the folders of a person's own in it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from uncnn.daemon.config import config_file, config_of
from uncnn.daemon.config.document import parse
from uncnn.daemon.files.folders import FolderError, named, usual_folder
from uncnn.daemon.files.opening import give_to_owner_above, make_durable
from uncnn.daemon.output import OK, USAGE
from uncnn.daemon.text import printable, system_words

SAMPLE: Final = Path(__file__).parents[1] / "config" / "sample.yaml"
"""A link to the file at the top of the repository, which setuptools follows."""

_ENTRY: Final = re.compile(
    r"  - watch: (?P<watch>\S+)(?P<rest>.*\n)    publish: (?P<publish>\S+)(?P<more>.*\n(    .*\n)*)"
)
_PLAIN: Final = re.compile(r"[~/\w][\w/.-]*")

Pair = tuple[Path, Path]
"""A watched folder and its publish folder."""


class InitError(FolderError):
    """A configuration cannot be written as it was asked for."""


class PairError(InitError):
    """Folders that are not in pairs."""

    exit_status = USAGE


def init_config(explicit: Path | None, folders: Sequence[Path], force: bool) -> int:
    """Write a configuration for pairs of folders, which are made where they are missing; return the exit status.

    Raises InitError: there is one already, or it cannot be written. ConfigError: the folders would feed each other.
    """
    file = named(config_file(explicit))
    pairs = _pairs(folders)
    content = sample_for(pairs).encode(errors="surrogateescape")
    config_of(parse(file, content))
    if file.exists() and not force:
        raise InitError(
            f"{printable(file)} exists already: edit it, or use --force, which keeps the old one as {_old(file).name}"
        )
    try:
        for folder in {folder for pair in pairs for folder in pair}:
            _make(folder)
        make_durable(file.parent, 0o700 if os.geteuid() else 0o755)  # root's is for the unit of another user
        if file.exists():
            file.replace(_old(file))
        with file.open("xb") as writer:
            writer.write(content)
    except OSError as error:
        thing = printable(str(error.filename or file))
        raise InitError(f"{thing} cannot be made: {system_words(error)[1]}") from error
    lines = [f"wrote {printable(file)}", *(f"  {printable(watch)} -> {printable(publish)}" for watch, publish in pairs)]
    lines.append("next: uncnn-daemon config check, then uncnn-daemon run, or uncnn-daemon service install")
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def sample_for(pairs: Sequence[Pair]) -> str:
    """Return the documented sample with these folders in place of its own."""
    text = SAMPLE.read_text(encoding="utf-8")
    entry = _ENTRY.search(text)
    assert entry is not None  # a test holds the sample to it
    own = "".join(_entries(entry, pairs))
    _, _, rest = (text[: entry.start()] + own + text[entry.end() :]).partition("\n")
    return f"# The configuration of uncnn. After a change, run: uncnn-daemon config check\n{rest}"


def _make(folder: Path) -> None:
    """Make a folder, and those above it that are missing; what root makes in a person's home is the person's."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        make_durable(each)
        give_to_owner_above(each)
    make_durable(folder)  # a file of its name is an error


def _entries(entry: re.Match[str], pairs: Sequence[Pair]) -> Iterator[str]:
    for watch, publish in pairs:
        yield f"  - watch: {_scalar(watch)}{entry['rest']}    publish: {_scalar(publish)}{entry['more']}"


def _scalar(path: Path) -> str:
    """Return a path as YAML has it: in quotes, which are JSON's, where it needs them."""
    text = str(path)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _pairs(folders: Sequence[Path]) -> list[Pair]:
    if len(folders) % 2:
        raise PairError(f"{printable(folders[-1])} has no publish folder: give pairs of folders, WATCH PUBLISH")
    paths = [named(folder) for folder in folders]
    if not paths:
        pictures = usual_folder("pictures")
        paths = [pictures / "Outgoing", pictures / "Cloaked"]
    return list(zip(paths[::2], paths[1::2], strict=True))


def _old(file: Path) -> Path:
    return file.with_name(f"{file.name}.old")

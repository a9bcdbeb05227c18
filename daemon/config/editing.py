"""Values of a configuration file changed in place: its comments, its order and whatever else it says stay.

What is written has passed the checks that every start makes, and what it says at each place is read back first.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from uncnn.daemon.config import config_of
from uncnn.daemon.config.document import ConfigError, Document, Location, Problem, parse, read, spelled
from uncnn.daemon.config.servers import Address
from uncnn.daemon.text import printable, system_words

REMOVED: Final = object()
"""The value of an edit that takes out what stands there: the default holds then."""

_PARTS: Final = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d+)\]")
_WIDEST: Final = 1_000_000  # columns: no line is broken


@dataclass(frozen=True, slots=True)
class Edit:
    """One value that is to be another. An index one past the end of a list appends."""

    location: Location
    value: Any  # a plain one, or REMOVED


def location_of(text: str) -> Location:
    """Return `folders[1].policy` as ("folders", 1, "policy"). Raises ValueError: it is no location."""
    found = list(_PARTS.finditer(text))
    if not found or "".join(each.group() for each in found) != text:
        raise ValueError(f"{text!r} is not the name of a value: write it as in policies.everyday.attack.strength")
    return tuple(name if name else int(index) for name, index in (each.groups() for each in found))


def edited(file: Path, content: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the content of a configuration file with values changed.

    Raises ConfigError: it is no configuration now or would be none then, every problem at once; or there is no such
    place in it.
    """
    parse(file, content)  # no aliases, no depth
    editor = _editor()
    try:
        root = editor.load(content) or {}
    except YAMLError as error:
        raise _refused(file, (), f"cannot be edited: {' '.join(str(error).split())[:200]}; edit it by hand") from error
    for edit in _in_order(edits):
        _make(file, root, edit)
    written = io.BytesIO()
    editor.dump(root, written)
    document = parse(file, written.getvalue())
    for edit in edits:
        _check_said(file, document, edit)
    config_of(document)
    return written.getvalue()


def edit_file(file: Path, edits: Sequence[Edit], seen_sha256: str | None = None) -> None:
    """Change values of a configuration file, whole or not at all.

    `seen_sha256` is that of its content as a person saw it, where they did. Raises ConfigError, also where it was
    changed since.
    """
    file = file.resolve()  # a link stays one
    with _reported(file):
        content = file.read_bytes()
        if seen_sha256 not in {None, sha256(content).hexdigest()}:
            raise _refused(
                file, (), "was changed by something else meanwhile: look at it again, then repeat the change"
            )
        new = edited(file, content, edits)
        draft = file.with_name(f".{file.name}.{uuid4().hex}.part")
        try:
            with draft.open("xb") as writer:
                os.fchmod(writer.fileno(), file.stat().st_mode & 0o777)
                writer.write(new)
                writer.flush()
                os.fsync(writer.fileno())
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)


def added_folder(file: Path, watch: str, publish: str, policy: str | None) -> list[Edit]:
    """Return the edits that add a pair of folders to a configuration file. Raises ConfigError: it cannot be read."""
    before = read(file).value.get("folders")
    number = len(before) if isinstance(before, list) else 0
    values = {"watch": watch, "publish": publish, **({"policy": policy} if policy else {})}
    edits = [Edit(("folders", number), values)]
    return edits if before is None or isinstance(before, list) else [Edit(("folders",), REMOVED), *edits]


def added_server(file: Path, text: str) -> list[Edit]:
    """Return the edits that add a server to a configuration file, none where it is there.

    Raises ConfigError, AddressError.
    """
    before = read(file).value.get("servers")
    if isinstance(before, list):
        added = Address.parse(text)
        return [] if any(map(added.is_same, before)) else [Edit(("servers", len(before)), text)]
    return [*([] if before is None else [Edit(("servers",), REMOVED)]), Edit(("servers", 0), text)]


def _editor() -> YAML:
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = _WIDEST
    editor.indent(mapping=2, sequence=4, offset=2)
    editor.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return editor


def _in_order(edits: Sequence[Edit]) -> list[Edit]:
    """Return edits in an order in which none changes the index of a place that another one names."""
    gone = [edit for edit in edits if edit.value is REMOVED]
    return [*(edit for edit in edits if edit.value is not REMOVED), *sorted(gone, key=_index, reverse=True)]


def _index(edit: Edit) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(part, int), part) for part in edit.location)


def _make(file: Path, root: Any, edit: Edit) -> None:
    """Change one value of what was loaded; sections on the way to it are added where they are missing."""
    last, here = edit.location[-1], root
    for end in range(1, len(edit.location)):
        *_, part, below = edit.location[: end + 1]
        if not _has(here, part) and edit.value is REMOVED:
            return
        if not _has(here, part) or here[part] is None:  # no section, or one without values
            _put(file, edit.location[:end], here, part, [] if isinstance(below, int) else {})
        here = here[part]
    if edit.value is not REMOVED:
        _put(file, edit.location, here, last, _written(edit.value))
    elif _has(here, last):
        del here[last]


def _has(here: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(here, list) and part < len(here)
    return isinstance(here, dict) and part in here


def _put(file: Path, location: Location, here: Any, part: str | int, value: Any) -> None:
    if isinstance(part, int) and isinstance(here, list) and part <= len(here):
        if part == len(here):
            here.append(value)
        else:
            here[part] = value
    elif isinstance(part, str) and isinstance(here, dict):
        here[part] = value
    else:
        raise _refused(file, location, "there is no such place in the file: uncnn-daemon config show lists the values")


def _written(value: Any) -> Any:
    """Return a plain value as it is to be written: text that YAML takes for something else is quoted."""
    if isinstance(value, str):
        return value if yaml.safe_load(value) == value and value == value.strip() else DoubleQuotedScalarString(value)
    if isinstance(value, list | tuple):
        line = CommentedSeq(map(_written, value))
        line.fa.set_flow_style()
        return line
    if isinstance(value, dict):
        return {key: _written(each) for key, each in value.items()}
    return value


def _check_said(file: Path, document: Document, edit: Edit) -> None:
    """Raise ConfigError where the written file does not say what it was edited to say."""
    here = document.value
    for part in edit.location:
        if not _has(here, part):
            here = REMOVED
            break
        here = here[part]
    wanted = list(edit.value) if isinstance(edit.value, tuple) else edit.value
    if edit.value is not REMOVED and here != wanted:
        raise _refused(file, edit.location, f"{edit.value!r} cannot be written there: edit the file by hand")


@contextmanager
def _reported(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(file, (), f"cannot be changed: {system_words(error)[1]}") from error


def _refused(file: Path, location: Location, words: str) -> ConfigError:
    return ConfigError((Problem(file, 0, spelled(location) if location else "", printable(words)),))

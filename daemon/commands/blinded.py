"""What `uncnn-daemon compare --blind` does: faces of photos and copies cut out, a test for people written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.scan import Found, ScanError, candidates
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.pictures.blinded import LEAST_PX, PICTURES, BlindedFace, page
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.measuring import read_squares
from uncnn.daemon.protect.messages import SQUARES, CutFaces
from uncnn.daemon.protect.wire import RequestError, Stage
from uncnn.daemon.settings import Settings, SettingsError, taken, work
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

Value = TypeVar("Value")

MOST_FACES: Final = 16
"""Faces of a page: four questions each, about ten minutes in all."""

MOST_PHOTOS: Final = 64


@dataclass(frozen=True, slots=True)
class Versions:
    """A photo and its copy."""

    original: Path
    copy: Path


def blind_test(settings: Settings, original: Path, copy: Path, output: Path, as_json: bool) -> int:
    """Write the page of a photo and its copy, or of two folders of them, say what it holds, and return the exit status.

    Raises:
        SettingsError: `output` is no HTML file or one of the photos, there are no pairs, or no face differs.
        PublishError: a file or folder cannot be read or written. RequestError: of two files one is no photo, or they
        have different sizes.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"--output {printable(output)}: name a file that ends in .html")
    pairs, left_out = _pairs(original, copy)
    if any(output.exists() and output.samefile(file) for pair in pairs for file in (pair.original, pair.copy)):
        raise SettingsError(f"--output {printable(output)} is one of the photos: name another file")
    faces: list[BlindedFace] = []
    alike = 0
    with (
        progress_bar(len(pairs), as_json, logged=True) as bar,
        work(settings.models, settings.device) as (engine, spool),
    ):
        for number, pair in enumerate(pairs):
            bar.begin(printable(pair.copy))
            bar.report(Stage("looking for faces"))
            own = spool / str(number)
            own.mkdir()
            try:
                found, unused = _faces(engine, pair, own)
            except (RequestError, PublishError) as error:
                if len(pairs) == 1:
                    raise
                left_out.append(f"{printable(pair.copy)}: {error}")
                continue
            faces += found
            alike += unused
    if not faces:
        raise SettingsError(
            f"no face differs between {printable(original)} and {printable(copy)}: give photos and their cloaked copies"
        )
    chosen = _spread(sorted(faces, key=lambda face: face.size_px), MOST_FACES)
    try:
        output.write_text(page(chosen), encoding="utf-8")
    except OSError as error:
        raise PublishError.of(error, output, "written") from error
    _say(output, chosen, len(faces) - len(chosen), alike, left_out, as_json)
    return OK


def _faces(engine: EitherEngine, pair: Versions, spool: Path) -> tuple[list[BlindedFace], int]:
    """Return the faces of a photo that its copy changes, and how many it does not.

    Raises RequestError, PublishError.
    """
    first, second = (Content(taken(file, spool).path) for file in (pair.original, pair.copy))
    asked = CutFaces(first, printable(pair.original.name), second, printable(pair.copy.name))
    answered = engine.judge(asked)
    squares = read_squares(second.check_beside(SQUARES, answered.squares))
    if len(squares) != PICTURES * len(answered.sizes_px):
        raise UncnnError("a process answered with other pictures than it says: not used")
    parts = (tuple(squares[at : at + PICTURES]) for at in range(0, len(squares), PICTURES))
    return [BlindedFace(*each) for each in zip(answered.sizes_px, parts, strict=True)], answered.left_out


def _pairs(original: Path, copy: Path) -> tuple[list[Versions], list[str]]:
    """Return the photos with their copies, and which copies have none. Raises SettingsError, PublishError."""
    if original.is_dir() != copy.is_dir():
        raise SettingsError(f"{printable(original)} and {printable(copy)}: give two photos, or two folders of them")
    if not original.is_dir():
        return [Versions(original, copy)], []
    photos: dict[str, list[Path]] = {}
    for found in (each for each in _photos(original) if each.refused is None):
        photos.setdefault(_stem(found), []).append(original / found.relative)
    pairs, left_out = [], []
    for found in _photos(copy):
        file, own = copy / found.relative, photos.get(_stem(found), [])
        same = [each for each in own if each.name == file.name] or own
        if found.refused is not None:
            left_out.append(f"{printable(file)}: {found.refused}")
        elif len(same) == 1:
            pairs.append(Versions(same[0], file))
        else:
            words = "no original has its name" if not own else "several originals have its name"
            left_out.append(f"{printable(file)}: {words}")
    if not pairs:
        raise SettingsError(
            f"no copy in {printable(copy)} has the name of a photo in {printable(original)}: give the folder of the "
            "originals, then that of their copies"
        )
    chosen = _spread(pairs, MOST_PHOTOS)
    if len(chosen) < len(pairs):
        left_out.append(f"{len(pairs) - len(chosen)} of {len(pairs)} photos, so that it takes no longer")
    return chosen, left_out


def _photos(folder: Path) -> list[Found]:
    """Return the photos in a folder and below it. Raises PublishError."""
    try:
        return list(candidates(folder, videos=False))
    except ScanError as error:
        raise PublishError("permission", str(error)) from error


def _stem(found: Found) -> str:
    """Return the path of a photo in its folder without its ending."""
    return os.fspath(found.relative.with_suffix(""))


def _spread(values: Sequence[Value], most: int) -> list[Value]:
    """Return so many of the values at most, evenly placed."""
    if len(values) <= most:
        return list(values)
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, most)]


def _say(
    output: Path, faces: Sequence[BlindedFace], too_many: int, alike: int, left_out: Sequence[str], as_json: bool
) -> None:
    sizes = [round(face.size_px) for face in faces]
    if as_json:
        counts = {"faces": len(faces), "sizes_px": sizes, "faces_left_out": too_many, "alike_or_small": alike}
        print_json({"written": str(output), **counts, "left_out": list(left_out)})
        return
    lines = [f"left out: {each}" for each in left_out]
    words = f"{len(faces)} faces of {sizes[0]} to {sizes[-1]} px" if len(faces) > 1 else f"1 face of {sizes[0]} px"
    more = f", spread by size over {len(faces) + too_many}" if too_many else ""
    lines.append(f"written: {printable(output)} ({words}{more}; {4 * len(faces)} questions)")
    if alike:
        lines.append(f"{alike} more are the same in both versions, or smaller than {LEAST_PX:.0f} px")
    lines.append("Open it in a browser, or give it to somebody: it shows these faces, and sends nothing.")
    sys.stdout.write("\n".join(lines) + "\n")

"""A recogniser's folder in its place: whole or not at all, whatever is killed and whoever else is at work."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from uncnn.plugins.recognisers.cards import Card, CardError, check_model, read_card

ABANDONED_SECONDS = 3600  # a build takes seconds, so an older one was killed


def sound_card(folder: Path, made_of: str | None = None) -> Card | None:
    """Return the card in `folder` where its files have the hashes that it states.

    With `made_of`, only where the upstream file that it was made of has that SHA-256.
    """
    try:
        card = read_card(folder)
        check_model(folder, card)
    except CardError:
        return None
    fits = made_of is None or (card.source is not None and card.source.sha256 == made_of)
    return card if fits else None


@contextmanager
def private_folder(destination: Path, name: str) -> Iterator[Path]:
    """Give an empty hidden folder inside `destination`, so that a rename out of it is atomic; clear it away after.

    What a killed build of `name` left is cleared away too.

    Raises:
        OSError: `destination` cannot be written or is full.
    """
    destination.mkdir(parents=True, exist_ok=True)
    for abandoned in destination.glob(f".{name}-*"):
        with suppress(FileNotFoundError):
            if time.time() - abandoned.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(abandoned, ignore_errors=True)
    folder = destination / f".{name}-{uuid4().hex}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(built: Path, folder: Path) -> None:
    """Rename `built`, which lies in a private folder, to `folder`.

    An equal folder stays: another process was faster. Another one moves into the private folder, to be
    cleared away with it.

    Raises:
        OSError: the rename is not possible.
    """
    card = read_card(built)
    while True:
        try:
            built.rename(folder)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        else:
            return
        present = sound_card(folder)
        if present and present.model_copy(update={"parity": card.parity}) == card:
            return
        with suppress(FileNotFoundError):  # another process moved it first
            folder.rename(built.with_name(uuid4().hex))

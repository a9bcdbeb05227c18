"""The faces of a photo with their pixels moved and nothing else changed: what the looks of a copy are compared with.

The worker packs them, the verifier reads them. Neither metric is made for other proportions, so that a
large face that was moved by a hundredth of its size would come out as ruined.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncnn.daemon.protect.content import Content
from uncnn.daemon.verify.visibility import face_square
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.recognisers.checkpoints import refuse_compression
from uncnn.plugins.recognisers.reading import read_file

LARGEST = 2**30
"""Bytes: more than the squares of all faces of the largest photo."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved of each face, in the order in which the worker was given them."""

    squares: Sequence[Pixels | None]  # None: it was not moved, or is too small to be compared
    shares: Sequence[float]  # how far a pixel went at most, as a share of the distance between the eyes

    def square(self, number: int, original: Pixels) -> Pixels:
        """Return what a face's square is to be compared with: `original`, (H, W, 3), where it was not moved."""
        square = self.squares[number] if number < len(self.squares) else None
        return original if square is None or square.shape != original.shape else square

    def share(self, number: int) -> float:
        """Return how far the pixels of a face went."""
        return self.shares[number] if number < len(self.shares) else 0.0


UNMOVED = Moved((), ())


def pack_moved(photo: Pixels, faces: Sequence[Face], shares: Sequence[float]) -> bytes:
    """Return the squares of those `faces` that were moved in `photo`, (H, W, 3), as a file for `read_moved`."""
    arrays = {"shares": np.array(shares)}
    for number, (face, share) in enumerate(zip(faces, shares, strict=True)):
        square = face_square(face, photo.shape)
        if share and square is not None:
            arrays[str(number)] = photo[square]
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type] # mypy takes a name for `allow_pickle`
    return stream.getvalue()


def read_moved(packed: Content | None) -> Moved:
    """Return what the worker packed; None: nothing was moved.

    Raises:
        CheckpointError: it would grow when it is read: no worker of ours wrote it.
        OSError: it cannot be read.
    """
    if packed is None:
        return UNMOVED
    content = packed.read() if packed.file is None else read_file(packed.file, LARGEST)
    refuse_compression(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        shares = stored["shares"].tolist()
        squares = [stored.get(str(number)) for number in range(len(shares))]
    return Moved(squares, shares)

"""Mutated files through decode, encode and decode again, in a process of its own with bounded memory and time."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from mutations import mutated
from originals import originals
from PIL import Image

from uncnn.daemon.photos import PhotoError, decode, encode
from uncnn.daemon.photos.fingerprint import fingerprint
from uncnn.daemon.protect.processes import Child, ProcessDied
from uncnn.daemon.protect.wire import Ask, Handlers, Report, RequestError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MEMORY = 4 << 30
SECONDS = 60.0
FOUND = 60
"""Grey levels by which what was asked for and what is seen may differ in the mean: what came out is that photo."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a file ended in the process, and its memory at most."""

    end: str
    words: str
    megabytes: int


@dataclass(frozen=True, slots=True)
class GoRound(Ask[Ending]):
    """Decode the file of a seed, encode it, decode it again."""

    seed: int


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of one file."""

    seed: int
    kind: str  # of the original
    damage: str
    end: str  # written, the kind of a PhotoError, or what must not be: died, raised
    words: str
    seconds: float
    megabytes: int  # at most, of the process so far

    @property
    def is_bad(self) -> bool:
        """Return whether something happened that must not."""
        return self.end in ("died", "raised")


def photo(with_face: bool = True, side: int = 96) -> Image.Image:
    """Return a small real photo: of ../shared beside the checkout, or the portrait in the wheel of scikit-image."""
    found = _shared("lfw/identities" if with_face else "noface")
    if found is not None:
        return Image.open(found).convert("RGB").resize((side, side))
    import skimage.data

    box = (130, 0, 330, 200) if with_face else (0, 350, 120, 470)
    return Image.fromarray(skimage.data.astronaut()).crop(box).resize((side, side))


@cache
def _shared(folder: str) -> Path | None:
    return min((SHARED / folder).rglob("*.jpg"), default=None)


def trips(seeds: Iterable[int], memory: int = MEMORY, seconds: float = SECONDS) -> Iterator[Trip]:
    """Yield what becomes of the file of each seed; a process that dies is replaced."""
    files = originals(photo(), rare=True)
    child = Child("fuzz", partial(make_handler, memory))
    for seed in seeds:
        case = mutated(files, seed)
        began = time.monotonic()
        try:
            ending = child.call(GoRound(seed), seconds)
        except (ProcessDied, RequestError) as error:
            ending = Ending("died" if isinstance(error, ProcessDied) else "raised", str(error), 0)
        if not child.alive:
            child.close()
            child = Child("fuzz", partial(make_handler, memory))
        yield Trip(seed, case.kind, case.damage, ending.end, ending.words, time.monotonic() - began, ending.megabytes)
    child.close()


def make_handler(memory: int) -> Handlers:
    """Return what takes one seed after another; a process that wants more than `memory` bytes is refused them."""
    files = originals(photo(), rare=True)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    def handle(asked: GoRound, _report: Report) -> Ending:
        end, words = _round(mutated(files, asked.seed).data)
        return Ending(end, words, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

    return {GoRound: handle}


def _round(data: bytes) -> tuple[str, str]:
    """Return how a file ends. Raises what must not be raised."""
    try:
        before = decode(data, "photo")
    except PhotoError as error:
        _check_line(error)
        return error.kind, str(error)
    height, width, channels = before.pixels.shape
    assert (channels, before.pixels.dtype) == (3, np.uint8)
    assert height
    assert width
    assert before.alpha is None or before.alpha.shape == (height, width)
    fingerprint(before)
    wanted = before.pixels.copy()
    face = wanted[height // 4 : height // 4 + 64, width // 4 : width // 4 + 64]
    face[...] = np.minimum(face.astype(int) + 30, 255)
    try:
        released = encode(before, wanted)
    except PhotoError as error:
        _check_line(error)
        if error.kind != "unwritable":
            raise
        return error.kind, str(error)
    if before.format in {"WEBP", "HEIF", "AVIF"}:
        copied = decode(encode(before, before.pixels).data, "copied photo", written_here=True).pixels
        assert np.abs(copied.astype(np.int16) - before.pixels).mean() < FOUND, "not the same picture"
    after = decode(released.data, "published photo", written_here=True).pixels
    assert after.shape == wanted.shape
    far = float(np.abs(after.astype(np.int16) - wanted).mean())
    assert far < FOUND, f"{far:.0f} grey levels from what was wanted"
    return "written", f"{far:.1f} grey levels from what was wanted"


def _check_line(error: PhotoError) -> None:
    assert "\n" not in str(error), error
    assert len(str(error)) < 400, error


def table(found: Iterable[tuple[str, str]]) -> str:
    """Return how often each pair of a row and a column was met."""
    counts = Counter(found)
    rows, columns = (sorted({pair[way] for pair in counts}) for way in (0, 1))
    lines = ["".join([f"{'':12}", *(f"{column:>14}" for column in columns)])]
    for row in rows:
        lines.append("".join([f"{row:12}", *(f"{counts[row, column] or '':>14}" for column in columns)]))
    return "\n".join(lines)

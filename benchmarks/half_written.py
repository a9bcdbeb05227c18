"""Files that are still being written: are they told from whole ones, in every format? A table of docs/photos.md.

    python benchmarks/half_written.py            every sample photo as it is, and 24 of them in every kind (20 minutes)
    python benchmarks/half_written.py --smoke    few photos and kinds: only shows that it runs

Each file is given its whole size, and of its bytes the first 10 to 95 %: the rest are zeros. Or it lacks one part of
four in its middle, as of a download in several parts; or it ends there. What is then taken as a photo is counted, and
what is refused of the whole files: both should be none. No face is looked for, and nothing is changed.

Needs photos (--data, else ../shared/data beside the checkout). Says so and ends with 0 where there are none.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import common
from formats import KINDS, LONGER_SIDE, Convert, _as, _palette
from PIL import Image

from uncnn.daemon.photos import PhotoError, decode

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MORE_KINDS: dict[str, Convert] = {
    "TIFF as it is": _as("TIFF"),
    "TIFF Deflate": _as("TIFF", compression="tiff_adobe_deflate"),
    "TIFF PackBits": _as("TIFF", compression="packbits"),
    "TIFF JPEG": _as("TIFF", compression="jpeg", quality=85),
    "TIFF grey": _as("TIFF", "L", compression="tiff_lzw"),
    "BMP palette": _palette("BMP"),
    "BMP grey": _as("BMP", "L"),
    "JPEG optimised": _as("JPEG", quality=85, optimize=True),
}


def main() -> None:
    """Print one line for the photos as they are, and one for each kind."""
    options = common.options_of(__doc__).parse_args()
    if common.is_missing(options.data):
        return
    paths = sorted(options.data.rglob("*.jpg"))
    chosen = [path for path in paths if path.parts[-2] == "groups" or "people" in path.parts]
    if options.smoke:
        paths, chosen = chosen[::20], chosen[::40]
    else:
        chosen = chosen[::3][:24]
    print("| kind | whole files | refused | with zeros at the end | taken | with a hole | taken | cut | taken |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(_line("as they are", (path.read_bytes() for path in paths)), flush=True)
    kinds = KINDS | MORE_KINDS
    for kind, convert in kinds.items() if not options.smoke else list(kinds.items())[::6]:
        print(_line(kind, (convert(_small(path)) for path in chosen)), flush=True)


def _small(path: Path) -> Image.Image:
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((LONGER_SIDE, LONGER_SIDE))
    return small


def _line(kind: str, files: Iterable[bytes]) -> str:
    """Return the numbers of files of one kind: of each sort how many there were, and how many came out wrong."""
    chance = random.Random(0)
    counts = {sort: [0, 0] for sort in ("whole", "zeros", "hole", "cut")}
    for data in files:
        for sort, wanted, content in _cases(data, chance):
            counts[sort][0] += 1
            counts[sort][1] += _is_taken(content) != wanted
    return f"| {kind} | " + " | ".join(f"{all_of} | {wrong}" for all_of, wrong in counts.values()) + " |"


def _cases(data: bytes, chance: random.Random) -> Iterator[tuple[str, bool, bytes]]:
    """Yield each sort of file, whether it is to be taken, and its bytes."""
    yield "whole", True, data
    for share in SHARES:
        size = int(len(data) * (share - 0.02 * chance.random()))
        yield "zeros", False, data[:size] + bytes(max(len(data) - size, 0))
        if share in (0.1, 0.5, 0.9):
            yield "cut", False, data[:size]
        if share in (0.3, 0.6):
            until = size + len(data) // 4
            yield "hole", False, data[:size] + bytes(until - size) + data[until:]


def _is_taken(content: bytes) -> bool:
    try:
        decode(content, "photo")
    except PhotoError:
        return False
    return True


if __name__ == "__main__":
    main()

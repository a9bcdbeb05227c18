"""Seeded damage: what disks, networks, broken programs and people who mean harm do to a photo file."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lying import bomb, mended, resized
from tiff_pages import entries

HEADER = 700
"""So many bytes at the start hold most headers and tables, where damage hurts most."""

NUMBERS = (0, 1, 2, 255, 256, 32767, 32768, 65535, 60_000, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
SIDES = (0, 1, 2, 7, 129, 500, 1200, 16_383, 60_000, 65_535, 1 << 20, (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Case:
    """One mutated file."""

    kind: str  # of the original; its first word is the format
    damage: str
    data: bytes

    @property
    def photo_format(self) -> str:
        """Return the format of the original."""
        return self.kind.split()[0]


def mutated(files: Mapping[str, bytes], seed: int) -> Case:
    """Return one of `files` with a damage; the seed alone decides."""
    rng = random.Random(seed)
    kind = rng.choice(list(files))
    damage = rng.choice(list(DAMAGES))
    data = DAMAGES[damage](rng, files[kind], kind.split()[0], files)
    if rng.random() < 0.2:  # one rarely comes alone
        data = DAMAGES["bits"](rng, data, kind.split()[0], files)
    if rng.random() < 0.6:
        data = mended(data)
    return Case(kind, damage, data)


Damage = Callable[[random.Random, bytes, str, Mapping[str, bytes]], bytes]


def _place(rng: random.Random, data: bytes) -> int:
    most = len(data) if rng.random() < 0.4 else min(len(data), HEADER)
    return rng.randrange(max(most, 1))


def _bits(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64)) if changed else 0):
        changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _bytes(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if changed else 0):
        changed[_place(rng, data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def _numbers(rng: random.Random, data: bytes, photo_format: str, _files: Mapping[str, bytes]) -> bytes:
    """Overwrite lengths, counts and offsets: in a TIFF whole entries, elsewhere any place of a header."""
    changed = bytearray(data)
    places = [at for at, _, _ in entries(data)] if photo_format == "TIFF" and rng.random() < 0.7 else []
    for _ in range(rng.choice((1, 1, 2, 3))):
        number, size = rng.choice(NUMBERS), rng.choice((2, 4, 4))
        at = rng.choice(places) + rng.choice((2, 4, 8)) if places else _place(rng, data)
        order = rng.choice("<>")
        packed = struct.pack(f"{order}I", number) if size == 4 else struct.pack(f"{order}H", number & 0xFFFF)
        changed[at : at + size] = packed
    return bytes(changed)


def _cut(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    return data[: _place(rng, data)]


def _inserted(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    at, size = _place(rng, data), rng.choice((1, 2, 4, 100, 5000))
    return data[:at] + (bytes(size) if rng.random() < 0.3 else rng.randbytes(size)) + data[at:]


def _deleted(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 4, 50, 1000)) :]


def _swapped(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    one, other = sorted((_place(rng, data), _place(rng, data)))
    size = rng.choice((2, 4, 12, 100, 512))
    return data[:one] + data[other : other + size] + data[one + size : other] + data[one : one + size] + data[other:]


def _repeated(rng: random.Random, data: bytes, _format: str, _files: Mapping[str, bytes]) -> bytes:
    at, size = _place(rng, data), rng.choice((2, 4, 12, 25, 100, 600))
    return data[:at] + data[at : at + size] * rng.choice((2, 10, 500)) + data[at:]


def _spliced(rng: random.Random, data: bytes, _format: str, files: Mapping[str, bytes]) -> bytes:
    other = files[rng.choice(list(files))]
    return other[: _place(rng, other)] + data[_place(rng, data) :]


def _sized(rng: random.Random, data: bytes, photo_format: str, _files: Mapping[str, bytes]) -> bytes:
    return resized(data, photo_format, rng.choice(SIDES), rng.choice(SIDES))


def _bombed(rng: random.Random, data: bytes, photo_format: str, _files: Mapping[str, bytes]) -> bytes:
    return bomb(data, photo_format, rng.randrange(1 << 16))


DAMAGES: dict[str, Damage] = {
    "bits": _bits,
    "bytes": _bytes,
    "numbers": _numbers,
    "cut": _cut,
    "inserted": _inserted,
    "deleted": _deleted,
    "swapped": _swapped,
    "repeated": _repeated,
    "spliced": _spliced,
    "size": _sized,
    "bomb": _bombed,
}

"""The chunks of a WebP: RFC 9649, 2.3 and 2.7."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

_HEAD = 12


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each chunk, the last as far as it goes."""
    start = _HEAD
    while start + 8 <= len(data):
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        yield name, data[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


def with_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a WebP of these chunks; those without a content are left out."""
    return _chunk(b"RIFF", b"WEBP" + b"".join(_chunk(name, content) for name, content in chunks if content))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def is_lossless(data: bytes) -> bool:
    """Return whether the picture of a WebP file is a VP8L chunk."""
    return next((name == b"VP8L" for name, _ in chunks_of(data) if name in (b"VP8L", b"VP8 ")), False)

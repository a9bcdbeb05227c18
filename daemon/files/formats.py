"""The formats of photos: one line each. How a format is read and written is in `photos/formats/`, a module of its name.

Nothing is imported here that takes time: the configuration goes by these names, and the scan by these bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

_BMP_HEADERS: Final = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"mif1"}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format as its files are called and begin."""

    name: str  # Pillow's; in small letters the policy's, and that of the module
    endings: str  # of the names of its files, without the dot; a released file gets the first
    begins: Callable[[bytes], bool]  # whether a file of these first bytes is one; 256 of them suffice
    offered: bool = True  # a policy may ask for it

    @property
    def key(self) -> str:
        """Return its name in a policy."""
        return self.name.lower()

    @property
    def suffix(self) -> str:
        """Return what the name of a released file ends in."""
        return f".{self.endings.split()[0]}"


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magic)


def brand(data: bytes) -> bytes:
    """Return the major brand of an ISO base media file (ISO/IEC 14496-12, 4.3), empty where it is none."""
    return data[8:12] if data[4:8] == b"ftyp" else b""


def _is_avif(data: bytes) -> bool:
    size = min(int.from_bytes(data[:4], "big"), 256)
    compatible = {data[start : start + 4] for start in range(16, size, 4)}
    return brand(data) == b"avif" or (brand(data) == b"mif1" and b"avif" in compatible)


FORMATS: Final = (
    FileFormat("JPEG", "jpg jpeg jpe jfif", _starts(b"\xff\xd8\xff")),
    FileFormat("PNG", "png apng", _starts(b"\x89PNG\r\n\x1a\n")),
    FileFormat("WEBP", "webp", lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP"),
    FileFormat("TIFF", "tif tiff", _starts(b"II*\0", b"MM\0*")),
    FileFormat("HEIF", "heic heif heics heifs hif", lambda data: brand(data) in _HEIF_BRANDS and not _is_avif(data)),
    FileFormat("AVIF", "avif avifs", _is_avif),
    FileFormat("BMP", "bmp dib", lambda data: data[:2] == b"BM" and data[14:18] in _BMP_HEADERS, offered=False),
    FileFormat("GIF", "gif", _starts(b"GIF87a", b"GIF89a"), offered=False),
)
"""Read and written back; files of other formats are refused with a reason."""

OFFERED: Final = {each.key: each for each in FORMATS if each.offered}

if TYPE_CHECKING:
    Format: TypeAlias = str
    WrittenAs: TypeAlias = str
    OutputFormat: TypeAlias = str
else:  # names that pydantic checks
    Format = Literal[*(each.name for each in FORMATS)]
    WrittenAs = Literal["same", *(each.name for each in FORMATS if each.offered)]
    OutputFormat = Literal["same", *OFFERED]

"""Secrets put into files byte by byte, where no tool writes them: every place of a format that a reader passes over.

Each function takes a file and returns it with its secrets: `{where: the bytes that must not come out}`.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import photo_samples as samples
from secret_marks import mark

Secrets = dict[str, bytes]
Planted = tuple[bytes, Secrets]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The uncloaked face, as files and samples that hide in others."""

    jpeg: bytes
    png: bytes
    raw: bytes  # RGB, `side` pixels a side
    side: int

    def middle(self, content: bytes) -> bytes:
        """Return bytes of a picture by which it is known."""
        return content[len(content) // 2 :][:24]


def named(*names: str) -> Secrets:
    return {name: mark(name).encode() for name in names}


def video() -> bytes:
    """Return the boxes of a film that says where and by whom it was taken."""
    place = box(b"udta", box(b"\xa9xyz", mark("appended film").encode()))
    return box(b"ftyp", b"mp42\0\0\0\0isom") + box(b"moov", place) + box(b"mdat", mark("appended film").encode())


def archive() -> bytes:
    """Return a ZIP with a note in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("note.txt", mark("appended archive"))
    return buffer.getvalue()


def in_profile() -> Planted:
    """Return an ICC profile of Display P3 with a secret wherever one has room."""
    plain = samples.display_p3()
    count = struct.unpack_from(">I", plain, 128)[0]
    entries = [struct.unpack_from(">4sII", plain, 132 + 12 * entry) for entry in range(count)]
    own = {name: plain[start : start + size] for name, start, size in entries}
    names = ("ICC desc", "ICC cprt", "ICC dmnd", "ICC meta", "ICC private tag", "ICC behind a curve", "ICC hash")
    secrets = named(*names, "ICC behind a primary")
    for name, tag in zip(names, (b"desc", b"cprt", b"dmnd", b"meta", b"MSCA"), strict=False):
        own[tag] = b"text\0\0\0\0" + secrets[name] + b"\0"
    own[b"rTRC"] += secrets["ICC behind a curve"]
    own[b"rXYZ"] += secrets["ICC behind a primary"]
    own[b"gXYZ"] = own[b"gXYZ"][:4] + b"rEsV" + own[b"gXYZ"][8:]
    header = bytearray(plain[:128])
    header[48:56], header[56:64], header[80:84] = b"MoDeL-77", b"AtTrIbUt", b"CrEa"
    header[84:98], header[100:128] = secrets["ICC hash"], b"ReSeRvEd-of-the-header-ICC !"
    secrets |= {"ICC device": b"MoDeL-77", "ICC attributes": b"AtTrIbUt", "ICC reserved in a tag": b"rEsV"}
    return samples.profile_with(own.items(), bytes(header)), secrets | {"ICC reserved": bytes(header[100:128])}


def in_jpeg(data: bytes, pictures: Pictures) -> Planted:
    """Plant in segments, in tables that nothing uses, between segments and behind the picture."""
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8)
    segments = {
        "JPEG APP0 JFXX": (0xE0, b"JFXX\0\x10" + pictures.jpeg),
        "JPEG APP0 JFXX samples": (0xE0, b"JFXX\0\x13" + bytes((pictures.side,) * 2) + pictures.raw),
        "JPEG APP1 extended XMP": (0xE1, extended),
        "JPEG APP2 FPXR": (0xE2, b"FPXR\0\0"),
        "JPEG APP2 MPF": (0xE2, b"MPF\0"),
        "JPEG APP3 Meta": (0xE3, b"Meta\0\0"),
        "JPEG APP4": (0xE4, b""),
        "JPEG APP5 Ricoh": (0xE5, b"RMETA\0"),
        "JPEG APP6 GoPro": (0xE6, b"GoPro\0"),
        "JPEG APP7 Huawei": (0xE7, b"HUAWEI\0"),
        "JPEG APP8 SPIFF": (0xE8, b"SPIFF\0"),
        "JPEG APP9": (0xE9, b"Media Jukebox\0"),
        "JPEG APP10 comment": (0xEA, b"UNICODE\0"),
        "JPEG APP11 content credentials": (0xEB, b"JP\0\1\0\0\0\1"),
        "JPEG APP12 picture info": (0xEC, b"[picture info]"),
        "JPEG APP14 long": (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
        "JPEG APP15": (0xEF, b"Q 92"),
        "JPEG comment in the middle": (0xFE, b""),
        "JPEG quantisation that nothing uses": (0xDB, b"\3" + b"\x11" * 50),
        "JPEG codes that nothing uses": (0xC4, b"\x13" + bytes((0, 0, 0, 14, *[0] * 12))),
    }
    secrets = named(*segments, "JPEG after its end", "JPEG Samsung trailer", "appended film", "appended archive")
    parts = [samples.segment(marker, start + secrets[name]) for name, (marker, start) in segments.items()]
    tail = secrets["JPEG after its end"] + pictures.jpeg + video() + archive()
    tail += b"\0\0\x01\x0aEmbeddedVideoFile" + secrets["JPEG Samsung trailer"] + b"SEFH" + bytes(12) + b"SEFT"
    secrets |= {"JPEG second picture": pictures.middle(pictures.jpeg), "JPEG samples": pictures.middle(pictures.raw)}
    frame = next(at for at in _segments(data) if 0xC0 <= data[at + 1] <= 0xC2)
    return data[:frame] + b"".join(parts) + data[frame:] + tail, secrets


def _segments(data: bytes) -> Iterable[int]:
    start = 2
    while data[start + 1] != 0xDA:
        yield start
        start += 2 + struct.unpack_from(">H", data, start + 2)[0]


def in_png(data: bytes, pictures: Pictures) -> Planted:
    """Plant in chunks before, among and behind the pixels."""
    names = ("PNG tEXt", "PNG zTXt", "PNG iTXt", "PNG raw profile", "PNG private chunk", "PNG sPLT", "PNG caBX")
    secrets = named(*names, "PNG chunk behind the pixels", "PNG in the pixels' stream", "PNG after its end")
    secrets |= {
        "PNG eXIf behind the pixels": mark("late", 14).encode(),
        "appended archive": mark("appended archive").encode(),
    }
    text, packed, international, profile, private, suggested, credentials = (secrets[name] for name in names)
    before = (
        (b"tEXt", b"Comment\0" + text),
        (b"zTXt", b"Diary\0\0" + zlib.compress(packed)),
        (b"iTXt", b"Note\0\1\0de\0Notiz\0" + zlib.compress(international)),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 14\n" + profile.hex().encode())),
        (b"prVt", private),
        (b"sPLT", suggested + b"\0\x08"),
        (b"caBX", credentials),
        (b"fACe", pictures.png),
    )
    behind = (
        (b"IDAT", secrets["PNG in the pixels' stream"]),
        (b"tEXt", b"Comment\0" + secrets["PNG chunk behind the pixels"]),
        (b"zTXt", b"Exif\0\0" + zlib.compress(secrets["PNG eXIf behind the pixels"])),
    )
    first, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    parts = (data[:first], chunks(before), data[first:end], chunks(behind), data[end:])
    tail = secrets["PNG after its end"] + pictures.png + archive()
    return b"".join(parts) + tail, secrets | {"PNG second picture": pictures.middle(pictures.png)}


def chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def with_png_colours(data: bytes) -> Planted:
    """Plant in the primaries of a PNG that has no profile."""
    secrets = {"PNG primaries": b"PrImArIeS-that-are-32-bytes-long"}
    plain = _without_chunks(data, (b"iCCP", b"sRGB"))
    return plain[:33] + chunks([(b"gAMA", b"\0\0\xb1\x8f"), (b"cHRM", secrets["PNG primaries"])]) + plain[33:], secrets


def _without_chunks(data: bytes, names: tuple[bytes, ...]) -> bytes:
    start, kept = 8, [data[:8]]
    while start < len(data):
        size = 12 + struct.unpack_from(">I", data, start)[0]
        if data[start + 4 : start + 8] not in names:
            kept.append(data[start : start + size])
        start += size
    return b"".join(kept)


def in_webp(data: bytes, pictures: Pictures) -> Planted:
    """Plant in chunks that the format does not know, and behind its end."""
    secrets = named("WebP unknown chunk", "WebP second unknown chunk", "WebP after its end", "appended film")
    chunks = (
        (b"DiAr", secrets["WebP unknown chunk"]),
        (b"JPEG", pictures.jpeg),
        (b"xxxx", secrets["WebP second unknown chunk"]),
    )
    body = b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for name, content in chunks
    )
    whole = data[:4] + struct.pack("<I", len(data) - 8 + len(body)) + data[8:] + body
    secrets |= {"WebP second picture": pictures.middle(pictures.jpeg)}
    return whole + secrets["WebP after its end"] + video(), secrets


def in_gif(data: bytes, pictures: Pictures) -> Planted:
    """Plant in extensions, and behind the end."""
    names = ("GIF comment", "GIF application", "GIF plain text", "GIF application's name", "GIF after its end")
    secrets = named(*names)
    comment, application, text, name, end = (secrets[each] for each in names)
    blocks = b"!\xfe" + _blocks(comment) + b"!\xff\x0bDIARIES 1.0" + _blocks(application)
    blocks += b"!\xff\x0b" + name[:11] + _blocks(pictures.jpeg)
    secrets["GIF application's name"] = name[:11]
    head = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    plain_text = b"!\x01\x0c" + bytes(12) + _blocks(text)
    tail = plain_text + data[-1:] + end + pictures.jpeg
    return data[:head] + blocks + data[head:-1] + tail, secrets | {"GIF second picture": pictures.middle(pictures.jpeg)}


def _blocks(content: bytes) -> bytes:
    parts = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def in_bmp(data: bytes, pictures: Pictures) -> Planted:
    """Plant in the gap before the pixels, in reserved fields, and behind the end."""
    secrets = named("BMP gap", "BMP after its end") | {"BMP reserved": b"rSvD"}
    (start,) = struct.unpack_from("<I", data, 10)
    gap = secrets["BMP gap"] + pictures.jpeg
    head = data[:2] + struct.pack("<I4sI", len(data) + len(gap), b"rSvD", start + len(gap)) + data[14:start]
    whole = head + gap + data[start:] + secrets["BMP after its end"] + pictures.png
    return whole, secrets | {"BMP second picture": pictures.middle(pictures.jpeg)}


def in_boxes(data: bytes, pictures: Pictures) -> Planted:
    """Plant in boxes that readers pass over, behind those of a HEIF or AVIF."""
    kinds = ("free", "skip", "uuid", "mpvd", "mdat", "udta", "sefd", "jumb")
    secrets = named(*(f"box {kind}" for kind in kinds), "appended film")
    body = b"".join(box(kind.encode(), bytes(16) + secrets[f"box {kind}"]) for kind in kinds)
    whole = data + body + box(b"mpvd", video()) + box(b"free", pictures.jpeg)
    return whole, secrets | {"box second picture": pictures.middle(pictures.jpeg)}


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content

"""Real photos with secrets in every place that a format has, planted by exiftool and byte by byte."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import photo_samples as samples
import secret_bytes
import secret_marks
import secret_structures
import tifffile
from PIL import Image
from secret_bytes import Pictures, Secrets
from secret_marks import mark

SUFFIXES: Final = {"JPEG": "jpg", "WEBP": "webp", "TIFF": "tif", "HEIF": "heic"}
_EXIF: Final = ("exif", "xmp", "numbers", "allowed", "EXIF thumbnail")
TAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "JPEG": (*_EXIF, "iptc", "photoshop", "Photoshop thumbnail", "jpeg"),
    "PNG": (*_EXIF, "iptc", "png"),
    "WEBP": _EXIF,
    "TIFF": (*_EXIF[:4], "iptc"),
    "HEIF": _EXIF,
    "AVIF": _EXIF,
    "GIF": ("xmp", "gif"),
    "BMP": (),
}
"""What exiftool writes into each format; it reads BMP alone."""

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "exif": secret_marks.TEXTS,
    "iptc": secret_marks.IPTC,
    "photoshop": secret_marks.PHOTOSHOP,
    "jpeg": secret_marks.JPEG_TEXT,
    "png": secret_marks.PNG_TEXT,
    "gif": secret_marks.GIF_TEXT,
}
_NUMBERS: Final[Mapping[str, tuple[str, bytes]]] = {
    "EXIF:GPSLatitude": ("52 31 58.7654321", struct.pack(">6I", 52, 1, 31, 1, 4760, 81)),
    "EXIF:GPSLongitude": ("13 24 58.7654321", struct.pack(">6I", 13, 1, 24, 1, 4760, 81)),
    "EXIF:OffsetTimeOriginal": ("+05:45", b"+05:45"),  # a time zone is a place
    "EXIF:SubSecTimeOriginal": ("8364751", b"8364751"),
}
"""What is no text, as exiftool is told it, and as it stands in a file."""

Plant = Callable[[bytes, Pictures], secret_bytes.Planted]
_BY_BYTES: Final[Mapping[str, Plant]] = {
    "JPEG": secret_bytes.in_jpeg,
    "PNG": secret_bytes.in_png,
    "WEBP": secret_bytes.in_webp,
    "TIFF": secret_structures.in_tiff,
    "HEIF": secret_bytes.in_boxes,
    "AVIF": secret_bytes.in_boxes,
    "GIF": secret_bytes.in_gif,
    "BMP": secret_bytes.in_bmp,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A photo, and what is planted in it: `{where: the bytes that must not come out}`."""

    photo_format: str
    data: bytes
    secrets: Secrets = field(default_factory=dict)
    tagged: bool = True  # by exiftool as well

    @property
    def suffix(self) -> str:
        return SUFFIXES.get(self.photo_format, self.photo_format.lower())


def exiftool(folder: Path, *commands: list[str]) -> str:
    """Return what exiftool prints after all of its commands, run in one process."""
    lines = "\n-execute\n".join("\n".join(command) for command in commands)
    (folder / "commands.args").write_text(lines, encoding="utf-8")
    return subprocess.run(
        ["exiftool", "-@", folder / "commands.args"], check=False, capture_output=True, text=True
    ).stdout


def readings(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Return what exiftool reads of every file in a folder, by the file's name."""
    told = exiftool(folder, ["-j", "-G1", "-a", "-u", "-ee", *options, "-ext", "*", str(folder)])
    return {Path(one["SourceFile"]).name: one for one in json.loads(told)} if told else {}


def planted(photo: Image.Image, face: Image.Image, folder: Path) -> dict[str, Source]:
    """Return the photo in every format with every secret; `face` is the part of it that is not to come out."""
    side = 64
    small = face.resize((side, side))
    pictures = Pictures(samples.saved(small, "JPEG"), samples.saved(small, "PNG"), small.tobytes(), side)
    sources = _plain(photo, face)
    tags, secrets = _tagging(folder, pictures)
    paths = {name: folder / f"{name}.{source.suffix}" for name, source in sources.items()}
    for name, source in sources.items():
        paths[name].write_bytes(source.data)
    exiftool(
        folder,
        *(
            ["-m", "-q", "-overwrite_original", *_chosen(tags, one), str(paths[name])]
            for name, one in sources.items()
            if one.tagged and TAGS[one.photo_format]
        ),
    )
    done = {}
    for name, source in sources.items():
        data, more = _BY_BYTES[source.photo_format](paths[name].read_bytes(), pictures)
        kinds = TAGS[source.photo_format] if source.tagged else ()
        own = {where: secret for kind in kinds for where, secret in secrets[kind].items()}
        done[name] = Source(source.photo_format, data, source.secrets | own | more, source.tagged)
    return done


def _chosen(tags: Mapping[str, list[str]], source: Source) -> list[str]:
    return [line for kind in TAGS[source.photo_format] for line in tags[kind]]


def _tagging(folder: Path, pictures: Pictures) -> tuple[dict[str, list[str]], dict[str, Secrets]]:
    """Return exiftool's arguments for each kind of tags, and the secrets in them."""
    tags = {kind: [f"-{name}={mark(name)}" for name in names] for kind, names in _TEXTS.items()}
    secrets = {kind: {name: mark(name).encode() for name in names} for kind, names in _TEXTS.items()}
    packet, secrets["xmp"] = secret_marks.packet(pictures.jpeg)
    (folder / "packet.xmp").write_bytes(packet)
    (folder / "thumbnail.jpg").write_bytes(pictures.jpeg)
    tags["xmp"] = [f"-XMP<={folder / 'packet.xmp'}"]
    for kind, tag in (("EXIF thumbnail", "ThumbnailImage"), ("Photoshop thumbnail", "Photoshop:PhotoshopThumbnail")):
        tags[kind] = [f"-{tag}<={folder / 'thumbnail.jpg'}"]
        secrets[kind] = {kind: pictures.middle(pictures.jpeg)}
    tags["numbers"] = ["-EXIF:GPSLatitudeRef=N", *(f"-{name}={value}" for name, (value, _) in _NUMBERS.items())]
    secrets["numbers"] = {name: stored for name, (_, stored) in _NUMBERS.items()}
    values = {name: text.replace("{}", mark(name)) for name, text in secret_marks.ALLOWED.items()}
    tags["allowed"] = [f"-{name}={value}" for name, value in values.items()]
    secrets["allowed"] = {name: mark(name).encode() for name in values}
    return tags, secrets


def _plain(photo: Image.Image, face: Image.Image) -> dict[str, Source]:
    """Return the photo in every format, with an ICC profile that holds secrets where the format has room for one."""
    profile, in_profile = secret_bytes.in_profile()
    deep = np.asarray(photo).astype(np.uint16) * 257 + 7
    sources = {
        "png-16": Source("PNG", imagecodecs.png_encode(deep)),
        "tiff-16": Source("TIFF", _deep_tiff(deep, profile), in_profile),
        "bmp": Source("BMP", samples.saved(photo, "BMP")),
    }
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "jpeg": ("JPEG", {"quality": 92, "subsampling": "4:2:0"}),
        "jpeg-progressive": ("JPEG", {"quality": 85, "progressive": True}),
        "png": ("PNG", {}),
        "webp-lossy": ("WEBP", {"quality": 90}),
        "webp-lossless": ("WEBP", {"lossless": True}),
        "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
        "heic": ("HEIF", {"quality": 90}),
        "avif": ("AVIF", {"quality": 90}),
    }
    for name, (photo_format, chosen) in options.items():
        data = samples.saved(photo, photo_format, icc_profile=profile, **chosen)
        sources[name] = Source(photo_format, data, in_profile)
    for maker in secret_structures.CAMERAS:
        sources[f"jpeg-{maker.lower()}"] = Source("JPEG", *secret_structures.of_camera(photo, maker), tagged=False)
    other = samples.saved(photo, "MPO", save_all=True, append_images=[face.resize(photo.size)], quality=90)
    second = other[other.rindex(b"\xff\xd8\xff") :]
    sources["jpeg-mpo"] = Source("JPEG", other, {"MPO second picture": second[len(second) // 2 :][:24]}, tagged=False)
    data, secrets = secret_bytes.with_png_colours(samples.saved(photo, "PNG"))
    sources["png-colours"] = Source("PNG", data, secrets, tagged=False)
    return sources | _with_pictures_beside(photo, face) | _palettes(photo) | {"jpeg-numbers": _in_numbers(photo)}


def _with_pictures_beside(photo: Image.Image, face: Image.Image) -> dict[str, Source]:
    """Return HEIF and AVIF with the face as a depth map, a gain map and a thumbnail."""
    found = {}
    for photo_format in ("HEIF", "AVIF"):
        own, depth = (kinds[photo_format] for kinds in (secret_structures.ALPHA, secret_structures.DEPTH))
        for kind, urn in (("depth", depth), ("gain-map", secret_structures.GAIN_MAP), ("thumbnail", own)):
            data = secret_structures.with_picture_beside(photo, photo_format, face, urn)
            if kind == "thumbnail":  # a picture of the same look, which says of itself what it is to the other
                data = data.replace(b"auxl", b"thmb").replace(b"auxC", b"free")
            secrets = {f"beside: {kind}": b"thmb" if kind == "thumbnail" else urn}
            found[f"{photo_format.lower()}-{kind}"] = Source(photo_format, data, secrets, tagged=False)
    return found


def _deep_tiff(samples_16: np.ndarray[Any, np.dtype[np.uint16]], profile: bytes) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, samples_16, photometric="rgb", compression="adobe_deflate", iccprofile=profile, metadata=None
    )
    return buffer.getvalue()


def _palettes(photo: Image.Image) -> dict[str, Source]:
    """Return the photo in few colours, with text where the palette holds colours that no pixel has."""
    few = photo.quantize(64)
    text = (mark("palette", 24) * 24).encode()[: 3 * (256 - 64)]
    few.putpalette(bytes(few.getpalette("RGB") or b"")[: 3 * 64] + text)
    clear = bytes((255,)) * 64 + mark("opacity", 24).encode()
    told = {"colours that no pixel has": text[6:30]}
    reds = {"reds that no pixel has": text[:72:3]}
    padded = {"colours that no pixel has": b"".join(text[at : at + 3][::-1] + b"\0" for at in range(0, 24, 3))}
    return {
        "gif": Source("GIF", samples.saved(few, "GIF", optimize=False), told),
        "png-palette": Source("PNG", samples.saved(few, "PNG", transparency=clear), told | {"opacity": clear[64:]}),
        "tiff-palette": Source("TIFF", samples.saved(few, "TIFF"), reds, tagged=False),
        "bmp-palette": Source("BMP", samples.saved(few, "BMP"), padded),
    }


def _in_numbers(photo: Image.Image) -> Source:
    """Return a photo whose numbers, each of them possible, spell text by their numerators and denominators."""
    names = {"ExposureTime": 0x829A, "FNumber": 0x829D, "FocalLength": 0x920A, "Resolution": 0x011A}
    secrets = {f"{name} as two numbers": mark(name, 8).encode() for name in names}
    *taken, resolution = secrets.values()
    below = [(number, 5, value) for number, value in zip(names.values(), taken, strict=False)]
    page = [(0x011A, 5, resolution), (0x011B, 5, resolution), (0x0128, 3, b"\0\2"), (0x8769, 4, bytes(4))]
    start = 8 + len(secret_structures.directory(page, 8, ">"))
    page[-1] = (0x8769, 4, struct.pack(">I", start))
    first = secret_structures.directory(page, 8, ">") + secret_structures.directory(below, start, ">")
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first
    return Source("JPEG", samples.saved(photo, "JPEG", exif=exif), secrets, tagged=False)

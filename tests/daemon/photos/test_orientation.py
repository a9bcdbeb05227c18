"""A photo looks the same before and after, however it is stored: in Chromium, and in Pillow with libheif.

Every orientation, mirrored ones too, in every format that has them, with and without a profile of wide colours. Where
no face was changed people see the same; where one was, they see the change, and where it is to be seen.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
import secret_bytes
from chromium import SHOWN, rendered
from PIL import Image, ImageCms, ImageOps

from uncnn.daemon.photos import Format, decode, encode
from uncnn.daemon.photos.turning import upright
from uncnn.plugins.api import Pixels

FACE: Final = np.s_[24:40, 40:64]  # of 64 x 96 pixels, upright
REACH: Final = np.s_[6:58, 22:82]  # the blocks of a JPEG that it touches, and what smooth chroma takes from them
CHANGE: Final = 24  # grey levels
LOSSY: Final = ("AVIF", "HEIF")
INTO: Final[tuple[Format, ...]] = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF", "BMP")


@dataclass(frozen=True, slots=True)
class Pair:
    """A file and what is published of it."""

    before: tuple[str, bytes]
    after: tuple[str, bytes]

    @property
    def levels(self) -> int:
        """Return how many grey levels may lie between the two where nothing was changed."""
        if self.after[0] in LOSSY or (self.before[0] != self.after[0] and self.after[0] in ("JPEG", "WEBP")):
            return 12  # compressed anew
        return int(self.before[0] != self.after[0])


def _exif(orientation: int, tag: int = samples.ORIENTATION) -> bytes:
    exif = Image.Exif()
    exif[tag] = orientation
    return bytes(exif.tobytes())


def _files(orientation: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield files that show `picture()` once they are turned: name, format, bytes."""
    stored, exif = samples.stored_turned(samples.picture(), orientation), _exif(orientation)
    for photo_format, options in samples.EVERY.items():
        if photo_format == "BMP":
            continue
        yield photo_format.lower(), photo_format, samples.oriented(samples.picture(), photo_format, orientation)
        wide = samples.saved(stored, photo_format, exif=exif, icc_profile=samples.display_p3(), **options)
        yield f"{photo_format.lower()} in wide colours", photo_format, wide
    for name, chosen in (("4:2:0", {"subsampling": 2}), ("progressive", {"progressive": True})):
        yield f"jpeg {name}", "JPEG", samples.saved(stored, "JPEG", quality=88, exif=exif, **chosen)
    for mode in ("L", "P"):
        yield f"png {mode}", "PNG", samples.saved(stored.convert(mode), "PNG", exif=exif)
    deep = imagecodecs.png_encode(np.asarray(stored).astype(np.uint16) * 257)
    turned, wide_colours = (b"eXIf", exif[6:]), (b"iCCP", b"wide\0\0" + zlib.compress(samples.display_p3()))
    for name, chunks in (("", [turned]), (" in wide colours", [wide_colours, turned])):
        yield f"png of 16 bits{name}", "PNG", deep[:33] + secret_bytes.chunks(chunks) + deep[33:]
    plain = samples.saved(stored, "PNG")
    yield "png turned late", "PNG", plain[:-12] + secret_bytes.chunks([turned]) + plain[-12:]
    for photo_format in ("AVIF", "HEIF"):
        yield f"{photo_format.lower()} of two minds", photo_format, _of_two_minds(photo_format, orientation)
    if orientation == 1:
        yield "gif", "GIF", samples.saved(stored, "GIF")
        yield "bmp", "BMP", samples.saved(stored, "BMP")


def _of_two_minds(photo_format: str, orientation: int) -> bytes:
    """Return a file that is upright, though its EXIF says otherwise: only the format's own transform counts."""
    exif, options = _exif(orientation, 0x0213), samples.EVERY[photo_format]
    data = samples.saved(samples.picture(), photo_format, exif=exif, **options)
    for order in (">", "<"):  # of a tag of the same kind, that the encoder leaves as it is
        other, own = (struct.pack(f"{order}HHI", tag, 3, 1) for tag in (0x0213, samples.ORIENTATION))
        data = data.replace(other, own)
    return data


def published(photo_format: str, data: bytes, chosen: Format | None = None) -> Pair:
    """Return a file beside what is published of it with its face made lighter."""
    photo = decode(data, "photo")
    pixels = photo.pixels.copy()
    pixels[FACE] += CHANGE
    released = encode(photo, pixels, chosen or "same").data
    return Pair((photo_format, data), (chosen or photo_format, released))


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    made = {}
    for orientation in range(1, 9):
        for name, photo_format, data in _files(orientation):
            made[f"{name}, {orientation}"] = published(photo_format, data)
        for name, source in (("jpeg", "JPEG"), ("heif", "HEIF")):
            data = samples.oriented(samples.picture(), source, orientation)
            for into in INTO:
                if into != source:
                    made[f"{name} to {into}, {orientation}"] = published(source, data, into)
    return made


@pytest.fixture(scope="module")
def in_chromium(pairs: dict[str, Pair], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pixels]:
    files = {f"{name} before": pair.before for name, pair in pairs.items()}
    files |= {f"{name} after": pair.after for name, pair in pairs.items()}
    shown = {name: file for name, file in files.items() if file[0] in SHOWN}
    return rendered(shown, tmp_path_factory.mktemp("chromium"))


def in_pillow(data: bytes) -> Pixels:
    """Return a file as Pillow shows it: turned, and in sRGB."""
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
        profile = opened.info.get("icc_profile")
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    image = image.convert("RGB")
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
        assert shown is not None
        image = shown
    return np.asarray(image)


def same(name: str, before: Pixels, after: Pixels, pair: Pair) -> None:
    """Assert that people see the same, and the change where the face is."""
    assert before.shape == after.shape == (64, 96, 3), name
    moved = after.astype(int) - before
    outside = np.ones((64, 96), bool)
    outside[REACH if pair.after[0] == "JPEG" else FACE] = False
    levels = pair.levels
    off = np.abs(moved[outside])
    assert (off.max() if levels <= 1 else np.percentile(off, 99)) <= levels, name
    assert off.mean() <= 2, name
    inner = moved[26:38, 42:62].mean(axis=(0, 1))
    if name.startswith(("gif", "png P")):  # the colours are those that there are
        assert abs(inner.mean() - CHANGE) < CHANGE / 2, (name, inner)
    else:
        assert np.abs(inner - CHANGE).max() <= max(levels / 2, 2.5), (name, inner)


def as_turned(name: str, shown: Pixels) -> Pixels:
    """Return what Chromium shows, turned where it does not do so: by the EXIF of a WebP, or behind the pixels."""
    return upright(shown, int(name[-1])) if name.startswith(("webp", "png turned late")) else shown


@pytest.mark.slow
def test_people_see_the_same_in_chromium(pairs: dict[str, Pair], in_chromium: dict[str, Pixels]) -> None:
    picture = np.asarray(samples.picture()).mean(axis=2)
    for name, pair in pairs.items():
        if f"{name} before" in in_chromium:
            before = as_turned(name, in_chromium[f"{name} before"])
            alike = np.corrcoef(before.mean(axis=2).ravel(), picture.ravel())[0, 1]
            assert alike > 0.9, f"{name}: the original is not upright"  # mirrored 0.74
        else:
            before = in_pillow(pair.before[1])  # Chromium shows no HEIC
        if f"{name} after" in in_chromium:
            same(name, before, as_turned(name, in_chromium[f"{name} after"]), pair)


def test_people_see_the_same_in_pillow(pairs: dict[str, Pair]) -> None:
    for name, pair in pairs.items():
        same(name, in_pillow(pair.before[1]), in_pillow(pair.after[1]), pair)

"""What a photo says of its owner, planted in every place that a format has: none of it is in the released file.

exiftool, which knows the places, writes what it can and reads every released file; the rest is planted and looked for
byte by byte. The face that was to be hidden is planted as well: as thumbnails, second pictures, depth and gain maps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import secret_allowed as allowed
import secret_photos
import secret_search
from PIL import Image
from secret_photos import Source
from secret_pieces import pieces

from uncnn.daemon.photos import Photo, PhotoError, decode, encode
from uncnn.plugins.api import Pixels

pytestmark = pytest.mark.slow

FACE: Final = np.s_[75:175, 75:175]  # of a photo of 250 x 250 pixels: they are aligned
POLICIES: Final = ("none", "camera", "all-but-location")
INTO_OTHERS: Final = {
    "jpeg": ("PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF"),
    "jpeg-canon": ("PNG", "WEBP", "TIFF", "HEIF", "AVIF"),
    "jpeg-numbers": ("PNG", "TIFF"),
    "heic": ("JPEG",),
    "png": ("JPEG",),
    "png-16": ("TIFF", "JPEG"),
    "tiff-16": ("PNG",),
    "png-palette": ("GIF", "TIFF"),
    "png-colours": ("AVIF",),
}
EMBEDDED: Final = ("ThumbnailImage", "PreviewImage", "OtherImage", "JpgFromRaw", "MPImage2", "PhotoshopThumbnail")


@dataclass(frozen=True, slots=True)
class Result:
    """A released file."""

    name: str
    source: str
    policy: str
    photo_format: str
    clear: bool
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Made:
    """The planted photos, what came of them, and what exiftool reads of both."""

    sources: dict[str, Source]
    results: list[Result]
    told: dict[str, dict[str, Any]]
    folder: Path
    before: Pixels


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    if not shutil.which("exiftool"):
        pytest.skip("needs exiftool (Debian: libimage-exiftool-perl): it knows where a format keeps its secrets")
    path = sorted((shared_data / "lfw" / "identities").rglob("*.jpg"))[3]
    with Image.open(path) as image:
        photo = image.convert("RGB")
    before = np.asarray(photo)
    sources = secret_photos.planted(photo, Image.fromarray(before[FACE]), tmp_path_factory.mktemp("planted"))
    results = [result for name, source in sources.items() for result in _released(name, source)]
    folder = tmp_path_factory.mktemp("files")
    for name, source in sources.items():
        (folder / f"{name}.{source.suffix}").write_bytes(source.data)
    for result in results:
        (folder / result.name).write_bytes(result.data)
    return Made(sources, results, secret_photos.readings(folder), folder, before)


def _released(name: str, source: Source) -> Iterator[Result]:
    photo = decode(source.data, name)
    pixels = changed(photo)
    chosen = [("same", policy) for policy in POLICIES]
    chosen += [(other, "all-but-location") for other in INTO_OTHERS.get(name, ())]
    for wanted, policy in chosen:
        data = encode(photo, pixels, wanted, metadata=policy).data  # type: ignore[arg-type]
        written = source.photo_format if wanted == "same" else wanted
        yield Result(f"{name}@{policy}@{written}", name, policy, written, photo.alpha is not None, data)


def changed(photo: Photo) -> Pixels:
    """Return the photo with its face turned into its negative."""
    pixels = photo.pixels.copy()
    pixels[FACE] = 255 - pixels[FACE]
    return pixels


def test_every_secret_is_in_its_photo_before(made: Made) -> None:
    counts = dict[str, int]()
    for name, source in made.sources.items():
        places = secret_search.layers(source.data)
        found = secret_search.found_in(places, source.secrets)
        assert set(source.secrets) == set(found), name
        assert secret_search.pictures_in(source.data), f"{name} hides no picture"
        counts[source.photo_format] = max(counts.get(source.photo_format, 0), len(source.secrets))
    told = json.dumps(made.told["jpeg.jpg"])
    assert {"XMP-mwg-rs:RegionName", "GPS:GPSLatitude", "IFD1:ThumbnailImage"} <= set(made.told["jpeg.jpg"])
    assert secret_photos.mark("XMP MicrosoftPhoto person") in told
    assert "Canon:OwnerName" in made.told["jpeg-canon.jpg"]
    assert "Apple:MediaGroupUUID" in made.told["jpeg-apple.jpg"]
    assert all(count >= 40 for kind, count in counts.items() if kind not in ("GIF", "BMP")), counts
    assert len({where for source in made.sources.values() for where in source.secrets}) > 150


def test_no_secret_is_in_a_released_file(made: Made) -> None:
    found = {}
    for result in made.results:
        names = secret_search.found_in(secret_search.layers(result.data), made.sources[result.source].secrets)
        told = json.dumps(made.told[result.name])
        names += [
            name for name, secret in made.sources[result.source].secrets.items() if secret.decode("latin-1") in told
        ]
        if names:
            found[result.name] = names
    assert found == {}


def test_no_released_file_holds_a_picture_besides_the_photo(made: Made) -> None:
    for result in made.results:
        assert secret_search.pictures_in(result.data) == [], result.name
        held = pieces(result.data, result.photo_format)
        clear = allowed.CLEAR.get(result.photo_format, frozenset()) if result.clear else frozenset()
        assert set(held) <= allowed.PIECES[result.photo_format] | clear, result.name
        assert sum(piece in ("infe hvc1", "infe av01") for piece in held) <= 1 + result.clear
    asked = [f"-{tag}" for tag in EMBEDDED]
    released = [str(made.folder / result.name) for result in made.results]
    assert secret_photos.exiftool(made.folder, ["-a", "-b", "-ee", *asked, *released]) == ""


def test_the_face_that_was_hidden_is_nowhere(made: Made) -> None:
    for result in made.results:
        after = decode(result.data, result.name).pixels
        original = decode(made.sources[result.source].data, result.source).pixels
        assert np.corrcoef(after[FACE].ravel(), original[FACE].ravel())[0, 1] < 0, result.name
        assert np.corrcoef(after[FACE].ravel(), made.before[FACE].ravel())[0, 1] < 0, result.name
        assert np.corrcoef(after[:60].ravel(), original[:60].ravel())[0, 1] > 0.97, result.name


def test_exiftool_reads_nothing_that_is_not_allowed(made: Made) -> None:
    for result in made.results:
        told = {tag for tag in made.told[result.name] if tag.split(":")[0] not in allowed.OF_NO_FILE}
        assert told, result.name
        assert told <= allowed.TAGS[result.policy], result.name


def test_what_a_policy_allows_is_kept_in_every_format(made: Made) -> None:
    camera = {
        "IFD0:Make": "Canon",
        "IFD0:Model": "Canon EOS 5D Mark IV",
        "ExifIFD:LensModel": "EF24-70mm f/2.8L II USM",
    }
    camera |= {"ExifIFD:ExposureTime": "1/320", "ExifIFD:FNumber": 2.8, "ExifIFD:ISO": 400}
    times = dict.fromkeys(("IFD0:ModifyDate", "ExifIFD:DateTimeOriginal"), "2024:05:06 07:08:09")
    kept = {"none": {}, "camera": camera, "all-but-location": camera | times}
    results = [result for result in made.results if result.source == "jpeg-canon"]
    assert len(results) == 3 + 5
    for result in results:
        told = made.told[result.name]
        assert {tag: told[tag] for tag in (*camera, *times) if tag in told} == kept[result.policy], result.name


def test_several_photos_in_a_file_are_refused(made: Made) -> None:
    photo, other = (Image.fromarray(made.before[part]) for part in (np.s_[:], FACE))
    content = secret_photos.samples.saved(photo, "HEIF", save_all=True, append_images=[other])
    with pytest.raises(PhotoError, match="holds 2 pictures"):
        decode(content, "two.heic")

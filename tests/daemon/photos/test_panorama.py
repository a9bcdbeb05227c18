"""Panoramas stay panoramas: how they are projected comes out, and nothing else of what their XMP says."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
import tifffile
from photo_samples import SECRET, picture, saved
from PIL import Image

from uncnn.daemon.photos import decode, encode
from uncnn.daemon.photos.keeping import kept_keys
from uncnn.daemon.photos.listing import inventory
from uncnn.daemon.photos.panorama import NAMESPACE, projection_of
from uncnn.daemon.photos.png import with_chunks, xmp_chunk

HEAD = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:GPano="{NAMESPACE}" xmlns:dc="http://purl.org/dc/elements/1.1/" '
)
TAIL = "</rdf:RDF></x:xmpmeta>"
AS_ATTRIBUTES = (
    f'{HEAD} GPano:ProjectionType="equirectangular" GPano:UsePanoramaViewer="True" GPano:FullPanoWidthPixels="96" '
    'GPano:FullPanoHeightPixels="64" GPano:CroppedAreaImageWidthPixels="96" GPano:CroppedAreaImageHeightPixels="64" '
    'GPano:CroppedAreaLeftPixels="0" GPano:CroppedAreaTopPixels="0" GPano:PoseHeadingDegrees="271.3" '
    'GPano:PosePitchDegrees="-1.25" GPano:InitialViewHeadingDegrees="90" GPano:FirstPhotoDate="2014-11-07T14:00:00Z" '
    f'GPano:StitchingSoftware="{SECRET.decode()}" dc:creator="{SECRET.decode()}"/>{TAIL}'
).encode()
AS_ELEMENTS = (
    f"{HEAD}><GPano:ProjectionType> Equirectangular</GPano:ProjectionType><GPano:FullPanoWidthPixels>96.0"
    "</GPano:FullPanoWidthPixels><GPano:SourcePhotosCount>7</GPano:SourcePhotosCount></rdf:Description>" + TAIL
).encode()
KEPT = {
    "ProjectionType": "equirectangular",
    "UsePanoramaViewer": "True",
    "FullPanoWidthPixels": "96",
    "FullPanoHeightPixels": "64",
    "CroppedAreaImageWidthPixels": "96",
    "CroppedAreaImageHeightPixels": "64",
    "CroppedAreaLeftPixels": "0",
    "CroppedAreaTopPixels": "0",
    "PosePitchDegrees": "-1.2",
    "InitialViewHeadingDegrees": "90.0",
}


def panorama(photo_format: str, packet: bytes = AS_ATTRIBUTES) -> bytes:
    if photo_format == "PNG":
        return with_chunks(saved(picture(), "PNG"), [xmp_chunk(packet)])
    if photo_format == "PNG, 16 bits":
        return with_chunks(imagecodecs.png_encode(deep()), [xmp_chunk(packet)])
    if photo_format == "TIFF, 16 bits":
        buffer = io.BytesIO()
        tags = [(700, 1, len(packet), packet, True)]
        tifffile.imwrite(buffer, deep(), photometric="rgb", extratags=tags, metadata=None)
        return buffer.getvalue()
    if photo_format == "TIFF":
        return saved(picture(), "TIFF", tiffinfo={700: packet})
    return saved(picture(), photo_format, xmp=packet)


def deep() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.asarray(picture()).astype(np.uint16) * 257


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize(
    "photo_format", ["JPEG", "PNG", "PNG, 16 bits", "WEBP", "TIFF", "TIFF, 16 bits", "HEIF", "AVIF"]
)
def test_how_it_is_projected_stays_and_nothing_else(photo_format: str, change: bool) -> None:
    photo = decode(panorama(photo_format), "sphere")
    pixels = photo.pixels.copy()
    pixels[8:24, 16:40] ^= 8 * change
    released = encode(photo, pixels)
    again = decode(released.data, "again")
    assert projection_of(released.data, again.format) == KEPT
    assert released.notes == ()
    for word in (SECRET, b"Heading>", b"PoseHeading", b"2014", b"FirstPhoto"):
        assert word not in released.data


def test_elements_are_read_as_attributes_are() -> None:
    photo = decode(panorama("JPEG", AS_ELEMENTS), "sphere.jpg")
    released = encode(photo, photo.pixels).data
    assert projection_of(released, "JPEG") == {"ProjectionType": "equirectangular", "FullPanoWidthPixels": "96"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ProjectionType", SECRET.decode()),
        ("UsePanoramaViewer", SECRET.decode()),
        ("FullPanoWidthPixels", "12345678901234567890"),
        ("PosePitchDegrees", "1e9"),
        ("PosePitchDegrees", "361"),
        ("InitialCameraDolly", "1"),
        (SECRET.decode(), "1"),
    ],
)
def test_what_is_none_of_its_kind_is_left_out(name: str, value: str) -> None:
    kind = "" if name == "ProjectionType" else 'GPano:ProjectionType="cylindrical" '
    packet = f'{HEAD} {kind}GPano:{name}="{value}"/>{TAIL}'.encode()
    photo = decode(panorama("JPEG", packet), "sphere.jpg")
    released = encode(photo, photo.pixels).data
    assert projection_of(released, "JPEG") == ({"ProjectionType": "cylindrical"} if kind else {})
    assert SECRET not in released


@pytest.mark.parametrize(
    "packet", [b"", b"no xml " + NAMESPACE.encode(), b'<!DOCTYPE a [<!ENTITY b "c">]>' + AS_ELEMENTS]
)
def test_a_broken_packet_is_none(packet: bytes) -> None:
    photo = decode(panorama("JPEG", packet), "sphere.jpg")
    assert b"xmpmeta" not in encode(photo, photo.pixels, metadata="all-but-location").data


def test_a_photo_that_is_no_panorama_gets_no_xmp() -> None:
    photo = decode(samples.with_secrets("JPEG"), "plain.jpg")
    assert b"ns.adobe.com/xap" not in encode(photo, photo.pixels).data


def test_a_format_without_xmp_says_what_it_leaves_out() -> None:
    photo = decode(panorama("JPEG"), "sphere.jpg")
    assert projection_of(encode(photo, photo.pixels, "PNG").data, "PNG") == KEPT
    released = encode(photo, photo.pixels, "BMP")  # type: ignore[arg-type]
    assert released.notes == ("its panorama projection is left out: BMP cannot store XMP",)


@pytest.mark.parametrize("photo_format", ["JPEG", "HEIF", "WEBP"])
def test_inspect_says_what_stays(photo_format: str) -> None:
    photo = decode(panorama(photo_format), "sphere.jpg")
    keys = kept_keys(photo, "none")
    things = {each.name: each.key in keys for each in inventory(photo.source, photo.format) if each.group == "XMP"}
    assert {name.removeprefix("GPano:") for name, stays in things.items() if stays} == set(KEPT)
    assert not things["dc:creator"]
    assert not things["GPano:PoseHeadingDegrees"]


def test_a_viewer_reads_it() -> None:
    photo = decode(panorama("JPEG"), "sphere.jpg")
    with Image.open(io.BytesIO(encode(photo, photo.pixels).data)) as image:
        (described,) = image.getxmp()["xmpmeta"]["RDF"].values()
    assert described["ProjectionType"] == "equirectangular"

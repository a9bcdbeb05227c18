"""What a file says: all that was planted is found, what is marked as kept is what is released, nothing raises."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_samples import EVERY, SECRET, picture, saved, segment
from PIL import Image, PngImagePlugin
from secret_bytes import box

from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.photos import Format, decode, encode
from uncnn.daemon.photos.inventory.iptc import iptc_things
from uncnn.daemon.photos.inventory.segments import end_of_picture, frame
from uncnn.daemon.photos.inventory.values import Thing
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.items import items_of
from uncnn.daemon.photos.keeping import kept_keys
from uncnn.daemon.photos.listing import inventory

FORMATS = sorted(EVERY)
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp", "HEIF": "heic", "AVIF": "avif"}
BY_LINE = b"\x1c\x02\x50\0\x04Ada "
PLANTED = (
    "-Make=Maker",
    "-Model=Model 1",
    "-Artist=Ada Lovelace",
    "-Copyright=Ada",
    "-ImageDescription=At the gate",
    "-DateTimeOriginal=2024:05:01 12:30:00",
    "-ModifyDate=2024:05:02 12:30:00",
    "-OffsetTimeOriginal=+02:00",
    "-ExposureTime=1/125",
    "-FNumber=1.8",
    "-ISO=80",
    "-SerialNumber=XZ12345",
    "-LensModel=Lens 2",
    "-OwnerName=Ada",
    "-UserComment=me",
    "-GPSLatitude=52.516275",
    "-GPSLatitudeRef=N",
    "-GPSLongitude=13.377703",
    "-GPSLongitudeRef=E",
    "-GPSAltitude=34.2",
    "-GPSAltitudeRef=0",
    "-GPSTimeStamp=10:30:00",
    "-GPSDateStamp=2024:05:01",
    "-XMP-dc:Creator=Ada",
    "-XMP-dc:Title=Gate",
    "-XMP-dc:Subject=family",
    "-XMP-photoshop:City=Berlin",
    "-XMP-crs:Contrast2012=10",
    "-XMP-xmpMM:DocumentID=xmp.did:1234",
    "-XMP-iptcExt:PersonInImage=Ada",
    "-XMP-mwg-rs:RegionInfo={AppliedToDimensions={W=96,H=64,Unit=pixel},RegionList=[{Name=Ada Lovelace,Type=Face,"
    "Area={X=0.5,Y=0.4,W=0.1,H=0.2,Unit=normalized}}]}",
    "-XMP-MP:RegionInfoMP={Regions=[{PersonDisplayName=Charles,Rectangle=0.1|, 0.2|, 0.3|, 0.4}]}",
)


def said(content: bytes) -> tuple[Thing, ...]:
    return inventory(content, decode(content, "photo").format)


def words(things: tuple[Thing, ...]) -> dict[str, str]:
    return {each.name: each.value for each in reversed(things)}


@pytest.mark.parametrize("photo_format", FORMATS)
def test_what_was_planted_is_found_and_nothing_of_it_kept(photo_format: str) -> None:
    content = samples.with_secrets(photo_format)
    photo = decode(content, "planted")
    things = said(content)
    keys = kept_keys(photo, "none")
    assert [each for each in things if each.key in keys and each.group not in ("JFIF", "PNG")] == []
    groups = {each.group for each in things}
    if photo_format in ("JPEG", "PNG", "TIFF", "BMP"):
        assert "behind the picture" in groups
    if photo_format != "BMP":
        assert "XMP" in groups
    if photo_format not in ("BMP", "JPEG"):
        assert {"GPS", "EXIF"} <= groups
        assert SECRET.decode() in words(things).values()
    if photo_format == "JPEG":
        assert {"comment", "application", "second picture", "damaged"} <= groups


def test_a_jpeg_says_what_stands_in_its_segments_and_behind_its_end() -> None:
    thumbnail = saved(picture(16, 16), "JPEG")
    second = saved(
        picture(40, 30), "JPEG", exif=samples.secret_exif(), xmp=b"<x>http://ns.adobe.com/hdr-gain-map/1.0/</x>"
    )
    resources = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 28 + len(thumbnail)) + bytes(28) + thumbnail
    resources += bytes(len(resources) % 2)
    resources += b"8BIM\x04\x04\0\0" + struct.pack(">I", 9) + BY_LINE + b"\0"
    exif = samples.secret_exif()
    plain = saved(picture(), "JPEG", exif=exif, comment="a comment", dpi=(300, 300), progressive=True)
    planted = b"".join(
        [
            segment(0xE2, b"MPF\0" + bytes(20)),
            segment(0xEB, b"JP" + bytes(30)),
            segment(0xED, b"Photoshop 3.0\0" + resources),
            segment(0xE5, b"Own\0stuff"),
        ]
    )
    video = b"\0\0\0\x18ftypmp42" + bytes(1000)
    content = plain[:2] + planted + plain[2:] + second + video
    things = said(content)
    found = {(each.group, each.name): each.value for each in things}
    assert end_of_picture(content) == len(planted) + len(plain)
    assert found["GPS", "GPSLatitude"] == "52.516389 N"
    assert found["maker note", "MakerNote"] == f"{len(SECRET)} bytes (SECRET-of-th)"
    assert found["thumbnail", "Photoshop's"].startswith("16 x 16 px, JPEG")
    assert found["IPTC", "by-line"] == "Ada"
    assert found["comment", "comment"] == "a comment"
    assert found["JFIF", "resolution"] == "300 x 300 an inch"
    assert found["application", "APP5"] == "9 bytes, Own"
    assert found["video", "motion photo"] == "1.0 kB"
    assert ("content credentials", "JUMBF (C2PA)") in found
    assert ("second picture", "index of several pictures (MPF)") in found
    size = f"40 x 30 px, JPEG, {len(second) / 1000:.1f} kB"
    assert found["second picture", "behind the picture"] == f"gain map, {size}, with metadata of its own"


def test_a_jpeg_that_says_exif_twice_and_a_thumbnail_in_it() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    small = saved(picture(20, 10), "JPEG")
    first = exif.tobytes()
    page = struct.pack("<HHHII", 2, 0x0201, 4, 1, 0) + struct.pack("<HHII", 0x0202, 4, 1, len(small)) + bytes(4)
    body = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 14)
    body += page[:10] + struct.pack("<I", 14 + len(page)) + page[14:] + small
    plain = saved(picture(), "JPEG")
    content = plain[:2] + segment(0xE1, first) + segment(0xE1, b"Exif\0\0" + body) + plain[2:]
    things = inventory(content, "JPEG")
    assert words(things)["Make"] == "Maker"
    assert [each.value for each in things if each.group == "thumbnail"] == [f"20 x 10 px, JPEG, {len(small)} bytes"]


def test_texts_of_a_png_are_unpacked_wherever_they_stand() -> None:
    exif = samples.secret_exif().tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ada Lovelace", zip=True)
    text.add_itxt("Title", "Tür", zip=True)
    text.add_text("Raw profile type exif", f"\nexif\n{len(exif)}\n{exif.hex()}\n")
    text.add_text("Raw profile type iptc", f"\niptc\n9\n{BY_LINE.hex()}\n")
    content = saved(picture(), "PNG", pnginfo=text, dpi=(200, 100))
    late = b"tIME" + struct.pack(">H5B", 2024, 5, 1, 12, 30, 0)
    late = struct.pack(">I", 7) + late + struct.pack(">I", zlib.crc32(late))
    content = content[:-12] + late + content[-12:]
    found = {(each.group, each.name): each.value for each in said(content)}
    assert found["text", "Author"] == "Ada Lovelace"
    assert found["text", "Title"] == "Tür"
    assert found["PNG", "last changed (time)"] == "2024-05-01 12:30:00"
    assert found["PNG", "resolution"] == "200 x 100 an inch"
    assert found["IPTC", "by-line"] == "Ada"
    assert found["GPS", "GPSLatitude"] == "52.516389 N"


def test_a_bomb_of_text_stays_small() -> None:
    packed = zlib.compress(bytes(200_000_000), 9)
    chunk = b"zTXt" + b"Comment\0\0" + packed
    content = saved(picture(), "PNG")
    content = content[:33] + struct.pack(">I", len(chunk) - 4) + chunk + bytes(4) + content[33:]
    assert len(content) < 400_000
    (found,) = inventory(content, "PNG")
    assert found.name == "Comment"
    assert len(found.value) < 300


def test_a_gif_says_its_comment_and_its_xmp() -> None:
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    content = saved(picture().convert("P"), "GIF", comment=b"a comment")
    tail = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    extension = b"\x21\xff\x0bXMP DataXMP" + packet + tail
    content = content[:-1] + extension + content[-1:] + b"more"
    found = {(each.group, each.name): each.value for each in inventory(content, "GIF")}
    assert found["comment", "comment"] == "a comment"
    assert found["XMP", "packet"].startswith(f"{len(packet)} bytes")
    assert found["behind the picture", "data"] == "4 bytes"


def test_regions_of_faces_are_named_however_they_are_written() -> None:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = f"""<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{rdf}'>
    <rdf:Description xmlns:mwg-rs='http://www.metadataworkinggroup.com/schemas/regions/'
      xmlns:stArea='http://ns.adobe.com/xmp/sType/Area#' xmlns:exif='http://ns.adobe.com/exif/1.0/'
      exif:GPSLatitude='52,30.97N'>
    <mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>
      <rdf:li><rdf:Description mwg-rs:Name='Ada' mwg-rs:Type='Face'>
        <mwg-rs:Area stArea:x='0.51234' stArea:y='0.4' stArea:w='0.1' stArea:h='0.2'/></rdf:Description></rdf:li>
      <rdf:li rdf:parseType='Resource'><mwg-rs:Type>Face</mwg-rs:Type>
        <mwg-rs:Area rdf:parseType='Resource'><stArea:x>0.2</stArea:x><stArea:y>0.3</stArea:y></mwg-rs:Area></rdf:li>
    </rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>""".encode()
    things = list(xmp_things(packet))
    people = [each.value for each in things if each.group == "people"]
    assert people == ["Ada (at x 0.512, y 0.4, w 0.1, h 0.2)", "without a name (at x 0.2, y 0.3)"]
    place = next(each for each in things if each.name == "exif:GPSLatitude")
    assert (place.value, place.about) == ("52,30.97N", "position")


def test_entities_in_xmp_are_not_followed() -> None:
    packet = b"<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;'>]><a>&c;</a>"
    (found,) = xmp_things(packet)
    assert found.value == f"{len(packet)} bytes, cannot be read"


def test_iptc_with_extended_sizes_and_its_own_alphabet() -> None:
    content = b"\x1c\x01\x5a\0\x03\x1b%G\x1c\x02\x78\x80\x04\0\0\0\x04T\xc3\xbcr"
    (found,) = iptc_things(content)
    assert (found.name, found.value) == ("caption", "Tür")


def full(name: bytes, content: bytes, version: int = 0) -> bytes:
    return box(name, bytes((version, 0, 0, 0)) + content)


def several_pictures() -> bytes:
    """Return boxes of a picture with a thumbnail, a depth map, a gain map, a mask, transparency, and a video."""
    kinds = [b"hvc1", b"hvc1", b"hvc1", b"tmap", b"hvc1", b"hvc1"]
    infos = b"".join(full(b"infe", struct.pack(">HH", at, 0) + kind + b"\0", 2) for at, kind in enumerate(kinds, 1))
    sizes = full(b"ispe", struct.pack(">II", 64, 48)), full(b"ispe", struct.pack(">II", 16, 12))
    kept = [
        full(b"auxC", name + b"\0")
        for name in (b"urn:mpeg:hevc:2015:auxid:2", b"urn:com:apple:photo:2018:aux:semanticskinmatte")
    ]
    alpha = full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    described = full(b"udes", b"en\0Gate\0At the gate\0family\0")
    properties = box(b"ipco", b"".join([*sizes, *kept, alpha, described]))
    owned = {1: (1, 6), 2: (2,), 3: (2, 3), 4: (1,), 5: (2, 4), 6: (1, 5)}
    pairs = b"".join(struct.pack(">HB", item, len(own)) + bytes(own) for item, own in owned.items())
    references = b"".join(
        box(name, struct.pack(">HHH", item, 1, 1))
        for name, item in ((b"thmb", 2), (b"auxl", 3), (b"auxl", 5), (b"auxl", 6))
    )
    meta = full(
        b"meta",
        full(b"pitm", struct.pack(">H", 1))
        + full(b"iinf", struct.pack(">H", len(kinds)) + infos)
        + full(b"iref", references)
        + box(b"iprp", properties + full(b"ipma", struct.pack(">I", len(owned)) + pairs)),
    )
    rest = box(b"mpvd", bytes(1000)) + box(b"uuid", bytes(20)) + b"\xff\xff\xff\xffrest"
    return box(b"ftyp", b"heic" + bytes(4) + b"mif1") + meta + rest


def test_the_pictures_in_a_heic_are_told_apart() -> None:
    content = several_pictures()
    primary, items = items_of(content)
    assert primary == 1
    assert len(items) == 6
    things = inventory(content, "HEIF")
    found = {each.group: each.value for each in things}
    assert found["thumbnail"] == "16 x 12 px, hvc1"
    assert found["depth map"] == "16 x 12 px, hvc1"
    assert found["gain map"] == "64 x 48 px, tmap"
    assert found["matte of a person"] == "16 x 12 px, hvc1"
    assert found["video"] == "1.0 kB"
    assert found["description"] == "en Gate At the gate family"
    assert found["behind the picture"] == "8 bytes"
    assert not any("transparency" in each.group for each in things), "it is seen"


def test_a_tiff_says_its_previews_and_what_belongs_to_no_page() -> None:
    content = saved(picture(), "TIFF", save_all=True, append_images=[picture(24, 16)])
    assert [each.value for each in inventory(content, "TIFF") if each.group == "preview"] == ["24 x 16 px"]
    padded = [each.value for each in inventory(content + bytes(100), "TIFF") if each.group == "behind the picture"]
    assert padded == []


@pytest.mark.parametrize("policy", ["none", "camera", "all-but-location"])
@pytest.mark.parametrize("photo_format", sorted(SUFFIXES))
def test_what_is_marked_as_kept_is_what_is_released(photo_format: str, policy: Metadata) -> None:
    exif = samples.secret_exif()
    exif[0x010F], exif[0x0132], exif[0x0112] = "Maker", "2024:05:01 12:30:00", 6
    below = exif.get_ifd(0x8769)
    below[0x829A], below[0x9003], below[0xA434], below[0xA433] = 1 / 125, "2024:05:01 12:30:00", "Lens 2", SECRET * 9
    exif[0x8769] = dict(below)
    given = exif if photo_format in ("JPEG", "PNG", "TIFF") else exif.tobytes()
    options = {"compression": "raw"} if photo_format == "TIFF" else EVERY[photo_format]
    content = saved(picture(), photo_format, exif=given, icc_profile=samples.display_p3(), **options)
    photo = decode(content, "a")
    keys = kept_keys(photo, policy)
    marked = {(each.group, each.name, each.value) for each in said(photo.source) if each.key in keys}
    released = encode(photo, photo.pixels, metadata=policy).data
    there = {(each.group, each.name, each.value) for each in said(released)}
    assert {each for each in marked if each[0] == "EXIF"} == {each for each in there if each[0] == "EXIF"}
    assert {each[0] for each in there} <= {"EXIF", "ICC", "JFIF", "PNG"}
    assert any(each[:2] == ("ICC", "profile") for each in marked)
    names = {each[1] for each in marked}
    assert ("Make" in names, "DateTimeOriginal" in names) == (policy != "none", policy == "all-but-location")


@pytest.mark.slow
@pytest.mark.parametrize("photo_format", sorted(SUFFIXES))
def test_exiftool_knows_of_nothing_more(photo_format: str, tmp_path: Path) -> None:
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("needs exiftool, which reads what we read: apt install libimage-exiftool-perl")
    file = tmp_path / f"planted.{SUFFIXES[photo_format]}"
    file.write_bytes(saved(picture(), photo_format, icc_profile=samples.display_p3(), **EVERY[photo_format]))
    more = ("-IPTC:By-line=Ada", "-IPTC:City=Berlin") if photo_format in ("JPEG", "TIFF") else ()
    subprocess.run([exiftool, "-q", "-overwrite_original", *PLANTED, *more, str(file)], check=True)
    answer = subprocess.run([exiftool, "-j", "-G1", "-D", "-a", str(file)], check=True, capture_output=True, text=True)
    (tags,) = json.loads(answer.stdout)
    things = inventory(file.read_bytes(), photo_format)  # type: ignore[arg-type]
    missing = [name for name, found in tags.items() if not _told(name, found, things)]
    assert missing == []
    assert {"Ada Lovelace", "Charles", "Ada"} >= {
        each.value.split(" (")[0] for each in things if each.group == "people"
    }
    for about in ("position", "people", "owner", "serial number", "time", "words", "camera"):
        assert any(each.about == about for each in things), about


def _told(name: str, found: Any, things: tuple[Thing, ...]) -> bool:
    """Return whether our inventory has a tag of exiftool's, by its number or its name."""
    group, _, tag = name.partition(":")
    names = {each.name.lower() for each in things}
    if group in ("IFD0", "ExifIFD"):
        page = "page" if group == "IFD0" else "exif"
        resolution = ("resolution", "") in {each.key for each in things} and "Resolution" in tag
        structure = photo_structure(tag)
        return structure or resolution or (page, found["id"]) in {each.key for each in things}
    if group == "GPS":
        return tag.lower().removesuffix("ref") in names
    if group == "IPTC":
        return any(each.group == "IPTC" for each in things)
    if group.startswith("XMP-"):
        local = {each.name.split(":")[-1].lower() for each in things if each.group == "XMP"}
        return tag.startswith(("Region", "XMPToolkit")) or tag.lower() in local
    if group.startswith("ICC"):
        return any(each.group == "ICC" for each in things)
    return group in ("System", "File", "ExifTool", "Composite", "SourceFile", "JFIF", "PNG", "PNG-pHYs", "RIFF") or (
        group in ("Meta", "QuickTime", "Photoshop")
    )


def photo_structure(tag: str) -> bool:
    return tag in {
        "ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation", "StripOffsets",
        "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "Predictor", "SampleFormat",
    }  # fmt: skip


@cache
def planted(photo_format: str) -> bytes:
    if photo_format == "boxes":
        return several_pictures()
    if photo_format == "GIF":
        return saved(picture().convert("P"), "GIF", comment=SECRET)
    return samples.with_secrets(photo_format)


@given(
    photo_format=st.sampled_from([*FORMATS, "GIF", "boxes"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=8),
    share=st.floats(0, 1) | st.just(1.0),
)
@settings(max_examples=150)
def test_no_damage_makes_it_raise(photo_format: str, changes: list[tuple[float, bytes]], share: float) -> None:
    content = bytearray(planted(photo_format))
    for where, replacement in changes:
        at = int(where * len(content))
        content[at : at + len(replacement)] = replacement
    kind: Format = "HEIF" if photo_format == "boxes" else photo_format  # type: ignore[assignment]
    for each in inventory(bytes(content[: int(share * len(content))]), kind):
        for text in (each.group, each.name, each.value):
            assert text.isprintable()
            assert len(text) <= 300


@pytest.mark.parametrize("photo_format", [*FORMATS, "GIF"])
def test_a_head_alone_and_nothing_at_all(photo_format: Format) -> None:
    assert {each.group for each in inventory(b"", photo_format)} <= {"damaged"}
    for size in range(64):
        found = inventory(planted(photo_format)[:size], photo_format)
        assert all(text.isprintable() and len(text) <= 300 for each in found for text in (each.name, each.value))


def test_the_frame_of_every_kind_of_jpeg() -> None:
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        found = frame(saved(picture(), "JPEG", subsampling=subsampling))
        assert found is not None
        assert (found.way, found.bits, found.width, found.height) == ("baseline", 8, 96, 64)
        assert found.subsampling == subsampling
    grey = frame(saved(picture().convert("L"), "JPEG", progressive=True))
    assert grey is not None
    assert (grey.way, grey.subsampling) == ("progressive", None)
    assert frame(b"\xff\xd8\xff\xd9") is None
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), "JPEG", restart_marker_blocks=1)
    assert end_of_picture(content + b"tail") == len(content)

"""What no face touches is what it was: to the bit where a format keeps pixels, to the coefficient in a JPEG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import jpeglib
import numpy as np
import numpy.typing as npt
import photo_samples as samples
import pytest
import tifffile
from photo_samples import saved
from PIL import Image
from skimage import data

from uncnn.daemon.photos import Photo, decode, encode
from uncnn.daemon.photos.profiles import clean_profile
from uncnn.daemon.photos.reader import stored_again
from uncnn.plugins.api import Pixels

FACE = np.s_[40:104, 56:120]  # of a picture of 200 x 150; not on the lattice of blocks or units


def portrait() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((200, 150))


def deep_portrait(channels: int) -> npt.NDArray[np.uint16]:
    """Return a picture whose lower 8 bits matter."""
    generator = np.random.default_rng(3)
    plain = np.asarray(portrait().convert("RGBA")).astype(np.uint16) * 257
    noisy = plain.astype(np.int32) + generator.integers(-120, 120, plain.shape)
    return noisy.clip(0, 65535).astype(np.uint16)[..., :channels]


def cloaked(photo: Photo) -> Pixels:
    """Return the photo with what an attack may do to a face: a few levels up and down, smooth and rough."""
    generator = np.random.default_rng(7)
    pixels = photo.pixels.astype(np.int16)
    change = generator.integers(-6, 7, (*pixels[FACE].shape[:2], 1)) + np.linspace(-6, 6, 64).round()[:, None, None]
    pixels[FACE] += change.astype(np.int16)
    return pixels.clip(0, 255).astype(np.uint8)


def outside(shape: tuple[int, ...], margin: int = 0) -> npt.NDArray[np.bool_]:
    mask = np.ones(shape[:2], np.bool_)
    mask[40 - margin : 104 + margin, 56 - margin : 120 + margin] = False
    return mask


def png(pixels: npt.NDArray[Any]) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def tiff(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


LOSSLESS: dict[str, bytes] = {
    "PNG": saved(portrait(), "PNG"),
    "PNG in P3": saved(portrait(), "PNG", icc_profile=samples.display_p3()),
    "PNG, grey": saved(portrait().convert("L"), "PNG"),
    "PNG, grey in its own profile": saved(portrait().convert("L"), "PNG", icc_profile=samples.dark_grey()),
    "PNG, see-through": saved(portrait().convert("RGBA"), "PNG"),
    "PNG of 16 bits": png(deep_portrait(3)),
    "PNG of 16 bits, see-through": png(deep_portrait(4)),
    "PNG of 16 bits, grey": png(deep_portrait(1)[..., 0]),
    "TIFF": saved(portrait(), "TIFF", compression="tiff_lzw"),
    "TIFF, CMYK": saved(portrait().convert("CMYK"), "TIFF"),
    "TIFF of 16 bits": tiff(deep_portrait(3), photometric="rgb", compression="lzw", predictor=True),
    "TIFF of 16 bits in tiles": tiff(deep_portrait(3), photometric="rgb", tile=(64, 64), compression="zlib"),
    "TIFF of 16 bits in planes": tiff(np.moveaxis(deep_portrait(3), -1, 0), photometric="rgb", planarconfig="separate"),
    "TIFF of 16 bits, grey": tiff(deep_portrait(1)[..., 0], photometric="minisblack"),
    "TIFF of 16 bits, see-through": tiff(deep_portrait(4), photometric="rgb", extrasamples=["unassalpha"]),
    "BMP": saved(portrait(), "BMP"),
    "WebP": saved(portrait(), "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("what", LOSSLESS)
def test_a_lossless_photo_is_what_it_was_outside_of_the_face(what: str) -> None:
    photo = decode(LOSSLESS[what], what)
    pixels = cloaked(photo)
    again = decode(encode(photo, pixels).data, what)
    before, after = stored_again(photo), stored_again(again)
    assert after.samples.dtype == before.samples.dtype == (np.uint16 if "16 bits" in what else np.uint8)
    assert after.samples.shape == before.samples.shape
    beside = outside(before.samples.shape)
    assert np.array_equal(after.samples[beside], before.samples[beside])
    assert np.array_equal(again.pixels[beside], photo.pixels[beside])
    if before.alpha is not None:
        assert after.alpha is not None
        assert np.array_equal(after.alpha, before.alpha)
    wrong = again.pixels[FACE].astype(int) - pixels[FACE]
    if photo.grey:
        wrong = wrong[..., :1] - (wrong[..., :1] - wrong[..., :1].mean(axis=2, keepdims=True))
    exact = before.profile is None and "CMYK" not in what
    assert np.abs(wrong).max() <= (0 if exact else 12)
    assert np.abs(wrong).mean() <= (0 if exact else 1.5)
    assert again.grey == photo.grey
    assert np.array_equal(after.samples, before.samples) is False
    untouched = stored_again(decode(encode(photo, photo.pixels).data, what))
    assert np.array_equal(untouched.samples, before.samples)


def jpeg(**options: Any) -> bytes:
    image = options.pop("image", portrait())
    return saved(image, "JPEG", **({"quality": 87} | options))


def odd_jpeg(factor: int) -> bytes:
    written, content = cv2.imencode(".jpg", np.asarray(portrait()), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
    assert written
    return content.tobytes()


def turned() -> bytes:
    exif = Image.Exif()
    exif[samples.ORIENTATION] = 3
    return jpeg(exif=exif, subsampling="4:2:0")


JPEGS: dict[str, bytes] = {
    "4:4:4": jpeg(subsampling="4:4:4"),
    "4:2:2": jpeg(subsampling="4:2:2"),
    "4:2:0": jpeg(subsampling="4:2:0"),
    "4:4:0": odd_jpeg(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
    "4:1:1": odd_jpeg(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
    "progressive": jpeg(progressive=True),
    "with restart markers": jpeg(restart_marker_blocks=5),
    "with its own Huffman tables": jpeg(optimize=True),
    "of poor quality": jpeg(quality=30),
    "grey": jpeg(image=portrait().convert("L")),
    "RGB": jpeg(keep_rgb=True),
    "CMYK": jpeg(image=portrait().convert("CMYK")),
    "CMYK, progressive": jpeg(image=portrait().convert("CMYK"), progressive=True),
    "in P3": jpeg(icc_profile=samples.display_p3()),
    "upside down": turned(),
}


def coefficients(content: bytes, folder: Path) -> list[npt.NDArray[np.int16]]:
    file = folder / "file.jpg"
    file.write_bytes(content)
    jpeglib.version.set("turbo210")
    found = jpeglib.read_dct(str(file))
    return [each.copy() for each in (found.Y, found.Cb, found.Cr, found.K) if each is not None]


def touched(planes: list[npt.NDArray[np.int16]], height: int, width: int, upside_down: bool) -> list[Any]:
    """Return where each component's blocks may hold a part of the face."""
    found = []
    for plane in planes:
        down, across = (
            round(-(-size // 8) / blocks) for size, blocks in zip((height, width), plane.shape, strict=False)
        )
        mask = np.zeros((plane.shape[0] * 8 * down, plane.shape[1] * 8 * across), np.bool_)
        mask[FACE] = True
        if upside_down:
            mask[:height, :width] = mask[:height, :width][::-1, ::-1]
        found.append(mask.reshape(plane.shape[0], 8 * down, plane.shape[1], 8 * across).any(axis=(1, 3)))
    return found


@pytest.mark.parametrize("what", JPEGS)
def test_a_jpeg_keeps_the_coefficients_of_what_is_not_touched(what: str, tmp_path: Path) -> None:
    content = JPEGS[what]
    photo = decode(content, what)
    pixels = cloaked(photo)
    released = encode(photo, pixels)
    assert released.notes == ()
    before, after = coefficients(content, tmp_path), coefficients(released.data, tmp_path)
    height, width = photo.pixels.shape[:2]
    changed = 0
    for one, other, mask in zip(before, after, touched(before, height, width, what == "upside down"), strict=True):
        assert np.array_equal(one[~mask], other[~mask])
        changed += int((one[mask] != other[mask]).sum())
    assert changed > 40
    again = decode(released.data, what)
    assert again.encoding == photo.encoding
    assert again.grey == photo.grey
    assert len(released.data) <= 1.3 * len(content)
    beside = outside(photo.pixels.shape, margin=32)
    assert np.array_equal(again.pixels[beside], photo.pixels[beside])
    assert closeness(again.pixels, pixels) > closeness(photo.pixels, pixels) + (0.3 if what == "of poor quality" else 3)
    assert coefficients(encode(photo, photo.pixels).data, tmp_path)[0].tobytes() == before[0].tobytes()


def closeness(one: Pixels, other: Pixels) -> float:
    """Return the PSNR in the face."""
    return float(-10 * np.log10(np.mean((one[FACE].astype(float) - other[FACE]) ** 2) / 255**2))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", [60, 87, 97])
def test_the_change_comes_through_as_well_as_in_a_new_jpeg(subsampling: str, quality: int) -> None:
    photo = decode(jpeg(subsampling=subsampling, quality=quality), "photo.jpg")
    pixels = cloaked(photo)
    ours = decode(encode(photo, pixels).data, "ours.jpg").pixels
    anew = saved(
        Image.fromarray(pixels), "JPEG", qtables=list(photo.encoding.quantisation[:2]), subsampling=subsampling
    )
    assert closeness(ours, pixels) > closeness(decode(anew, "anew.jpg").pixels, pixels) - 0.3


PALETTES = {"PNG": {}, "GIF": {}, "TIFF": {}, "BMP": {}}


@pytest.mark.parametrize("photo_format", sorted(PALETTES))
def test_a_palette_is_kept_and_the_change_dithered_into_it(photo_format: str) -> None:
    image = portrait().quantize(128, dither=Image.Dither.FLOYDSTEINBERG)
    content = saved(image, photo_format)
    photo = decode(content, "palette")
    pixels = cloaked(photo)
    released = encode(photo, pixels).data
    after = Image.open(io.BytesIO(released))
    assert (after.mode, after.format) == ("P", photo_format)
    again = decode(released, "palette")
    colours = {tuple(colour) for colour in photo.pixels.reshape(-1, 3).tolist()}
    palette = {tuple(colour) for colour in np.array(image.getpalette("RGB")).reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in again.pixels.reshape(-1, 3).tolist()} <= colours | palette
    beside = outside(photo.pixels.shape)
    assert np.array_equal(again.pixels[beside], photo.pixels[beside])
    blurred = [
        cv2.GaussianBlur(each[FACE].astype(np.float32), (0, 0), 4) for each in (photo.pixels, pixels, again.pixels)
    ]
    assert np.abs(blurred[2] - blurred[1]).mean() < 0.6 * np.abs(blurred[0] - blurred[1]).mean()
    assert len(released) <= 1.3 * len(content)


def test_what_is_clear_in_a_palette_stays_clear() -> None:
    image = portrait().quantize(64)
    hole = image.getpixel((80, 60))
    for photo_format in ("PNG", "GIF"):
        photo = decode(saved(image, photo_format, transparency=hole), "hole")
        again = decode(encode(photo, cloaked(photo)).data, "hole")
        assert photo.alpha is not None
        assert again.alpha is not None
        assert 0 < (photo.alpha == 0).mean() < 1
        assert np.array_equal(again.alpha, photo.alpha)


def test_bits_are_kept_as_bits() -> None:
    bits = portrait().convert("1")
    for photo_format, options in (("PNG", {}), ("TIFF", {"compression": "group4"}), ("BMP", {})):
        content = saved(bits, photo_format, **options)
        released = encode(photo := decode(content, "bits"), photo.pixels).data
        assert Image.open(io.BytesIO(released)).mode == "1"
        assert len(released) <= 1.3 * len(content)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", (100_000).to_bytes(4, "big"))],
        [(b"gAMA", (45_455).to_bytes(4, "big")), (b"cHRM", bytes(28) + b"\0\0\1\0")],
        [(b"cICP", bytes((12, 13, 0, 1)))],
    ],
)
def test_what_a_png_says_of_its_colours_in_place_of_a_profile_is_kept(chunks: list[tuple[bytes, bytes]]) -> None:
    from uncnn.daemon.photos.png import chunks_of, with_chunks

    content = with_chunks(saved(portrait(), "PNG"), chunks)
    photo = decode(content, "gamma.png")
    names = dict(chunks_of(encode(photo, photo.pixels).data))
    assert {name: names.get(name) for name, _ in chunks} == dict(chunks)
    assert b"iCCP" not in names


def test_colours_beyond_srgb_stay_beyond_srgb() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255  # of Display P3: no red of sRGB is as strong
    photo = decode(saved(Image.fromarray(red), "PNG", icc_profile=samples.display_p3()), "red.png")
    pixels = photo.pixels.copy()
    pixels[16:48, 16:48, 0] -= 6
    stored = stored_again(decode(encode(photo, pixels).data, "red.png")).samples
    assert stored[0, 0].tolist() == [255, 0, 0]
    assert (np.abs(stored[32, 32].astype(int) - [249, 0, 0]) <= 3).all()


@pytest.mark.parametrize("photo_format", ["WEBP", "HEIF", "AVIF"])
def test_a_lossy_photo_does_not_grow(photo_format: str) -> None:
    content = saved(portrait(), photo_format, quality=40)
    photo = decode(content, "lossy")
    released = encode(photo, cloaked(photo)).data
    assert len(released) <= 1.3 * len(content)
    assert psnr(decode(released, "again").pixels, photo.pixels) > 33


def psnr(one: Pixels, other: Pixels) -> float:
    return float(-10 * np.log10(np.mean((one.astype(float) - other) ** 2) / 255**2))


def test_photos_of_every_kind_stay_within_their_size(shared_data: Path) -> None:
    paths = sorted((shared_data / "groups").iterdir())[::8] + sorted((shared_data / "people").rglob("*.jpg"))[::12]
    for path in paths:
        content = path.read_bytes()
        photo = decode(content, path.name)
        pixels = photo.pixels.copy()
        height, width = pixels.shape[0] // 3, pixels.shape[1] // 3
        part = pixels[height : 2 * height, width : 2 * width]
        part += np.random.default_rng(1).integers(0, 2, (*part.shape[:2], 1), dtype=np.uint8) * 5 * (part < 250)
        released = encode(photo, pixels)
        assert released.notes == ()
        assert len(released.data) <= 1.3 * len(content), path.name


@pytest.mark.parametrize("profile", [samples.display_p3(), samples.ink(), samples.dark_grey()])
def test_a_profile_that_was_cleaned_is_clean(profile: bytes) -> None:
    once = clean_profile(profile)
    assert clean_profile(once) == once
    assert len(once) == int.from_bytes(once[:4], "big")
    assert once[68:80] == profile[68:80]  # the light that its colours are seen in


def broken() -> dict[str, bytes]:
    whole, marked = jpeg(), jpeg(restart_marker_blocks=5)
    scan = 2 * len(whole) // 3
    return {
        "without its end": whole[:-2],
        "with something behind": whole + b"junk" * 9,
        "with fill bytes": whole[:2] + b"\xff\xff\xff" + whole[2:],
        "with something between": whole[:20] + b"\0\x12\x34" + whole[20:],
        "without JFIF": whole[:2] + whole[20:],
        "with a flipped bit": whole[:scan] + bytes([whole[scan] ^ 0x10]) + whole[scan + 1 :],
        "without a restart marker": marked.replace(b"\xff\xd3", b"", 1),
        "with nothing for a while": whole[:scan] + bytes(20) + whole[scan + 20 :],
        "with broken EXIF": jpeg(exif=b"Exif\0\0II*\0\xff\xff"),
        "with half of Adobe's word": whole[:2] + b"\xff\xee\0\x05Ado" + whole[2:],
    }


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("what", broken())
def test_a_jpeg_that_is_a_little_broken_goes_through(what: str, capfd: pytest.CaptureFixture[str]) -> None:
    photo = decode(broken()[what], what)
    pixels = cloaked(photo)
    again = decode(encode(photo, pixels).data, what)
    beside = outside(photo.pixels.shape, margin=32)
    assert np.array_equal(again.pixels[beside], photo.pixels[beside])
    assert closeness(again.pixels, pixels) > closeness(photo.pixels, pixels) + 3
    assert capfd.readouterr() == ("", "")

"""Photos through decode and encode: the same photo comes out, without what the file said about its owner."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
from photo_samples import EVERY, LOSSLESS, SECRET, oriented, picture, saved
from PIL import Image, ImageCms, JpegImagePlugin
from skimage import data

from uncnn.daemon.photos import Photo, PhotoError, decode, encode
from uncnn.plugins.api import Pixels

FORMATS = sorted(EVERY)
LOSSY_LEVELS = 12  # grey levels that a smooth picture moves by in a lossy format


def distance(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def psnr(one: Pixels, other: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


@pytest.mark.parametrize("photo_format", FORMATS)
def test_every_format_comes_back_as_itself(photo_format: str) -> None:
    image = picture()
    photo = decode(saved(image, photo_format, **EVERY[photo_format]), "wrong extension.txt")
    assert (photo.format, photo.grey, photo.alpha, photo.notes) == (photo_format, False, None, ())
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.pixels.dtype == np.uint8
    assert distance(photo.pixels, np.asarray(image)) <= (0 if photo_format in LOSSLESS else LOSSY_LEVELS)
    again = decode(encode(photo, photo.pixels).data, "again")
    assert (again.format, again.encoding) == (photo_format, photo.encoding)
    assert distance(again.pixels, photo.pixels) <= (0 if photo_format in LOSSLESS else LOSSY_LEVELS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("photo_format", [name for name in FORMATS if name != "BMP"])
def test_every_orientation_is_seen_upright_and_stays_as_it_is_stored(photo_format: str, orientation: int) -> None:
    image = picture()
    photo = decode(oriented(image, photo_format, orientation), "turned")
    allowed = 0 if photo_format in LOSSLESS else LOSSY_LEVELS
    assert distance(photo.pixels, np.asarray(image)) <= allowed
    turning = photo_format in ("JPEG", "PNG", "WEBP", "AVIF")
    assert photo.orientation == (orientation if turning else 1)
    changed = photo.pixels.copy()
    changed[8:24, 16:40] = 200
    released = encode(photo, changed).data
    assert opened(released).getexif().get(samples.ORIENTATION, 1) == photo.orientation
    again = decode(released, "again")
    assert distance(again.pixels[:, 48:], np.asarray(image)[:, 48:]) <= 2 * allowed
    assert distance(again.pixels[10:22, 18:38], changed[10:22, 18:38]) <= 2 * allowed
    other = encode(photo, changed, "PNG" if photo_format != "PNG" else "WEBP").data
    assert decode(other, "other").orientation == 1
    assert np.array_equal(decode(other, "other").pixels, changed)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_leaves_the_photo_as_it_is() -> None:
    content = saved(picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(content, "broken exif").pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("photo_format", FORMATS)
def test_nothing_that_was_planted_comes_out(photo_format: str) -> None:
    content = samples.with_secrets(photo_format)
    assert SECRET in content
    photo = decode(content, "planted")
    released = encode(photo, photo.pixels).data
    assert SECRET not in released
    kept = opened(released)
    assert not dict(kept.getexif()) or photo_format == "TIFF"
    assert not {"exif", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & {k for k, v in kept.info.items() if v}


def test_no_second_picture_is_in_a_released_jpeg() -> None:
    photo = decode(samples.with_secrets("JPEG"), "planted")
    released = encode(photo, photo.pixels).data
    assert released.count(b"\xff\xd8\xff") == 1
    assert released.endswith(b"\xff\xd9")


def test_a_second_picture_in_the_file_is_left_out_and_said(astronaut: Image.Image) -> None:
    content = saved(astronaut, "MPO", save_all=True, append_images=[picture()])
    photo = decode(content, "stereo.jpg")
    assert photo.format == "JPEG"
    assert photo.pixels.shape == (512, 512, 3)
    assert photo.notes == ("further pictures in the file (MPO) are left out",)
    assert encode(photo, photo.pixels).data.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("photo_format", sorted(LOSSLESS))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_lossless_formats_give_back_exactly_the_pixels_given(photo_format: str, mode: str) -> None:
    if photo_format == "BMP" and mode in ("RGBA", "LA"):
        pytest.skip("Pillow reads no transparency from BMP")
    generator = np.random.default_rng(1)
    image = picture().convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(generator.integers(0, 256, (64, 96), dtype=np.uint8)))
    photo = decode(saved(image, photo_format, **LOSSLESS[photo_format]), "lossless")
    changed = generator.integers(0, 256, photo.pixels.shape, dtype=np.uint8)
    if photo.grey:
        changed = np.repeat(changed[..., :1], 3, axis=-1)
    again = decode(encode(photo, changed).data, "again")
    assert np.array_equal(again.pixels, changed)
    assert again.grey == photo.grey == (mode in ("L", "LA") and photo_format != "WEBP")
    assert (again.alpha is None) == (photo.alpha is None) == (not mode.endswith("A"))
    if photo.alpha is not None and again.alpha is not None:
        assert np.array_equal(again.alpha, np.asarray(image.getchannel("A")))
        assert np.array_equal(again.alpha, photo.alpha)


@pytest.mark.parametrize("photo_format", ["HEIF", "AVIF", "WEBP"])
def test_lossy_formats_keep_transparency(photo_format: str) -> None:
    image = picture()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    photo = decode(saved(image, photo_format), "clear")
    again = decode(encode(photo, photo.pixels).data, "again")
    assert photo.alpha is not None
    assert again.alpha is not None
    assert np.abs(again.alpha.astype(int) - np.asarray(image.getchannel("A"))).max() <= 3


@pytest.mark.parametrize("photo_format", ["JPEG", "PNG", "TIFF", "HEIF", "AVIF", "BMP"])
@pytest.mark.parametrize("transparent", [False, True])
def test_grey_stays_grey(photo_format: str, transparent: bool) -> None:
    photo = decode(saved(picture().convert("L"), "PNG"), "grey.png")
    if transparent:
        if photo_format in ("JPEG", "BMP"):
            pytest.skip(f"{photo_format} cannot store transparency")
        image = picture().convert("LA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        photo = decode(saved(image, "PNG"), "grey.png")
    tinted = photo.pixels.copy()
    tinted[..., 2] //= 2
    again = decode(encode(photo, tinted, photo_format).data, "grey")  # type: ignore[arg-type]
    assert again.grey
    assert (again.pixels == again.pixels[..., :1]).all()
    assert (again.alpha is not None) == transparent
    assert "icc_profile" not in opened(encode(photo, tinted).data).info


def test_palettes_are_seen_in_colour_or_grey() -> None:
    coloured = decode(saved(picture().convert("P"), "PNG"), "palette.png")
    assert not coloured.grey
    grey_palette = picture().convert("L").convert("P")
    grey = decode(saved(grey_palette, "PNG"), "palette.png")
    assert grey.grey
    assert np.array_equal(grey.pixels, np.asarray(grey_palette.convert("RGB")))
    clear = picture().convert("P")
    with_hole = decode(saved(clear, "PNG", transparency=clear.getpixel((0, 0))), "hole.png")
    assert with_hole.alpha is not None
    assert with_hole.alpha.min() == 0
    assert with_hole.alpha.max() == 255
    assert decode(saved(picture().convert("1"), "PNG"), "bits.png").grey


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_its_tables_and_chroma(astronaut: Image.Image, subsampling: str, progressive: bool) -> None:
    content = saved(astronaut, "JPEG", quality=83, subsampling=subsampling, progressive=progressive, dpi=(300, 300))
    photo = decode(content, "photo.jpg")
    released = encode(photo, photo.pixels).data
    before, after = opened(content), opened(released)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
    assert bool(after.info.get("progressive")) == progressive
    assert after.info["dpi"] == (300, 300)
    assert psnr(decode(released, "again").pixels, photo.pixels) > 43
    assert len(released) < 1.1 * len(content)


def test_a_jpeg_of_three_tables_keeps_all_three() -> None:
    tables = [[step] * 64 for step in (3, 5, 7)]
    content = saved(picture(), "JPEG", qtables=tables, subsampling=0)
    photo = decode(content, "three.jpg")
    assert [table[0] for table in photo.encoding.quantisation] == [3, 5, 7]
    released = opened(encode(photo, photo.pixels).data)
    assert isinstance(released, JpegImagePlugin.JpegImageFile)
    assert [released.quantization[layer[3]][0] for layer in released.layer] == [3, 5, 7]


@pytest.mark.parametrize("factor", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411])
def test_chroma_that_pillow_cannot_write_becomes_full(factor: int) -> None:
    written, content = cv2.imencode(".jpg", np.asarray(picture()), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
    assert written
    assert decode(content.tobytes(), "odd.jpg").encoding.subsampling == "4:4:4"


def test_the_tables_of_a_jpeg_stay_with_what_is_stored() -> None:
    table = list(range(1, 65))
    exif = Image.Exif()
    exif[samples.ORIENTATION] = 6
    content = saved(picture(), "JPEG", qtables=[table, table], subsampling="4:2:2", exif=exif, dpi=(100, 200))
    photo = decode(content, "sideways.jpg")
    assert photo.encoding.quantisation == (tuple(range(1, 65)),) * 3
    assert photo.encoding.subsampling == "4:2:2"
    assert photo.encoding.dots_per_inch == (100, 200)
    assert decode(encode(photo, photo.pixels).data, "again").encoding == photo.encoding


@pytest.mark.parametrize("photo_format", ["PNG", "TIFF", "BMP"])
def test_resolution_is_kept(photo_format: str) -> None:
    photo = decode(saved(picture(), photo_format, dpi=(200, 200)), "dpi")
    kept = decode(encode(photo, photo.pixels).data, "again").encoding.dots_per_inch
    assert kept == pytest.approx((200, 200), abs=0.02)


def test_a_resolution_that_no_file_gives_is_not_made_up() -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    assert decode(saved(picture(), "JPEG", exif=exif), "plain.jpg").encoding.dots_per_inch is None
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 240.0, 2
    assert decode(saved(picture(), "JPEG", exif=exif), "said.jpg").encoding.dots_per_inch == (240, 240)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_is_written_without_loss(compression: str) -> None:
    photo = decode(saved(picture(), "TIFF", compression=compression), "scan.tif")
    released = encode(photo, photo.pixels).data
    assert np.array_equal(decode(released, "again").pixels, photo.pixels)
    assert opened(released).info["compression"] == compression


def test_a_wide_profile_is_applied_and_stays_in_the_file() -> None:
    image = picture()
    photo = decode(saved(image, "PNG", icc_profile=samples.display_p3()), "wide.png")
    assert photo.notes == ()
    assert distance(photo.pixels, np.asarray(image)) > 10
    released = encode(photo, photo.pixels).data
    described = ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(opened(released).info["icc_profile"]))
    )
    assert described.strip() == "RGB profile"
    assert np.array_equal(np.asarray(opened(released)), np.asarray(image))
    assert np.array_equal(decode(released, "again").pixels, photo.pixels)


def test_an_srgb_profile_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    photo = decode(saved(Image.fromarray(noise), "PNG", icc_profile=profile), "srgb.png")
    assert np.array_equal(photo.pixels, noise)
    assert photo.notes == ()


@pytest.mark.parametrize("profile", [b"nonsense", b"", samples.display_p3()[:200], samples.ink()])
def test_a_broken_profile_is_ignored_and_said(profile: bytes) -> None:
    content = saved(picture(), "PNG", icc_profile=profile) if profile else saved(picture(), "PNG")
    photo = decode(content, "broken.png")
    assert photo.notes == (("its colour profile is damaged and was ignored",) if profile else ())
    assert np.array_equal(photo.pixels, np.asarray(picture()))


def test_grey_profiles_are_applied_and_stay_grey() -> None:
    grey = picture().convert("L")
    photo = decode(saved(grey, "JPEG", quality=95, icc_profile=samples.dark_grey()), "linear.jpg")
    assert photo.grey
    assert photo.pixels.mean() > np.asarray(grey).mean() + 30
    assert (photo.pixels == photo.pixels[..., :1]).all()
    coloured = decode(saved(grey, "PNG", icc_profile=samples.display_p3()), "grey in P3.png")
    assert coloured.grey
    assert distance(coloured.pixels, np.asarray(grey.convert("RGB"))) <= 1


@pytest.mark.parametrize("profile", [samples.ink(), None, b"nonsense"])
def test_cmyk_is_seen_in_srgb_and_stays_cmyk(profile: bytes | None) -> None:
    inks = picture().convert("CMYK")
    photo = decode(saved(inks, "JPEG", quality=95, icc_profile=profile), "print.jpg")
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.pixels[:, :, 0].std() > 5
    assert photo.notes == (("its colour profile is damaged and was ignored",) if profile == b"nonsense" else ())
    changed = photo.pixels.copy()
    changed[16:32, 16:48] = changed[16:32, 16:48] // 2 + 40
    released = encode(photo, changed).data
    assert opened(released).mode == "CMYK"
    again = decode(released, "again")
    assert np.array_equal(again.pixels[32:], photo.pixels[32:])
    if profile != samples.ink():  # it tells no way back from sRGB: the inks take the change as it is
        assert np.abs(again.pixels[18:30, 18:46].astype(int) - changed[18:30, 18:46]).mean() < 4
    in_rgb = encode(photo, changed, "PNG")
    assert in_rgb.notes == ("its CMYK colours become sRGB: PNG cannot store CMYK",)


def test_a_change_of_black_ink_comes_through(astronaut: Image.Image) -> None:
    inks = astronaut.resize((200, 150)).convert("CMYK")
    photo = decode(saved(inks, "JPEG", quality=95, icc_profile=samples.ink(back=True)), "print.jpg")
    changed = photo.pixels.copy()
    changed[40:104, 56:120] = changed[40:104, 56:120] // 2 + 20
    released = encode(photo, changed)
    again = decode(released.data, "again")
    before, after = (
        np.abs(each[40:104, 56:120].astype(int) - changed[40:104, 56:120]) for each in (photo.pixels, again.pixels)
    )
    assert after.mean() < 0.5 * before.mean()
    assert opened(released.data).mode == "CMYK"


@pytest.mark.slow
def test_another_format_and_quality_may_be_chosen(astronaut: Image.Image) -> None:
    photo = decode(saved(astronaut, "PNG"), "a.png")
    for chosen in FORMATS:
        assert decode(encode(photo, photo.pixels, chosen).data, "b").format == chosen  # type: ignore[arg-type]
    for chosen in ("JPEG", "WEBP", "HEIF", "AVIF"):
        small, large = (encode(photo, photo.pixels, chosen, quality).data for quality in (40, 95))  # type: ignore[arg-type]
        assert 2 * len(small) < len(large)
    assert np.array_equal(decode(encode(photo, photo.pixels, "WEBP").data, "c").pixels, photo.pixels)


def test_what_a_format_cannot_hold_is_said() -> None:
    image = picture().convert("RGBA")
    image.putalpha(128)
    clear = decode(saved(image, "PNG"), "clear.png")
    for chosen in ("JPEG", "BMP"):
        with pytest.raises(PhotoError, match=r"set output\.format to png or webp") as caught:
            encode(clear, clear.pixels, chosen)  # type: ignore[arg-type]
        assert caught.value.kind == "unwritable"
    wide = decode(saved(Image.new("RGB", (17_000, 1)), "PNG"), "wide.png")
    with pytest.raises(PhotoError, match="17000 x 1 cannot be written as WEBP"):
        encode(wide, wide.pixels, "WEBP")
    with pytest.raises(ValueError, match="for a photo of"):
        encode(wide, clear.pixels)


OPAQUE = {
    "RGBA": ("RGBA", "PNG", {}),
    "LA": ("LA", "PNG", {}),
    "palette": ("P", "PNG", {"transparency": b"\xff" * 200}),
    "palette, a colour that is nowhere": ("P", "PNG", {"transparency": b"\xff" * 255 + b"\0"}),
    "WebP": ("RGBA", "WEBP", {"lossless": True}),
    "TIFF": ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("RGBA", "AVIF", {}),
    "HEIC": ("RGBA", "HEIF", {}),
}


@pytest.mark.parametrize("chosen", ["JPEG", "BMP"])
@pytest.mark.parametrize("kind", OPAQUE)
def test_an_opacity_that_says_nothing_is_no_transparency(kind: str, chosen: str) -> None:
    mode, photo_format, options = OPAQUE[kind]
    image = picture().quantize(200) if mode == "P" else picture().convert(mode)
    photo = decode(saved(image, photo_format, **options), "screenshot")
    released = encode(photo, photo.pixels, chosen)  # type: ignore[arg-type]
    again = decode(released.data, "again")
    assert again.format == chosen
    assert again.alpha is None
    off = np.abs(again.pixels.astype(int) - photo.pixels)
    assert off.mean() <= (0 if chosen == "BMP" else 3)


def test_a_deep_png_whose_opacity_says_nothing_becomes_a_jpeg() -> None:
    deep = np.dstack([np.asarray(picture()).astype(np.uint16) * 257, np.full((64, 96), 65535, np.uint16)])
    photo = decode(imagecodecs.png_encode(deep), "deep.png")
    assert photo.alpha is not None
    assert decode(encode(photo, photo.pixels, "JPEG").data, "again").alpha is None
    deep[3, 4, 3] = 0
    holed = decode(imagecodecs.png_encode(deep), "holed.png")
    with pytest.raises(PhotoError, match=r"set output\.format to png or webp"):
        encode(holed, holed.pixels, "JPEG")


@pytest.mark.parametrize("photo_format", ["JPEG", "PNG"])
def test_nothing_of_pillow_is_imported_at_the_first_photo(photo_format: str, tmp_path: Path) -> None:
    """It would be in the sandbox, where what Python compiles of it is not kept."""
    (tmp_path / "a").write_bytes(saved(picture(), photo_format))
    program = (
        "import sys; from uncnn.daemon.photos import decode, encode\n"
        "before = set(sys.modules)\n"
        "p = decode(open(sys.argv[1], 'rb').read(), 'a'); encode(p, p.pixels)\n"
        "print(*(name for name in set(sys.modules) - before if name.startswith('PIL')))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], check=True, capture_output=True)
    assert done.stdout.split() == []


def test_the_same_photo_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    content = saved(picture(), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    program = (
        "import sys; from uncnn.daemon.photos import decode, encode\n"
        "p = decode(open(sys.argv[1], 'rb').read(), 'a'); sys.stdout.buffer.write(encode(p, p.pixels).data)\n"
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    released = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.jpg")], check=True, capture_output=True
    ).stdout
    photo = decode(content, "a")
    assert encode(photo, photo.pixels).data == released


def test_real_photos_keep_their_look_and_their_size(shared_data: Path) -> None:
    paths = sorted((shared_data / "groups").iterdir())[::5] + sorted((shared_data / "people").rglob("*.jpg"))[::9]
    assert len(paths) > 10
    for path in paths:
        content = path.read_bytes()
        photo: Photo = decode(content, path.name)
        released = encode(photo, photo.pixels).data
        assert len(released) <= 1.3 * len(content), path.name
        assert psnr(decode(released, path.name).pixels, photo.pixels) > 38, path.name

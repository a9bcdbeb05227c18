"""One portrait in every kind of file down the whole path: cloaked, checked on its own bytes, and still of its kind."""

from __future__ import annotations

import io
import json
from pathlib import Path

import imagecodecs
import numpy as np
import photo_samples as samples
import pytest
import tifffile
from models_home import ModelsHome
from photo_samples import saved, stored_turned
from PIL import Image

from uncnn.daemon.photos import decode
from uncnn.daemon.photos.reader import stored_again


def portrait() -> Image.Image:
    skimage = pytest.importorskip("skimage")
    return Image.fromarray(skimage.data.astronaut()).crop((100, 0, 400, 300)).resize((256, 256))


def deep() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.asarray(portrait()).astype(np.uint16) * 257


def deep_tiff() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, deep(), photometric="rgb", compression="lzw", predictor=True)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[samples.ORIENTATION] = 7
    return saved(stored_turned(portrait(), 7), "JPEG", quality=90, exif=exif)


def kinds() -> dict[str, bytes]:
    image = portrait()
    return {
        "mirrored.jpg": turned(),
        "grey.jpg": saved(image.convert("L"), "JPEG", quality=90),
        "inks.jpg": saved(image.convert("CMYK"), "JPEG", quality=90),
        "wide.jpg": saved(image, "JPEG", quality=90, progressive=True, icc_profile=samples.display_p3()),
        "deep.png": bytes(imagecodecs.png_encode(deep())),
        "palette.gif": saved(image.quantize(256), "GIF"),
        "lossy.webp": saved(image, "WEBP", quality=85),
        "deep.tif": deep_tiff(),
        "phone.heic": saved(image, "HEIF", quality=80),
        "new.avif": saved(image, "AVIF", quality=80),
    }


@pytest.mark.slow
def test_every_kind_of_file_is_cloaked_and_stays_of_its_kind(own_detector_folder: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, content in kinds().items():
        (source / name).write_bytes(content)
    home = ModelsHome(tmp_path / "home").having(own_detector_folder)
    answer = home.run("cloak", *sorted(source.iterdir()), "-o", out, "--json")
    assert answer.returncode == 0, answer.stderr
    photos = {Path(photo["photo"]).name: photo for photo in json.loads(answer.stdout)["photos"]}
    assert photos.keys() == kinds().keys()
    for name, content in kinds().items():
        assert photos[name]["status"] == "published", photos[name]
        before, after = decode(content, name), decode((out / name).read_bytes(), name)
        assert (after.format, after.grey, after.orientation) == (before.format, before.grey, before.orientation)
        assert (after.profile, after.encoding.progressive) == (before.profile, before.encoding.progressive)
        one, other = stored_again(before), stored_again(after)
        assert (one.samples.dtype, one.samples.shape) == (other.samples.dtype, other.samples.shape), name
        assert (one.palette is None) == (other.palette is None)
        assert 0.2 < np.abs(after.pixels.astype(int) - before.pixels).mean() < 6
        assert (out / name).stat().st_size <= 1.3 * len(content)

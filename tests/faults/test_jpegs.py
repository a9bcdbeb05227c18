"""JPEGs that are odd and no damage at all, or damaged and read nevertheless: their change lands where it belongs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from originals import MAKERS
from photo_samples import saved, segment
from PIL import Image
from round_trip import photo

from uncnn.daemon.photos import PhotoError, Released, decode, encode
from uncnn.daemon.photos.jpeg import bare, markers
from uncnn.plugins.api import Pixels

ODD = ["JPEG CMYK", "JPEG YCCK", "JPEG RGB", "JPEG Adobe RGB", "JPEG 4:4:4", "JPEG progressive", "JPEG restarts"]
FACE = np.s_[32:64, 32:64]


def changed(data: bytes) -> tuple[Pixels, Pixels, Released, Pixels]:
    """Return a photo, the photo that was asked for, what was written of it, and how that is seen."""
    before = decode(data, "photo")
    wanted = before.pixels.copy()
    wanted[FACE] = np.clip(wanted[FACE] + np.array((24, -16, 8)), 0, 255)
    released = encode(before, wanted)
    return before.pixels, wanted, released, decode(released.data, "released photo").pixels


@pytest.mark.parametrize("kind", ODD)
def test_a_change_is_seen_as_it_was_asked_for(kind: str) -> None:
    before, wanted, released, after = changed(MAKERS[kind](photo()))
    assert released.notes == ()
    inside = np.s_[36:60, 36:60]
    asked, came = ((each[inside].astype(float) - before[inside]).mean(axis=(0, 1)) for each in (wanted, after))
    assert np.abs(came - asked).max() < 5
    assert np.array_equal(after[80:], before[80:])


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xFE])
@pytest.mark.parametrize("number", [49, 51, 3000])
def test_a_jpeg_may_say_much_and_keeps_its_coefficients(marker: int, number: int) -> None:
    data = saved(photo(), "JPEG")
    before, _, released, after = changed(data[:2] + segment(marker, b"said") * number + data[2:])
    assert released.notes == ()
    assert np.array_equal(after[80:], before[80:])


def test_what_is_said_between_scans_is_left_out_too() -> None:
    data = saved(photo(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    talkative = data[:last] + segment(0xE5, b"said") * 200 + data[last:]
    before, _, released, after = changed(talkative)
    assert released.notes == ()
    assert np.array_equal(after[80:], before[80:])
    assert bare(talkative) == bare(data) == data
    assert [marker for marker, _ in markers(data)].count(0xDA) > 5


@pytest.mark.parametrize("marker", [0x01, 0xD0, 0xFF])
def test_markers_without_a_length_hide_nothing(marker: int) -> None:
    data = saved(photo(), "JPEG")
    hiding = data[:2] + bytes((0xFF, marker)) + segment(0xE5, b"said") + data[2:]
    assert b"said" not in bare(hiding)


def test_a_step_of_zero_is_compressed_anew() -> None:
    data = bytearray(saved(photo(), "JPEG"))
    table = data.index(b"\xff\xdb\0\x43") + 5
    data[table + 5] = 0
    *_, released, after = changed(bytes(data))
    assert released.notes == (
        "the whole picture was compressed again: the unchanged parts of this kind of JPEG cannot be copied",
    )
    assert after.shape == (96, 96, 3)


def test_a_fault_of_the_machine_is_not_the_photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        changed(saved(photo(), "JPEG"))


def test_a_lack_of_memory_is_not_the_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_given: object) -> None:
        raise MemoryError

    monkeypatch.setattr("uncnn.daemon.photos.formats.jpeg.rewritten", fails)
    with pytest.raises(MemoryError):
        changed(saved(photo(), "JPEG"))


def test_a_change_at_the_edge_of_what_can_be_stored_is_written() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    before, wanted, released, after = changed(saved(Image.fromarray(stripes), "JPEG", quality=100, subsampling=0))
    assert released.notes == ()
    assert np.abs(after[FACE].astype(int) - wanted[FACE]).mean() < 4
    assert np.array_equal(after[80:], before[80:])


def test_a_jpeg_that_libjpeg_gives_up_says_nothing_on_the_terminal() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import jpeglib._bind as bind, numpy as np\n"
        "from photo_samples import picture, saved\n"
        "from uncnn.daemon.photos import decode, encode\n"
        "photo = decode(saved(picture(), 'JPEG'), 'photo')\n"
        "own = bind.CJpegLib.read_jpeg_dct.__func__\n"
        "def fails(cls, srcfile, *more, **named): return own(cls, srcfile + 'x', *more, **named)\n"
        "bind.CJpegLib.read_jpeg_dct = classmethod(fails)\n"
        "assert encode(photo, photo.pixels ^ 8).notes\n"
    )
    folder = str(Path(samples.__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_an_odd_number_of_components_is_one_line() -> None:
    data = saved(photo(), "JPEG")
    frame = data.index(b"\xff\xc0")
    with pytest.raises(PhotoError) as caught:
        decode(data[: frame + 9] + b"\2" + data[frame + 10 :], "photo")
    assert caught.value.kind == "damaged"

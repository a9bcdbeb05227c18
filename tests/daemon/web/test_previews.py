"""Pictures of photos: made by another process, upright, sRGB, small, and of nothing but what was asked for."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served_page import ServedPage

from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.web import previews as module
from uncnn.daemon.web.previews import PreviewError, Previews


@pytest.fixture
def previews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Previews]:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    (tmp_path / "kept").mkdir()
    made = Previews(tmp_path / "kept")
    yield made
    made.close()


def photo(folder: Path) -> Path:
    """Return a photo of 600 x 400 that lies on its side, red above and blue below, with a place and a thumbnail."""
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[:, :300, 2] = pixels[:, 300:, 0] = 255  # turned by 90 degrees: the right becomes the top
    exif = Image.Exif()
    exif[0x0112] = 8
    exif[0x010E] = "a secret"
    file = folder / "photo.jpg"
    Image.fromarray(pixels).save(file, exif=exif, quality=95)
    return file


def test_a_picture_is_upright_small_and_says_nothing(previews: Previews, tmp_path: Path) -> None:
    file = photo(tmp_path)
    put = partial(shutil.copyfile, file)
    picture = previews.of("a", "small", "photo.jpg", put)
    small = picture.file
    assert picture.photo_size == (400, 600)
    assert small.stat().st_mode & 0o777 == 0o600
    with Image.open(small) as opened:
        assert (opened.format, opened.size) == ("JPEG", (213, 320))
        assert dict(opened.getexif()) == {}
        assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
        red, blue = opened.getpixel((100, 20)), opened.getpixel((100, 300))
    assert red[0] > 200 > 50 > red[2]
    assert blue[2] > 200 > 50 > blue[0]
    assert b"secret" not in small.read_bytes()
    with Image.open(previews.of("a", "whole", "photo.jpg", put).file) as opened:
        assert opened.size == (400, 600)


def test_a_picture_is_made_once(previews: Previews, tmp_path: Path) -> None:
    put = partial(shutil.copyfile, photo(tmp_path))
    first = previews.of("a", "small", "photo.jpg", put)

    def never(_target: Path) -> None:
        raise AssertionError

    assert previews.of("a", "small", "photo.jpg", never) == first
    first.file.unlink()
    previews.of("a", "small", "photo.jpg", put)
    assert first.file.exists()


def test_what_is_no_photo_is_refused_and_the_next_one_made(previews: Previews, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"words\.txt"):
        previews.of("a", "small", "words.txt", lambda target: target.write_text("no photo") and None)
    assert previews.of("b", "small", "photo.jpg", partial(shutil.copyfile, photo(tmp_path))).file.exists()
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_process_that_died_is_started_again(previews: Previews, tmp_path: Path) -> None:
    put = partial(shutil.copyfile, photo(tmp_path))
    previews.of("a", "small", "photo.jpg", put)
    assert previews._child is not None
    assert previews._child.pid is not None
    os.kill(previews._child.pid, 9)
    previews._child._process.join()
    previews.of("b", "small", "photo.jpg", put)


def test_an_idle_process_ends_and_its_folder_goes(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = partial(shutil.copyfile, photo(tmp_path))
    previews.of("a", "small", "photo.jpg", put)
    previews.close_idle()
    assert previews._child is not None
    monkeypatch.setattr(module, "IDLE_SECONDS", -1.0)
    previews.close_idle()
    assert previews._child is None
    assert list((tmp_path / "state" / "spool").iterdir()) == []
    previews.of("b", "small", "photo.jpg", put)


def test_the_oldest_of_too_many_pictures_go(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = partial(shutil.copyfile, photo(tmp_path))
    made = [previews.of(name, "small", "photo.jpg", put).file for name in "abc"]
    for age, file in enumerate(made):
        changed = file.stat().st_mtime - 10 * age
        os.utime(file, (changed, changed))
    (tmp_path / "kept" / "a.photo").write_bytes(b"no picture")
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    previews.close_idle()
    assert [file.exists() for file in made] == [True, True, False]
    os.utime(made[0], (0, 0))
    previews.close_idle()
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == ["a.photo", made[1].name]


def _link(picture: Path) -> None:
    picture.symlink_to("/etc/passwd")


def _folder(picture: Path) -> None:
    picture.mkdir()


def _large(picture: Path) -> None:
    with picture.open("wb") as writer:
        writer.truncate(module.LARGEST + 1)


@pytest.mark.parametrize("make", [_link, _folder, _large])
def test_what_a_process_makes_is_not_taken_unless_it_is_a_plain_file(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    picture, made = tmp_path / "photo.preview", tmp_path / "made.jpg"
    make(picture)
    with pytest.raises(PreviewError):
        module._copy(picture, made)
    assert not made.exists()


def test_the_page_shows_a_photo_and_its_copy(cleared_page: ServedPage, tmp_path: Path) -> None:
    """The copy of the stub is no photo."""
    page = cleared_page
    known = page.until_done(page.put("a.jpg", photo(tmp_path).read_bytes())["id"])
    answer = page.ask("GET", f"/photos/{known['id']}/original/small.jpg")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.body)) as opened:
        assert opened.size == (213, 320)
    assert page.ask("GET", f"/photos/{known['id']}/cloaked/small.jpg").status == 422
    for path in ("original/huge.jpg", "photo/small.jpg", "original/small.png", "original/..%2fsmall.jpg"):
        assert page.ask("GET", f"/photos/{known['id']}/{path}").status in {404, 405}, path
    page.ask("POST", f"/photos/{known['id']}/forget", b"")
    assert list(page.folder.iterdir()) == []

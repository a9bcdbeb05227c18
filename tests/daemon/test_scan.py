"""The scan of a watched folder: what it takes, what it leaves, and what it says it cannot take."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from uncnn.daemon.files.scan import Found, ScanError, candidates, is_ignored, is_photo_name

IGNORED = [
    *(".hidden.jpg", "a.jpg.part", "a.partial", "a.crdownload", "a.download", "a.filepart", "a.jpg.TMP", "a.temp"),
    *("a.jpg~", "~$a.jpg", ".~lock.a.jpg#", "._a.jpg", ".syncthing.a.jpg.tmp", "~syncthing~a.jpg", "Thumbs.db"),
    *("thumbs.DB", "desktop.ini", "@eaDir", "__MACOSX", ".stversions", ".Trash-1000", ".uncnn-0123.part"),
]


def names(watch: Path) -> list[str]:
    return [str(found.relative) for found in candidates(watch)]


@pytest.mark.parametrize("name", IGNORED)
def test_unfinished_and_foreign_names_are_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", ["a.jpg", "part.jpg", "a.part.jpg", "Thumbs.db.jpg", "~a.jpg", "a~b.png"])
def test_other_names_are_not(name: str) -> None:
    assert not is_ignored(name)
    assert is_photo_name(name)


@pytest.mark.parametrize("name", ["a.JPG", "a.JpEg", "a.heic", "a.HIF", "a.tif", "a.AVIF", "a.CR2", "a.nef", "a\n.gif"])
def test_photo_names_are_known_in_any_case(name: str) -> None:
    assert is_photo_name(name)


@pytest.mark.parametrize("name", ["a.xmp", "a.aae", "a.mov", "a.txt", "jpg", ".jpg", "a.jpg.xmp", "a.jpgx"])
def test_sidecars_and_others_are_no_photos(name: str) -> None:
    assert not is_photo_name(name)


def test_photos_come_in_a_fixed_order_with_their_identity(tmp_path: Path) -> None:
    for name in (
        "b.jpg",
        "a.PNG",
        "sub/deep/c.heic",
        "sub/a.xmp",
        "sub/b.txt",
        "@eaDir/x.jpg",
        ".cache/y.jpg",
        "Z.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assert names(tmp_path) == ["Z.jpg", "a.PNG", "b.jpg", "sub/deep/c.heic"]
    assert list(candidates(tmp_path)) == list(candidates(tmp_path))
    found = next(candidates(tmp_path))
    state = (tmp_path / "Z.jpg").stat()
    assert found == Found(
        Path("Z.jpg"), 5, state.st_mtime_ns, state.st_ctime_ns, state.st_dev, state.st_ino, refused=None
    )


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"x")
    watch = tmp_path / "watch"
    watch.mkdir()
    (watch / "folder").symlink_to(outside)
    (watch / "round").symlink_to(watch)
    (watch / "link.jpg").symlink_to(outside / "secret.jpg")
    (found,) = candidates(watch)
    assert found.relative == Path("link.jpg")
    assert found.refused == "it is a symbolic link: put the photo itself there"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket.jpg"))
        (tmp_path / "folder.jpg").mkdir()
        (tmp_path / "folder.jpg" / "a.jpg").touch()
        found = list(candidates(tmp_path))
    assert [(str(entry.relative), entry.refused is None) for entry in found] == [
        ("fifo.jpg", False),
        ("socket.jpg", False),
        ("folder.jpg/a.jpg", True),
    ]


def test_strange_names_are_found(tmp_path: Path) -> None:
    strange = [os.fsdecode(b"\xff\xfe.jpg"), "a\nb.jpg", "é.jpg", "e\u0301.jpg", "x" * 251 + ".jpg"]
    for name in strange:
        (tmp_path / name).touch()
    assert sorted(names(tmp_path)) == sorted(strange)


def test_a_deep_tree_is_walked_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
        folder.mkdir()
    (folder / "a.jpg").touch()
    assert names(tmp_path) == ["d/" * 300 + "a.jpg"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ScanError, match="cannot be read"):
            list(candidates(path))


def test_a_folder_that_vanishes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").touch()
    scan = candidates(tmp_path)
    assert next(scan).relative == Path("a/x.jpg")
    (tmp_path / "b" / "x.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert list(scan) == []

"""The scan of a watched folder: what it takes, what it leaves, and what it says it cannot take."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from uncnn.daemon.files.names import Reason
from uncnn.daemon.files.scan import (
    Found,
    Ignored,
    ScanError,
    candidate,
    candidates,
    is_ignored,
    is_photo_name,
    scan,
)

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


JPEG = b"\xff\xd8\xff\xe0" + bytes(60)

BINS = [
    *(
        "#recycle",
        "@Recycle",
        "$RECYCLE.BIN",
        "$Recycle.Bin",
        "RECYCLER",
        "Recycled",
        "lost+found",
        "FOUND.000",
        "Trash",
    ),
    *(".Trash-1000", ".Trashes", ".recycle", "trashbox", "Network Trash Folder", "files_trashbin", "Papierkorb"),
    *("System Volume Information", "#snapshot", "~snapshot", ".snapshots", ".zfs", "@Recently-Snapshot"),
    *("@GMT-2026.01.02-03.04.05", "files_versions", "_gsdata_", ".stversions", "DfsrPrivate"),
    *("@eaDir", "@__thumb", ".thumbnails", "Thumbnails", "Previews.lrdata", "My.photoslibrary", "CaptureOne"),
    *("appdata_oc1a2b3c", "pwg_representative", "iPod Photo Cache", "@tmp"),
]


@pytest.mark.parametrize("name", BINS)
def test_what_people_deleted_and_what_programs_keep_is_never_taken(tmp_path: Path, name: str) -> None:
    photo = tmp_path / "trip" / name / "S-1-5-21" / "a.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(JPEG)
    (found,) = scan(tmp_path)
    assert isinstance(found, Ignored)
    assert found.relative == Path("trip") / name
    assert candidate(tmp_path, photo.relative_to(tmp_path)) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("desktop.ini", b"[.ShellClassInfo]\r\nCLSID={645FF040-5081-101B-9F08-00AA002F954E}\r\n"),
        ("Desktop.ini", "[.ShellClassInfo]\r\nCLSID={645ff040-5081-101b-9f08-00aa002f954e}\r\n".encode("utf-16")),
        ("info/a.jpg.trashinfo", b"[Trash Info]\nPath=a.jpg\n"),
    ],
)
def test_a_recycle_bin_is_known_by_what_marks_it_whatever_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "Kosz na zdjecia"
    for path in (folder / "files" / "a.jpg", folder / "b.jpg", tmp_path / "good.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
    assert len(names(tmp_path)) == 3
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    assert names(tmp_path) == ["good.jpg"]
    assert [(str(each.relative), each.reason) for each in scan(tmp_path) if isinstance(each, Ignored)] == [
        ("Kosz na zdjecia", Reason.DELETED)
    ]
    for relative in ("Kosz na zdjecia/files/a.jpg", "Kosz na zdjecia/b.jpg"):
        assert candidate(tmp_path, Path(relative)) is None
    assert candidate(tmp_path, Path("good.jpg")) is not None
    assert next(iter(scan(folder))) == Ignored(Path(), Reason.DELETED, "it is in a recycle bin")  # watched itself


def test_a_desktop_ini_that_says_something_else_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "desktop.ini").write_text("[.ShellClassInfo]\nIconResource=camera.ico\n")
    (tmp_path / "a.jpg").write_bytes(JPEG)
    for folder in ("files", "info"):
        (tmp_path / folder).mkdir()
    assert names(tmp_path) == ["a.jpg"]


def test_an_emptied_bin_is_known_by_the_sticky_bit_above_it(tmp_path: Path) -> None:
    """Its `.trashinfo` may be gone before the file is."""
    shared = tmp_path / "bins"
    photo = shared / "1000" / "files" / "a.jpg"
    photo.parent.mkdir(parents=True)
    (shared / "1000" / "info").mkdir()
    photo.write_bytes(JPEG)
    assert names(tmp_path) == ["bins/1000/files/a.jpg"]
    shared.chmod(0o1777)
    assert names(tmp_path) == []
    assert candidate(tmp_path, photo.relative_to(tmp_path)) is None
    tmp_path.chmod(0o1777)  # a folder that several people put photos into
    (tmp_path / "b.jpg").write_bytes(JPEG)
    assert names(tmp_path) == ["b.jpg"]


def test_files_of_a_windows_bin_are_known_without_their_folder(tmp_path: Path) -> None:
    for name in ("$R0A1B2C.jpg", "$I0A1B2C.jpg", "$RABCDE", "$Road.jpg"):
        (tmp_path / name).write_bytes(JPEG)
    assert names(tmp_path) == ["$RABCDE", "$Road.jpg"]


def test_what_is_a_photo_inside_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    heic = bytes(4) + b"ftypheic" + bytes(20)
    for name, content in (
        ("a.mpo", JPEG),
        ("a.pjp", JPEG),
        ("IMG_0001", JPEG),
        ("scan.2026", b"\x89PNG\r\n\x1a\n" + bytes(20)),
        ("a.image", heic),
        ("b.image", b"RIFF\0\0\0\0WEBPVP8 "),
        ("c.image", b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(20)),
    ):
        (tmp_path / name).write_bytes(content)
    assert names(tmp_path) == sorted(path.name for path in tmp_path.iterdir())
    assert all(candidate(tmp_path, found.relative) == found for found in candidates(tmp_path))


def test_all_that_is_not_taken_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    watch = tmp_path / "watch"
    (watch / "#recycle").mkdir(parents=True)
    (watch / "linked").symlink_to(tmp_path / "outside")
    (watch / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(watch / "fifo")
    for name, content in {
        "a.jxl": b"\xff\x0a" + bytes(20),
        "a.psd": b"8BPS\0\1" + bytes(20),
        "notes": b"hello, and more of it",
        "empty": b"",
        "a.xmp": JPEG,
        "a.mov": JPEG,
        "a.AVI": JPEG,
        "a.jpg.xmp": JPEG,
        "a.jpg.1f3c": JPEG,
        "a.jpg.sb-8a9b": JPEG,
        "a.jpg.!qB": JPEG,
        "a.jpg_original": JPEG,
        ".hidden.jpg": JPEG,
        ".uncnn.yaml": b"",
        ".uncnn-0123456789abcdef.part": b"",
    }.items():
        (watch / name).write_bytes(content)
    found = {str(each.relative): each for each in scan(watch, videos=False) if isinstance(each, Ignored)}
    assert len(found) == len(list(scan(watch)))
    assert names(watch) == ["a.mov"]
    assert {name: each.reason for name, each in found.items()} == {
        "#recycle": Reason.DELETED,
        "linked": Reason.LINK,
        "dangling": Reason.LINK,
        "fifo": Reason.OTHER,
        "a.jxl": Reason.UNSUPPORTED,
        "a.psd": Reason.UNSUPPORTED,
        "notes": Reason.OTHER,
        "empty": Reason.EMPTY,
        "a.xmp": Reason.OTHER,
        "a.mov": Reason.VIDEO,
        "a.AVI": Reason.VIDEO,
        "a.jpg.xmp": Reason.OTHER,
        "a.jpg.1f3c": Reason.UNFINISHED,
        "a.jpg.sb-8a9b": Reason.UNFINISHED,
        "a.jpg.!qB": Reason.UNFINISHED,
        "a.jpg_original": Reason.OLDER,
        ".hidden.jpg": Reason.HIDDEN,
    }
    assert found["linked"].words == "it is a symbolic link: put the folder itself there"
    assert "JPEG XL" in found["a.jxl"].words
    assert "Photoshop" in found["a.psd"].words


def test_a_file_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    growing = tmp_path / "growing"
    growing.write_bytes(b"")
    assert names(tmp_path) == []
    growing.write_bytes(JPEG)
    assert names(tmp_path) == ["growing"]

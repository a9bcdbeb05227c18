"""A ZIP file that every program reads, of the length that was said."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from uncnn.daemon.web.archive import Member, archive, archive_size, unique_names


def member(folder: Path, name: str, content: bytes) -> Member:
    file = folder / str(len(list(folder.iterdir())))
    file.write_bytes(content)
    return Member(name, file, len(content), zlib.crc32(content))


def test_all_files_are_in_it_whole(tmp_path: Path) -> None:
    contents = {"a.jpg": b"a" * 700_000, "Fête 🎉.png": b"", "b/../c.jpg": b"c"}
    members = [member(tmp_path, name, content) for name, content in contents.items()]
    made = b"".join(archive(members))
    assert len(made) == archive_size(members)
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == contents
        assert {each.compress_type for each in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {each.flag_bits & 8 for each in opened.infolist()} == {0}, "no sizes after the data"


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_unzip_reads_it(tmp_path: Path) -> None:
    made = b"".join(archive([member(tmp_path, "a.jpg", b"content")]))
    (tmp_path / "a.zip").write_bytes(made)
    done = subprocess.run(["unzip", "-t", tmp_path / "a.zip"], capture_output=True, text=True, check=False)
    assert (done.returncode, "No errors detected" in done.stdout) == (0, True), done


def test_a_file_that_is_another_by_now_ends_it(tmp_path: Path) -> None:
    one = member(tmp_path, "a.jpg", b"content")
    one.file.write_bytes(b"cont")
    with pytest.raises(OSError, match=r"a\.jpg"):
        list(archive([one]))


def test_no_two_names_are_the_same() -> None:
    names = ["a.jpg", "A.JPG", "a.jpg", "a (2).jpg", "b", "b", "c.tar.gz"]
    unique = unique_names(names)
    assert unique == ["a.jpg", "A (2).JPG", "a (3).jpg", "a (2) (2).jpg", "b", "b (2)", "c.tar.gz"]
    assert len({name.casefold() for name in unique}) == len(names)

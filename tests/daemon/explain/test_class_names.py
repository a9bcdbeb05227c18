"""The names of a classifier's classes, from a text file."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncnn.daemon.explain.class_names import NamesError, read_names


def test_a_name_a_line(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffAda\r\n Grace Hopper \nŽofie".encode())
    assert read_names(file) == ("Ada", "Grace Hopper", "Žofie")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "it has 0 lines"), (b"Ada\n\nGrace\n", "line 2 is empty"), (b"\xff\xfe\xff", "no text in UTF-8")],
)
def test_what_has_no_names_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(NamesError, match=words):
        read_names(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NamesError, match=r"--names .*missing\.txt: "):
        read_names(tmp_path / "missing.txt")

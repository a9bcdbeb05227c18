"""A folder of people: a folder or a photo for each, whose name is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncnn.daemon.explain.people_folder import PeopleFolderError, photos_of_people


def test_folders_and_photos_are_people(tmp_path: Path):
    for name in ("Ada/1.jpg", "Ada/2.PNG", "Ada/notes.txt", "Ada/below/3.jpg", "Bob.jpg", ".hidden.jpg", "list.csv"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    found = [(name, file.relative_to(tmp_path).as_posix()) for name, file in photos_of_people(tmp_path)]
    assert found == [("Ada", "Ada/1.jpg"), ("Ada", "Ada/2.PNG"), ("Bob", "Bob.jpg")]


def test_a_folder_without_photos_or_none_at_all_is_named(tmp_path: Path):
    with pytest.raises(PeopleFolderError, match=r"there is no photo in it; put a folder of photos for each person"):
        photos_of_people(tmp_path)
    with pytest.raises(PeopleFolderError, match=r"--gallery .*none"):
        photos_of_people(tmp_path / "none")

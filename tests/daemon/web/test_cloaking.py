"""No other bytes are kept than those that were judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from verdict_sample import VERDICT_OF_ONE

from uncnn.daemon.config import Policy
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.cloaking import CopyError, _kept
from uncnn.daemon.web.dropped import DroppedPhoto, DroppedPhotos


@pytest.fixture
def photos(tmp_path: Path) -> DroppedPhotos:
    (tmp_path / "kept").mkdir()
    return DroppedPhotos(tmp_path / "kept", Changes())


def dropped(photos: DroppedPhotos) -> DroppedPhoto:
    identity = photos.begin(1)
    photos.file(identity, "part").write_bytes(b"photo")
    return photos.add(identity, "a.jpg", "0" * 64, Policy(), "everyday")


def test_a_copy_that_was_changed_after_it_was_judged_is_not_kept(photos: DroppedPhotos, tmp_path: Path) -> None:
    candidate = tmp_path / "photo.candidate"
    candidate.write_bytes(b"another")  # its sha256 is not that of the verdict
    outcome = Outcome("publish", "protected", Content(candidate), VERDICT_OF_ONE, ("balanced",), "JPEG", (), 1.0)
    photo = dropped(photos)
    with pytest.raises(CopyError, match=r"a\.jpg was changed"):
        _kept(photos, photo, outcome)
    assert [file.name for file in photos.folder.iterdir()] == [f"{photo.id}.photo"]


def test_a_photo_that_the_policy_skips_has_no_copy(photos: DroppedPhotos, tmp_path: Path) -> None:
    outcome = Outcome("skip", "no face", Content(tmp_path / "missing"), VERDICT_OF_ONE, (), "JPEG", (), 1.0)
    assert _kept(photos, dropped(photos), outcome) is None

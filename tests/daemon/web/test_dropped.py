"""What was only dropped is forgotten: after an hour, on a button, and with the page."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from clock import Clock

from uncnn.daemon.config import Policy
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.dropped import FORGET_SECONDS, DroppedPhoto, DroppedPhotos, TooManyAtOnce


@pytest.fixture
def photos(tmp_path: Path, clock: Clock) -> DroppedPhotos:
    return DroppedPhotos(tmp_path, Changes(), clock)


def drop(photos: DroppedPhotos, name: str) -> DroppedPhoto:
    identity = photos.begin(8)
    photos.file(identity, "part").write_bytes(name.encode())
    return photos.add(identity, name, "0" * 64, Policy(), "everyday")


def test_an_hour_after_it_is_done_a_photo_is_forgotten(photos: DroppedPhotos, clock: Clock, tmp_path: Path) -> None:
    done, kept = drop(photos, "a.jpg"), drop(photos, "b.jpg")
    photos.file(done.id, "copy").write_bytes(b"copy")
    photos.file(done.id, "original-0.small.jpg").write_bytes(b"picture")
    photos.change(done.id, status="protected")
    clock.now += FORGET_SECONDS - 1
    photos.forget_old()
    assert photos.get(done.id) is not None
    clock.now += 1
    photos.forget_old()
    assert photos.all() == [kept], "what waits is not forgotten"
    assert [file.name for file in tmp_path.iterdir()] == [f"{kept.id}.photo"]


def test_on_a_button_a_photo_is_forgotten_with_all_its_files(photos: DroppedPhotos, tmp_path: Path) -> None:
    photo = drop(photos, "a.jpg")
    photos.file(photo.id, "copy").write_bytes(b"copy")
    assert photos.forget(photo.id)
    assert not photos.forget(photo.id)
    assert not list(tmp_path.iterdir())
    assert not photos.change(photo.id, status="protected")
    assert photos.get(photo.id) is None


def test_photos_are_taken_in_the_order_in_which_they_came(photos: DroppedPhotos) -> None:
    first, second = drop(photos, "a.jpg"), drop(photos, "b.jpg")
    taken = [photos.take(0.0), photos.take(0.0), photos.take(0.0)]
    assert [photo and photo.id for photo in taken] == [first.id, second.id, None]
    assert {photo.status for photo in photos.all()} == {"working"}


def test_who_waits_for_a_photo_waits_on_when_another_one_changes(photos: DroppedPhotos) -> None:
    done = drop(photos, "a.jpg")
    photos.take(0.0)
    taken: list[DroppedPhoto | None] = []
    waiting = threading.Thread(target=lambda: taken.append(photos.take(60.0)))
    waiting.start()
    for _ in range(3):
        photos.change(done.id, words="words")
        waiting.join(0.02)
    assert taken == []
    second = drop(photos, "b.jpg")
    waiting.join()
    assert [photo and photo.id for photo in taken] == [second.id]


def test_who_waits_for_a_photo_goes_when_the_page_ends(photos: DroppedPhotos) -> None:
    waiting = threading.Thread(target=photos.take, args=[60.0])
    waiting.start()
    photos.close()
    waiting.join(30.0)
    assert not waiting.is_alive()
    drop(photos, "a.jpg")
    assert photos.take(0.0) is None


def test_every_change_is_told(photos: DroppedPhotos) -> None:
    told = [photos._changes.version]
    for step in (
        lambda: drop(photos, "a.jpg"),
        lambda: photos.take(0.0),
        lambda: photos.change(photos.all()[0].id, words="words"),
        lambda: photos.forget(photos.all()[0].id),
    ):
        step()
        told.append(photos._changes.version)
    assert told == sorted(set(told))


def test_so_many_are_sent_at_once(photos: DroppedPhotos) -> None:
    sending = [photos.begin(2) for _ in range(2)]
    with pytest.raises(TooManyAtOnce):
        photos.begin(2)
    photos.give_up(sending[0])
    photos.begin(2)

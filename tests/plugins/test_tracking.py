"""Faces followed from frame to frame: known boxes, known answers."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.plugins.api import Face
from uncnn.plugins.tracking import Looked, Track, iou, tracks_of

LOOK = 5  # frames from one look to the next


def face_at(x: float, y: float = 100.0, side: float = 80.0, score: float = 0.9) -> Face:
    points = tuple(
        (x + side * a, y + side * b) for a, b in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    )
    return Face((x, y, x + side, y + side), points, score)  # type: ignore[arg-type]


def looks_at(*faces: list[Face]) -> list[Looked]:
    return [Looked(LOOK * number, tuple(own)) for number, own in enumerate(faces)]


def tracks(looks: list[Looked], cuts: tuple[int, ...] = (), frames: int = 200) -> list[Track]:
    return tracks_of(looks, cuts, patience=4 * LOOK, prolonged=lambda _face: LOOK, frames=frames)


def test_a_face_that_moves_is_one_track() -> None:
    (track,) = tracks(looks_at(*([face_at(10.0 + 9 * number)] for number in range(10))))
    assert sorted(track.seen) == [LOOK * number for number in range(10)]
    assert (track.first, track.last) == (0, 50)
    assert track.landmarks(12)[0] == pytest.approx((10 + 9 * 12 / LOOK + 24, 132), abs=0.01)


def test_two_people_who_cross_keep_their_tracks() -> None:
    found = tracks(looks_at(*([face_at(10.0 + 30 * n), face_at(310.0 - 30 * n, 130.0)] for n in range(11))))
    assert len(found) == 2
    for track in found:
        steps = np.diff([track.seen[frame].box[0] for frame in sorted(track.seen)])
        assert set(steps) == {30.0} or set(steps) == {-30.0}


def test_a_face_that_runs_is_one_track_though_its_boxes_do_not_overlap() -> None:
    (track,) = tracks(looks_at(*([face_at(10.0 + 95 * n)] for n in range(6))))
    assert track.box(0)[0] == 10
    assert track.box(28)[0] == pytest.approx(10 + 95 * 28 / LOOK), "it goes on as it did after it was seen last"


def test_another_face_is_another_track() -> None:
    assert len(tracks(looks_at([face_at(10)], [face_at(10, side=200)]))) == 2
    assert len(tracks(looks_at([face_at(10)], [face_at(10 + 1.4 * 80)]))) == 2


def test_a_gap_is_bridged_and_a_longer_one_is_not() -> None:
    bridged = tracks(looks_at([face_at(10)], [face_at(10)], [], [], [], [face_at(10)]))
    assert len(bridged) == 1
    assert all(bridged[0].covers(frame) for frame in range(26))
    assert len(tracks(looks_at([face_at(10)], [face_at(10)], [], [], [], [], [face_at(10)]))) == 2


def test_a_faint_detection_continues_a_track_both_ways_and_begins_none() -> None:
    faint = face_at(10, score=0.2)
    (track,) = tracks(looks_at([faint], [faint], [face_at(10)], [faint], [], [faint]))
    assert sorted(track.seen) == [0, 5, 10, 15, 25]
    assert tracks(looks_at([faint], [faint], [faint])) == []


def test_no_track_goes_over_a_cut_or_beyond_the_clip() -> None:
    found = tracks(looks_at([face_at(10)], [face_at(10)], [face_at(10)], [face_at(10)]), cuts=(8,), frames=18)
    assert [(track.first, track.last) for track in found] == [(0, 7), (8, 17)]


def test_the_sure_one_of_two_detections_is_the_face() -> None:
    (track,) = tracks(looks_at([face_at(10)], [face_at(12, score=0.3), face_at(14)], [face_at(18)]))
    assert track.seen[5].box[0] == 14


def test_landmarks_that_jitter_are_smoothed_and_do_not_lag() -> None:
    random = np.random.default_rng(0)
    jitter = random.normal(0, 1.5, 30)
    (track,) = tracks(looks_at(*([face_at(10.0 + 12 * n + jitter[n])] for n in range(30))))
    errors = np.array([track.landmarks(LOOK * n)[0, 0] - (10 + 12 * n + 24) for n in range(30)])
    assert errors.std() < 0.8 * jitter.std()
    assert abs(errors[:3].mean()) < 1.5


def test_boxes_that_do_not_touch_have_nothing_in_common() -> None:
    one = np.array([0.0, 0.0, 10.0, 10.0])
    assert iou(one, one) == 1
    assert iou(one, one + 20) == 0
    assert iou(one, one + np.array([5, 0, 5, 0])) == pytest.approx(1 / 3)

"""Where recognisers are shown a face: a little around where it was found, and where it was before."""

from __future__ import annotations

import numpy as np

from uncnn.daemon.verify.places import JITTERS, SAME_PLACE, nearby, places

FACES = np.array(
    [
        [[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]],
        [[103, 204], [107, 204], [105, 206], [103.5, 208], [106.5, 208]],
    ],
    np.float64,
)
EYES_PX = np.array([40.0, 4.0])


def test_jitters_move_by_the_size_of_each_face() -> None:
    found = nearby(FACES)
    assert len(found) == len(JITTERS)
    for (right, down, degrees, scale), moved in zip(JITTERS, found, strict=True):
        shift = (moved - FACES).mean(axis=1)
        np.testing.assert_allclose(shift, EYES_PX[:, None] * np.array([right, down]), atol=1e-9)
        eyes = moved[:, 1] - moved[:, 0]
        np.testing.assert_allclose(np.linalg.norm(eyes, axis=1), EYES_PX * scale)
        np.testing.assert_allclose(np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])), degrees)


def test_they_are_the_same_every_time_and_go_both_ways() -> None:
    np.testing.assert_array_equal(nearby(FACES), nearby(FACES.copy()))
    one, other = nearby(FACES)
    assert np.sign((one - FACES).mean(axis=1)).tolist() == (-np.sign((other - FACES).mean(axis=1))).tolist()


def test_where_a_face_was_is_asked_unless_it_still_is_there() -> None:
    assert len(places(FACES, FACES)) == 1 + len(JITTERS)
    assert len(places(FACES, FACES + 0.01)) == 1 + len(JITTERS)
    apart = FACES + np.array([0.0, 0.2])  # nothing to the large face, a twentieth of the small one's eyes
    assert len(places(FACES, apart)) == 2 + len(JITTERS)
    np.testing.assert_array_equal(places(FACES, apart)[-1], apart)


def test_landmarks_at_the_very_limit_of_one_place_are_in_it() -> None:
    large = FACES[:1] * 1.25  # 50 pixels between the eyes
    assert 50 * SAME_PLACE == 1
    assert len(places(large, large + np.array([1.0, 0.0]))) == 1 + len(JITTERS)
    assert len(places(large, large + np.array([1.01, 0.0]))) == 2 + len(JITTERS)

"""A change of colours in stored samples: what is seen is the change, and nothing else is touched."""

from __future__ import annotations

import av
import numpy as np
import pytest

from uncnn.daemon.video import planes
from uncnn.daemon.video.clip import picture
from uncnn.plugins.geometry import Region


def frame_of(colour: int, pixel_format: str, size: tuple[int, int] = (64, 48)) -> av.VideoFrame:
    pixels = np.full((size[1], size[0], 3), colour, np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuvj420p"])
def test_a_change_is_seen_where_it_was_put_and_nowhere_else(pixel_format: str) -> None:
    frame = frame_of(120, pixel_format)
    before = picture(frame).astype(int)
    change = np.zeros((3, 16, 16), np.float32)
    change[0], change[2] = 20, -10
    planes.add(frame, Region(20, 10, 16), change, planes.is_full_range(pixel_format, 0))
    difference = picture(frame).astype(int) - before
    assert difference[14:22, 24:32].reshape(-1, 3).mean(axis=0) == pytest.approx((20, 0, -10), abs=2)
    outside = difference.copy()
    outside[8:28, 18:38] = 0
    assert not outside.any()


def test_only_samples_of_the_region_differ() -> None:
    frame = frame_of(90, "yuv420p", (65, 49))  # an odd border
    before = [bytes(plane) for plane in frame.planes]
    planes.add(frame, Region(60, 44, 30), np.full((3, 30, 30), 12, np.float32), full_range=False)
    for number, plane in enumerate(frame.planes):
        old = np.frombuffer(before[number], np.uint8).reshape(plane.height, -1)
        new = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        down = 1 if number == 0 else 2
        changed = np.argwhere(old != new)
        assert len(changed) == 0 or changed.min(axis=0)[0] >= 44 // down
    planes.add(frame, Region(-40, -40, 30), np.full((3, 30, 30), 12, np.float32), full_range=False)


def test_grey_levels_stay_in_their_range() -> None:
    frame = frame_of(250, "yuv444p")
    planes.add(frame, Region(0, 0, 48), np.full((3, 48, 48), 90, np.float32), full_range=False)
    assert picture(frame)[:40, :40].min() >= 250

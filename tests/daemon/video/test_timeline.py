"""Windows, segments, key frames and samples of a clip: every frame has its place, however long each is shown."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.timeline import KEY_FRAMES, Timeline, read_timeline, write_timeline
from uncnn.plugins.api import Face
from uncnn.plugins.tracking import Track

INFO = ClipInfo("mp4", "h264", 320, 180, 0, (1, 1000), "yuv420p", (0, 2, 2, 2), 1, 30.0, 0, 1, ("left out: chapters",))
FACE = Face((1, 2, 3, 4), ((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)), 0.5)


def timeline_of(stamps: list[int], *spans: tuple[int, int]) -> Timeline:
    return Timeline(INFO, tuple(stamps), tuple(Track({first: FACE, last: FACE}, first, last) for first, last in spans))


EVEN = [700 + 33 * number for number in range(400)]
UNEVEN = [0, 1, 1999, 2000, 2001, 9000, 9001, 30000]


@pytest.mark.parametrize("stamps", [EVEN, UNEVEN, [5]])
def test_every_frame_is_in_one_window_and_one_segment(stamps: list[int]) -> None:
    timeline = timeline_of(stamps)
    in_windows = [frame for window in range(timeline.windows) for frame in timeline.frames_in(window)]
    in_segments = [frame for segment in range(timeline.segments) for frame in timeline.frames_of_segment(segment)]
    assert in_windows == in_segments == list(range(len(stamps)))
    for window in range(timeline.windows):
        assert all(timeline.window_of(frame) == window for frame in timeline.frames_in(window))


def test_every_window_of_a_face_has_key_frames_and_a_sample() -> None:
    timeline = timeline_of(EVEN, (50, 300), (299, 301))
    samples = timeline.samples()
    for number, track in enumerate(timeline.tracks):
        for window in range(timeline.window_of(track.first), timeline.window_of(track.last) + 1):
            keys = timeline.key_frames(track, window)
            assert len(keys) == KEY_FRAMES
            assert set(keys) <= set(timeline.shown_in(track, window))
            assert any(timeline.window_of(frame) == window and number in there for frame, there in samples.items())
    assert timeline.key_frames(timeline.tracks[0], 6) == []
    seconds = [timeline.seconds(frame) for frame in samples]
    assert max(later - earlier for earlier, later in pairwise(seconds)) <= 1.04


def test_a_window_in_which_a_face_is_seen_first_is_tried_alone_and_the_others_of_a_segment_together() -> None:
    assert timeline_of(EVEN).lots() == []
    assert timeline_of(EVEN, (0, 399)).lots() == [(0,), (1, 2, 3, 4), (5, 6)]
    assert timeline_of(EVEN, (0, 100), (190, 399)).lots() == [(0,), (1,), (3,), (4,), (5, 6)]
    assert timeline_of(EVEN, (0, 50), (300, 399)).lots() == [(0,), (4,), (5, 6)]


def test_the_samples_of_windows_are_all_samples_together() -> None:
    timeline = timeline_of(EVEN, (50, 300), (299, 301))
    windows = [timeline.samples([window]) for window in range(timeline.windows)]
    assert {frame: there for own in windows for frame, there in own.items()} == timeline.samples()
    assert timeline.samples([1, 4]) == windows[1] | windows[4]
    assert all(timeline.window_of(frame) == 1 for frame in windows[1])


def test_a_trial_begins_with_a_frame_that_is_not_judged() -> None:
    timeline = timeline_of(EVEN, (50, 300))
    for windows in ([0], [2, 3]):
        samples = list(timeline.samples(windows))
        assert timeline.trial(windows) == [samples[0] - 1, *samples]
    assert timeline_of([0], (0, 0)).trial([0]) == [0], "there is none before the first"
    assert timeline_of(EVEN, (0, 10)).trial([]) == []


def test_a_change_fades_into_the_next() -> None:
    timeline = timeline_of(EVEN, (0, 399))
    shares = [timeline.share_of_window(frame) for frame in range(len(EVEN))]
    assert shares[0] == 1
    first = timeline.frames_in(1).start
    assert shares[first] < 0.1
    assert all(later >= earlier for earlier, later in zip(shares[first:], shares[first + 1 : first + 60], strict=False))
    assert shares[first + 20] == 1


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    timeline = timeline_of(EVEN, (3, 9))
    write_timeline(timeline, tmp_path / "a.timeline")
    assert read_timeline(tmp_path / "a.timeline") == timeline
    (tmp_path / "b.timeline").write_text("{}")
    with pytest.raises(KeyError):
        read_timeline(tmp_path / "b.timeline")

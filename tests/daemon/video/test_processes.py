"""A clip on its way through both processes' handlers, with real models: followed, changed, put together, judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.clip import frames_of, opened
from uncnn.daemon.video.errors import VideoError
from uncnn.daemon.video.messages import ClipVerdict, Follow, Join, JudgeClip, JudgeTrial, Raised, Render, Try
from uncnn.daemon.video.timeline import Timeline, read_timeline
from uncnn.daemon.video.verifier import VideoVerifier
from uncnn.daemon.video.worker import VideoWorker
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

CPU = ["CPUExecutionProvider"]
QUICK = AttackChoice("veil", {"steps": 3})


@pytest.fixture(scope="module")
def detector(detector_onnx: Path) -> RetinaFace:
    return load_onnx(detector_onnx, CPU, 1)


@pytest.fixture(scope="module")
def worker(detector: RetinaFace, recogniser_folder: Callable[[str], Path]) -> VideoWorker:
    return VideoWorker(detector, [load_recogniser(recogniser_folder("mobilefacenet-foamliu"), "cpu")])


@pytest.fixture(scope="module")
def verifier(detector: RetinaFace, recogniser_folder: Callable[[str], Path]) -> VideoVerifier:
    return VideoVerifier(detector, [OnnxRecogniser.load(recogniser_folder("openvino-0095"), CPU)])


def followed(worker: VideoWorker, clip: Path, smallest_px: float = 24) -> Timeline:
    worker.follow(Follow(Content(clip), clip.name, smallest_px), silent)
    return read_timeline(clip.with_suffix(".timeline"))


def made(worker: VideoWorker, clip: Path, raised: tuple[Raised, ...] = ()) -> Path:
    timeline = read_timeline(clip.with_suffix(".timeline"))
    for segment in range(timeline.segments):
        worker.render(Render(Content(clip), clip.name, segment, "balanced", raised, QUICK), silent)
    copy = worker.join(Join(Content(clip), clip.name, "balanced", raised, QUICK), silent).file
    assert copy is not None
    return copy


def trial(worker: VideoWorker, verifier: VideoVerifier, clip: Path, windows: tuple[int, ...]) -> ClipVerdict:
    worker.try_out(Try(Content(clip), clip.name, windows, "balanced", (), QUICK), silent)
    asked = JudgeTrial(Content(clip), clip.name, windows, 1e-3, "calibrated", 24)
    return verifier.judge_trial(asked, silent)


def judged(verifier: VideoVerifier, clip: Path, copy: Path, smallest_px: float = 24) -> object:
    return verifier.judge(JudgeClip(Content(clip), Content(copy), clip.name, 1e-3, "calibrated", smallest_px), silent)


@pytest.mark.slow
def test_a_clip_is_changed_where_its_face_is_and_judged(
    worker: VideoWorker, verifier: VideoVerifier, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip("turned.mp4", 2.4, quarter_turns=1, variable=True)
    timeline = followed(worker, clip)
    assert (len(timeline.tracks), timeline.windows, timeline.segments) == (1, 2, 1)
    assert all(timeline.tracks[0].covers(frame) for frame in range(timeline.frames))
    copy = made(worker, clip)
    verdict = judged(verifier, clip, copy)
    (track,) = verdict.tracks  # type: ignore[attr-defined]
    assert not verdict.uncovered  # type: ignore[attr-defined]
    assert track.face.required
    assert track.face.found_again
    assert {each.view for each in track.face.judgements} == {"as-is", "crf-28", "mean"}
    similarity = next(each.after for each in track.face.judgements if each.view == "as-is")
    assert 0.2 < similarity < 0.97
    assert set(track.linked_windows) == {0, 1}, "three steps take nobody off himself"
    assert track.linked_seconds == tuple(sorted(track.linked_seconds))
    tried = trial(worker, verifier, clip, (0, 1))
    assert tried.sha256 == "", "nothing that could be published was judged"
    assert (tried.samples, tried.tracks[0].linked_windows) == (verdict.samples, (0, 1))  # type: ignore[attr-defined]
    for few, whole in zip(tried.tracks[0].face.judgements, track.face.judgements, strict=True):
        assert (few.recogniser, few.view) == (whole.recogniser, whole.view)
        assert abs(few.after - whole.after) < 0.15, "an encoder does not do alike to some frames and to all"
    (alone,) = trial(worker, verifier, clip, (1,)).tracks
    assert alone.windows == alone.linked_windows == (1,), "nothing is said of what was not tried"


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_more_strength_is_for_its_window_alone(
    worker: VideoWorker, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip("clip.mp4", 2.4)
    followed(worker, clip)
    first = made(worker, clip).read_bytes()
    ask = Render(Content(clip), clip.name, 0, "balanced", (), QUICK)
    assert not worker.render(ask, silent).made
    changes = set(clip.parent.glob("*.change.npy"))
    assert len(changes) == 2
    for segment in clip.parent.glob("*.segment.mp4"):  # as after a kill while it was encoded
        segment.unlink()
    times = {each: each.stat().st_mtime_ns for each in changes}
    assert worker.render(ask, silent).made
    assert made(worker, clip).read_bytes() == first
    assert {each: each.stat().st_mtime_ns for each in changes} == times
    made(worker, clip, (Raised(0, 1, ("balanced", "strong")),))
    (new,) = set(clip.parent.glob("*.change.npy")) - changes
    assert new.name.startswith("0-1-")


def test_a_copy_that_was_not_changed_is_linked_and_another_one_is_refused(
    worker: VideoWorker, verifier: VideoVerifier, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = make_clip("clip.mp4", 1.2)
    followed(worker, clip)
    verdict = judged(verifier, clip, clip)
    assert not verdict.tracks[0].face.protected  # type: ignore[attr-defined]
    assert verdict.tracks[0].mean_linked  # type: ignore[attr-defined]
    others = {
        "time stamps": make_clip("variable.mp4", 1.2, variable=True),
        "sound": make_clip("longer.mp4", 1.3, audio=False),
        "shown as": make_clip("turned.mp4", 1.2, quarter_turns=2),
    }
    for words, other in others.items():
        with pytest.raises(VideoError, match=words):
            judged(verifier, clip, other)


def test_a_face_that_was_not_followed_is_seen(
    worker: VideoWorker, verifier: VideoVerifier, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip("clip.mp4", 1.2)
    timeline = followed(worker, clip, smallest_px=1000)
    assert timeline.tracks == ()
    verdict = judged(verifier, clip, clip)
    assert len(verdict.uncovered) == verdict.samples  # type: ignore[attr-defined]


@pytest.mark.slow
def test_shots_and_people_have_tracks_of_their_own(worker: VideoWorker, tmp_path: Path) -> None:
    astronaut = clips.portrait(Path(__file__).resolve().parents[3] / "docs" / "examples" / "astronaut.png")
    mirrored = astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    cut = clips.write(tmp_path / "cut.mp4", clips.cut(astronaut, mirrored, 1.0), 2.0, (640, 360))
    first, second = followed(worker, cut).tracks
    assert (first.last, second.first) == (29, 30)
    hidden = clips.write(tmp_path / "hidden.mp4", clips.hidden(astronaut, 0.8, 1.6), 2.4, (640, 360))
    (track,) = followed(worker, hidden).tracks
    assert all(track.covers(frame) for frame in range(72))
    crossing = clips.write(tmp_path / "crossing.mp4", clips.crossing(astronaut, mirrored, 2.0), 2.0, (640, 360))
    timeline = followed(worker, crossing)
    assert [sum(track.covers(frame) for track in timeline.tracks) for frame in (0, 59)] == [2, 2]
    assert len(timeline.tracks) in (2, 3), "who was hidden may be another one afterwards"


def test_what_no_face_touches_stays_as_it_was(worker: VideoWorker, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("clip.mp4", 1.0)
    timeline = followed(worker, clip)
    copy = made(worker, clip)
    with opened(clip, "a") as one, opened(copy, "b") as other:
        for number, (before, after) in enumerate(zip(frames_of(one), frames_of(other), strict=True)):
            old, new = (np.frombuffer(each.planes[0], np.uint8).reshape(180, -1)[:, :320] for each in (before, after))
            difference = np.abs(old.astype(int) - new)
            x0, _, x1, y1 = timeline.tracks[0].box(number)
            face = difference[: int(y1), int(x0) : int(x1)]
            assert difference[:, :60].mean() < 2.5
            assert face.mean() > 1.5 * difference[:, :60].mean()
    with av.open(str(copy)) as container:
        assert len(container.streams) == 2


def test_a_face_that_is_hidden_is_not_judged_meanwhile(
    worker: VideoWorker, verifier: VideoVerifier, tmp_path: Path
) -> None:
    astronaut = clips.portrait(Path(__file__).resolve().parents[3] / "docs" / "examples" / "astronaut.png")
    clip = clips.write(tmp_path / "hidden.mp4", clips.hidden(astronaut, 1.2, 2.0), 2.6, (640, 360))
    timeline = followed(worker, clip)
    assert any(1.2 < timeline.seconds(frame) < 2.0 for frame in timeline.samples())
    (track,) = judged(verifier, clip, clip).tracks  # type: ignore[attr-defined]
    assert track.linked_seconds
    assert not [seconds for seconds in track.linked_seconds if 1.2 < seconds < 1.99]

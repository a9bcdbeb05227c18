"""Whose the faces of a clip are: left alone where all of a track's frames say so, else cloaked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import clips
import numpy as np
import pytest
from clips import Scene

from uncnn.daemon.config.policies import Who
from uncnn.daemon.people.store import People, Person, Template
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.clip import frames_of, opened, picture
from uncnn.daemon.video.following import follow
from uncnn.daemon.video.messages import JudgeClip, TellApart
from uncnn.daemon.video.timeline import Timeline, write_timeline
from uncnn.daemon.video.verifier import VideoVerifier
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.tracking import Track

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def verifier(detector_onnx: Path, recogniser_folder: Callable[[str], Path]) -> VideoVerifier:
    judge = OnnxRecogniser.load(recogniser_folder("openvino-0095"), CPU)
    return VideoVerifier(load_onnx(detector_onnx, CPU, 1), [judge])


@pytest.fixture(scope="module")
def clip(verifier: VideoVerifier, person: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Timeline]:
    file = clips.write(tmp_path_factory.mktemp("whose") / "clip.mp4", person, 0.8, (320, 180), rate=10)
    timeline = follow(verifier.detector, file, "clip.mp4", 24, silent)
    write_timeline(timeline, file.with_suffix(".timeline"))
    return file, timeline


def people_of(verifier: VideoVerifier, clip: tuple[Path, Timeline], sign: float = 1.0) -> People:
    """Return the person in the clip, enrolled; `sign` -1: somebody who is as unlike as can be."""
    file, timeline = clip
    (judge,) = verifier.recognisers
    with opened(file, "clip.mp4") as container:
        pixels = picture(next(frames_of(container)))
    embedding = sign * judge.embed(pixels, timeline.tracks[0].landmarks(0)[None])[0]
    template = Template(judge.card.name, judge.card.sha256, [embedding.tolist()])
    return People(people=[Person("Ada", datetime(2024, 1, 1, tzinfo=UTC), [template])])


def spared(verifier: VideoVerifier, file: Path, who: Who, people: People) -> tuple[bool, ...]:
    return verifier.tell_apart(TellApart(Content(file), "clip.mp4", who, people, 1e-3), silent).spared


def test_an_enrolled_person_is_told_from_another(verifier: VideoVerifier, clip: tuple[Path, Timeline]) -> None:
    own, other = people_of(verifier, clip), people_of(verifier, clip, -1.0)
    assert spared(verifier, clip[0], "all-but-enrolled", own) == (True,)
    assert spared(verifier, clip[0], "all-but-enrolled", other) == (False,)
    assert spared(verifier, clip[0], "only-enrolled", own) == (False,)
    assert spared(verifier, clip[0], "only-enrolled", other) == (True,)


def test_where_nobody_is_enrolled_nobody_is_left_alone(verifier: VideoVerifier, clip: tuple[Path, Timeline]) -> None:
    for who in ("all-but-enrolled", "only-enrolled"):
        assert spared(verifier, clip[0], who, People()) == (False,)


def test_a_judge_that_was_not_asked_when_they_were_enrolled_leaves_nobody_alone(
    verifier: VideoVerifier, clip: tuple[Path, Timeline]
) -> None:
    (known,) = people_of(verifier, clip).people
    stale = People(people=[replace(known, templates=[replace(known.templates[0], sha256="0" * 64)])])
    for who in ("all-but-enrolled", "only-enrolled"):
        assert spared(verifier, clip[0], who, stale) == (False,)


def test_a_track_that_shows_somebody_else_for_a_while_is_not_left_alone(
    verifier: VideoVerifier, clip: tuple[Path, Timeline], person: Scene, tmp_path: Path
) -> None:
    (sprite,) = person.sprites
    scene = replace(person, sprites=[replace(sprite, ends=0.6)])
    file = clips.write(tmp_path / "leaves.mp4", scene, 0.8, (320, 180), rate=10)
    (track,) = clip[1].tracks
    longer = replace(clip[1], tracks=(Track(track.seen, 0, 7),))
    write_timeline(longer, file.with_suffix(".timeline"))
    people = people_of(verifier, clip)
    assert spared(verifier, file, "all-but-enrolled", people) == (False,)
    write_timeline(replace(longer, tracks=(Track(track.seen, 0, 5),)), file.with_suffix(".timeline"))
    assert spared(verifier, file, "all-but-enrolled", people) == (True,)


def test_a_face_that_is_left_alone_is_not_judged(verifier: VideoVerifier, clip: tuple[Path, Timeline]) -> None:
    file = clip[0]
    asked = JudgeClip(Content(file), Content(file), "clip.mp4", 1e-3, "calibrated", 24)
    assert verifier.judge(asked, silent).tracks[0].face.required
    (track,) = verifier.judge(replace(asked, spared=(0,)), silent).tracks
    assert (track.face.spared, track.face.required, track.linked_seconds) == (True, False, ())
    assert np.all([np.isfinite(value) for value in track.face.face.box])

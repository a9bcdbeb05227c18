"""Looking through a clip: small faces are found too, in the larger picture that is looked at now and then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import clips
import pytest
from clips import Scene

from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video import following
from uncnn.plugins.detectors.retinaface import load_onnx

SMALL = 0.08  # of the width: a face of about 20 px in 720p


def test_a_small_face_is_followed_from_its_first_frame_to_its_last(
    detector_onnx: Path, person: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sprite,) = person.sprites
    scene = replace(person, sprites=[replace(sprite, place=lambda time: (0.3 + 0.05 * time, 0.3, SMALL), begins=0.4)])
    clip = clips.write(tmp_path / "small.mp4", scene, 0.9, (1280, 720), rate=10)
    detector = load_onnx(detector_onnx, ["CPUExecutionProvider"], 1)
    (track,) = following.follow(detector, clip, "small.mp4", 12, silent).tracks
    assert 16 < track.size_px < 26
    assert track.first <= 4, "it is changed from before it is found"
    assert track.last == 8
    monkeypatch.setattr(following, "FAR_PIXELS", 500_000)
    assert len(following.follow(detector, clip, "small.mp4", 12, silent).tracks) == 0

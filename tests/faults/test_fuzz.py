"""Files damaged in every way: a photo or one line, in bounded memory and time; benchmarks/fuzz.py has the service."""

from __future__ import annotations

import subprocess
import sys

import pytest
from mutations import DAMAGES, mutated
from originals import MAKERS, RARE, originals
from round_trip import photo, trips

from uncnn.daemon.photos import PhotoError, decode


@pytest.mark.slow
def test_damaged_files_come_through_or_are_refused_in_one_line() -> None:
    found = list(trips(range(1500)))
    assert not [(trip.seed, trip.kind, trip.end, trip.words) for trip in found if trip.is_bad]
    assert {"written", "damaged", "truncated", "too-large", "unsupported", "animated"} <= {trip.end for trip in found}


def test_what_is_damaged_was_a_photo_of_every_format() -> None:
    files = originals(photo(side=48))
    assert {decode(data, kind).format for kind, data in files.items()} == {kind.split()[0] for kind in MAKERS}
    assert all(decode(data, kind).pixels.shape == (48, 48, 3) for kind, data in files.items())


def test_what_hardly_anybody_writes_is_read_or_refused() -> None:
    files = originals(photo(side=48), rare=True)
    for kind in RARE:
        if kind.endswith("frames"):
            with pytest.raises(PhotoError, match=r"holds 3 pictures|more than one page|image sequence"):
                decode(files[kind], kind)
        else:
            assert decode(files[kind], kind).pixels.shape == (48, 48, 3)


def test_a_seed_decides_alone() -> None:
    files = originals(photo(side=32))
    first, again = ([mutated(files, seed) for seed in range(300)] for _ in range(2))
    assert first == again
    assert {case.damage for case in first} == set(DAMAGES)
    assert len({case.data for case in first}) > 290


def test_the_supervisor_can_decode_nothing() -> None:
    code = (
        "import sys, uncnn.daemon.cli.main, uncnn.daemon.commands.run_once, uncnn.daemon.service.loop\n"
        "decoders = {'PIL', 'pillow_heif', 'jpeglib', 'imagecodecs', 'tifffile', 'cv2', 'torch', 'onnxruntime'}\n"
        "assert not decoders & set(sys.modules), decoders & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""What is no clip that can be taken is refused in a line that names it, what is wrong, and what to do."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from uncnn.daemon.video.clip import frames_of, look_at, opened
from uncnn.daemon.video.errors import VideoError


def read_whole(clip: Path) -> int:
    """Return how many frames a clip has, as it is looked through."""
    info = look_at(clip, clip.name)
    with opened(clip, clip.name) as container:
        count = sum(1 for _ in frames_of(container))
    if info.frames_declared > count:
        raise VideoError("damaged", f"{clip.name}: {count} of {info.frames_declared} frames; copy it again")
    return count


def damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield thirty ways in which a clip is damaged."""
    choice = random.Random(5)
    for share in (0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        yield f"truncated-{share}", whole[: int(share * len(whole))]
    moov = whole.index(b"moov")
    yield "no-moov", whole.replace(b"moov", b"free")
    yield "moov-of-nothing", whole[: moov - 4] + (8).to_bytes(4, "big") + whole[moov:]
    yield "moov-too-long", whole[: moov - 4] + (1 << 30).to_bytes(4, "big") + whole[moov:]
    for box in (b"stts", b"stsz", b"stco", b"stsd", b"avcC", b"mdhd", b"trak"):
        place = whole.index(box)
        yield f"garbled-{box.decode()}", whole[: place + 4] + bytes(40) + whole[place + 44 :]
    yield "huge", _with_size(whole, 65500, 65500)
    yield "tiny", _with_size(whole, 2, 2)
    mdat = whole.index(b"mdat")
    for number in range(5):
        garbage = bytearray(whole)
        start = mdat + 200 + number * 1500
        garbage[start : start + 700] = choice.randbytes(700)
        yield f"garbage-{number}", bytes(garbage)
    yield "zeros", bytes(100_000)
    yield "text", b"ceci n'est pas un film\n" * 500
    yield "playlist", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n/etc/passwd\n"
    yield "mdat-alone", (1000).to_bytes(4, "big") + b"mdat" + choice.randbytes(992)


def _with_size(whole: bytes, width: int, height: int) -> bytes:
    """Return the clip with another size in its sample description."""
    place = whole.index(b"avc1", whole.index(b"stsd")) + 28
    return whole[:place] + width.to_bytes(2, "big") + height.to_bytes(2, "big") + whole[place + 4 :]


def test_thirty_damaged_clips_have_a_clear_line_each(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    whole = make_clip("whole.mp4").read_bytes()
    taken = []
    variants = list(damaged(whole))
    assert len(variants) >= 30
    for name, content in variants:
        clip = tmp_path / f"{name}.mp4"
        clip.write_bytes(content)
        try:
            taken.append((name, read_whole(clip)))
        except VideoError as error:
            said = str(error)
            assert said.startswith(clip.name), said
            assert "\n" not in said
            assert ":" in said
            assert "0x" not in said
            assert len(said) < 250
    # what is garbled where no decoder looks is whole: every frame of it is there
    assert all(count == 30 for _, count in taken), taken
    assert len(taken) <= 6, taken


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    clip = tmp_path / "song.mp4"
    with av.open(str(clip), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 44100, 1024 * number
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with pytest.raises(VideoError, match=r"song\.mp4: there is no video track in it: nothing has to be cloaked"):
        look_at(clip, clip.name)


@pytest.mark.parametrize(("transfer", "words"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_held_with_the_reason(transfer: int, words: str, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("hdr.mp4", codec="libx265", pixel_format="yuv420p10le", colours=(9, transfer))
    with pytest.raises(VideoError, match=rf"hdr\.mp4: it is in high dynamic range \({words}\).*convert it to SDR"):
        look_at(clip, clip.name)


def test_a_codec_that_cannot_be_written_again_is_named(make_clip: Callable[..., Path]) -> None:
    clip = make_clip("old.mp4", codec="mpeg4")
    with pytest.raises(VideoError, match=r"its codec mpeg4 cannot be written again: convert it to H\.264"):
        look_at(clip, clip.name)


def test_a_full_disk_is_no_fault_of_the_clip(make_clip: Callable[..., Path]) -> None:
    clip = make_clip()
    with pytest.raises(OSError, match="No space") as caught, opened(clip, clip.name):
        av.error.err_check(-errno.ENOSPC)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(VideoError, match=r"clip\.mp4: damaged or not whole"), opened(clip, clip.name):
        av.error.err_check(-errno.EIO)
    with pytest.raises(ZeroDivisionError), opened(clip, clip.name):  # ours, and not to be taken for damage
        raise ZeroDivisionError

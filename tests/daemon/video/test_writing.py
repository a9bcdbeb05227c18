"""A clip that is written again: time stamps to the tick, sound to the bit, turned as before, and nothing else of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from uncnn.daemon.video.boxes import display_matrix
from uncnn.daemon.video.clip import frames_of, look_at, opened, picture
from uncnn.daemon.video.vorbis import NO_COMMENTS, without_comments
from uncnn.daemon.video.writing import SegmentWriter, join, rate_factor, sounds_of

WAYS = {
    "plain.mp4": {},
    "variable.mp4": {"variable": True},
    "turned.mp4": {"quarter_turns": 1},
    "quicktime.mov": {"quarter_turns": 3, "variable": True},
    "hevc.mp4": {"codec": "libx265"},
    "variable.mkv": {"variable": True},
    "nine.webm": {"codec": "libvpx-vp9"},
    "silent.mp4": {"audio": False},
    "ten.mp4": {"pixel_format": "yuv420p10le"},
    "late.mp4": {"b_frames": 4},
}


def written_again(clip: Path, frames_a_segment: int = 13) -> Path:
    """Return a copy of a clip that was written in segments."""
    info, segments = look_at(clip, clip.name), []
    with opened(clip, clip.name) as container:
        writer = None
        for number, frame in enumerate(frames_of(container)):
            if number % frames_a_segment == 0:
                if writer is not None:
                    writer.close()
                segments.append(clip.with_name(f"{number}.segment"))
                writer = SegmentWriter(segments[-1], info)
            assert writer is not None
            writer.write(frame)
        assert writer is not None
        writer.close()
    made = clip.with_name(f"made-{clip.name}")
    join(clip, clip.name, info, segments, made)
    return made


def stamps(clip: Path) -> list[int | None]:
    with opened(clip, clip.name) as container:
        return [frame.pts for frame in frames_of(container)]


def sound(clip: Path) -> list[tuple[int | None, int | None, bytes]]:
    with opened(clip, clip.name) as container:
        return [(packet.pts, packet.duration, bytes(packet)) for packet in sounds_of(container)]


@pytest.mark.parametrize("name", WAYS)
def test_what_is_kept_is_kept_to_the_tick_and_to_the_bit(name: str, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(name, **WAYS[name])
    made = written_again(clip)
    before, after = look_at(clip, name), look_at(made, name)
    assert stamps(made) == stamps(clip)
    assert len(set(np.diff(stamps(made)))) > 1 or not WAYS[name].get("variable")  # type: ignore[attr-defined]
    assert sound(made) == sound(clip)
    assert bool(sound(clip)) == (name != "silent.mp4")
    assert (before.codec, before.container, before.pixel_format) == (after.codec, after.container, after.pixel_format)
    assert (before.time_base, before.quarter_turns, before.colours) == (
        after.time_base,
        after.quarter_turns,
        after.colours,
    )
    assert display_matrix(made) == display_matrix(clip)


def test_the_picture_is_no_worse(make_clip: Callable[..., Path]) -> None:
    clip = make_clip()
    made = written_again(clip)
    with opened(clip, "a") as one, opened(made, "b") as other:
        for before, after in zip(frames_of(one), frames_of(other), strict=True):
            error = picture(before).astype(float) - picture(after).astype(float)
            assert 10 * np.log10(255**2 / (error**2).mean()) > 36
    assert rate_factor(look_at(clip, "a")) == 14


def test_what_tells_of_a_person_is_gone(make_clip: Callable[..., Path]) -> None:
    clip = make_clip(metadata={"location": "+52.5+13.4/", "title": "Anna", "comment": "at home"})
    made = written_again(clip).read_bytes()
    assert b"Anna" in clip.read_bytes()
    for secret in (b"+52.5", b"Anna", b"at home"):
        assert secret not in made
    with av.open(str(clip.with_name("made-clip.mp4"))) as container:
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}


def with_vorbis(clip: Path, comment: bytes, target: Path) -> Path:
    """Write a clip again, with noise as Vorbis sound whose second header says something."""
    said = struct.pack("<II", 0, 1) + struct.pack("<I", len(comment)) + comment
    with av.open(str(clip)) as source, av.open(str(target), "w", format="matroska") as made:
        picture = made.add_stream_from_template(source.streams.video[0], opaque=True)
        with av.open(str(target.with_suffix(".sound")), "w", format="matroska") as heard:
            encoder = heard.add_stream("vorbis", rate=44100, options={"strict": "-2"})
            noise = np.random.default_rng(0).normal(0, 0.1, (2, 44100)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            frame.rate, frame.pts, fifo = 44100, 0, av.AudioFifo()
            fifo.write(frame)
            while (part := fifo.read(1024)) is not None:
                for packet in encoder.encode(part):
                    heard.mux(packet)
            for packet in encoder.encode():
                heard.mux(packet)
        with av.open(str(target.with_suffix(".sound"))) as heard:
            sound = made.add_stream_from_template(heard.streams.audio[0], opaque=True)
            headers = bytes(heard.streams.audio[0].codec_context.extradata)
            second = NO_COMMENTS[:7] + said + b"\x01"
            at = headers.index(b"\x03vorbis")
            rest = headers[headers.index(b"\x05vorbis") :]
            first = headers[headers.index(b"\x01vorbis") : at]
            sound.codec_context.extradata = bytes([2, len(first), len(second)]) + first + second + rest
            for container, stream in ((source, picture), (heard, sound)):
                kind = container.streams.video if stream is picture else container.streams.audio
                for packet in container.demux(kind):
                    if packet.size:
                        packet.stream = stream
                        made.mux(packet)
    return target


def test_what_vorbis_sound_says_of_itself_is_gone(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip = with_vorbis(make_clip(audio=False), b"ARTIST=Anna", tmp_path / "vorbis.mkv")
    assert b"Anna" in clip.read_bytes()
    made = written_again(clip)
    assert b"Anna" not in made.read_bytes()
    assert sound(made) == sound(clip)
    with av.open(str(made)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 40_000


@pytest.mark.parametrize(
    "headers", [b"", b"\x01", b"\x02\xff", b"\x02\x01\x01abc", b"\x02\x07\x07" + b"\x01vorbis" * 3]
)
def test_headers_that_are_none_are_refused(headers: bytes) -> None:
    with pytest.raises(ValueError, match=r"headers|length"):
        without_comments(headers)


def test_cover_pictures_chapters_and_subtitles_are_left_out(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip, rich = make_clip(), tmp_path / "rich.mp4"
    with av.open(str(clip)) as source, av.open(str(rich), "w") as target:
        streams = {each.index: target.add_stream_from_template(each, opaque=True) for each in source.streams}
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 64, "yuvj420p", 1024
        shown = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24").reformat(format="yuvj420p")
        target.set_chapters([{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {}}])
        for packet in cover.encode(shown):
            target.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    info = look_at(rich, "rich.mp4")
    assert "left out: cover picture" in info.notes
    made = written_again(rich)
    with av.open(str(made)) as container:
        assert [each.type for each in container.streams] == ["video", "audio"]
    assert look_at(made, "made").notes == ()

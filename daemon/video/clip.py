"""Reading a video file: what is in it, and its frames one after another. Only the sandboxed processes call this.

The demuxer is chosen by the first bytes and no other is tried: formats that name further files, such as playlists, are
never opened. What a decoder reports as wrong ends the work: a picture that was patched up would be released as one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import av.container
import av.error
import av.logging
import av.video.frame
import numpy as np

from uncnn.daemon.text import printable
from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.errors import VideoError
from uncnn.plugins.api import Pixels

LARGEST_PIXELS: Final = 8192 * 4352
SMALLEST_SIDE: Final = 32
MOST_FRAMES: Final = 4_000_000

ENCODERS: Final = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
"""How a picture is written again, by the codec of the original."""

PIXEL_FORMATS: Final = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv420p10le")
_HDR: Final = {16: "PQ", 18: "HLG"}
"""Transfer functions (ISO/IEC 23091-2) of pictures whose range no recogniser and no bound here is made for."""

_MP4_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_EBML: Final = b"\x1a\x45\xdf\xa3"
_ATTACHED_PICTURE: Final = 1024
_QUICKTIME: Final = "qt"
_MACHINE: Final = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENOMEM,
}
"""What is no fault of the file that is read."""

av.logging.set_level(None)


def demuxer_of(file: Path) -> str:
    """Return by which demuxer a file is read. Raises VideoError: it is no video that can be taken. OSError."""
    with file.open("rb") as stream:
        head = stream.read(12)
    if head[4:8] in _MP4_BOXES:
        return "mov"
    if head[:4] == _EBML:
        return "matroska"
    raise VideoError("not-a-video", "it is no MP4, QuickTime, Matroska or WebM file: convert it to MP4 first")


@contextmanager
def opened(file: Path, name: str) -> Iterator[av.container.InputContainer]:
    """Yield a video file, open; `name` is what a person calls it.

    Raises VideoError: it is none, or is damaged, which may show in the block only. OSError: the disk is full, and the
    like.
    """
    try:
        with file.open("rb") as stream, _container_in(stream, demuxer_of(file)) as container:
            yield container
    except VideoError as error:
        if str(error).startswith(printable(name)):  # of a file that is open inside of another
            raise
        raise VideoError(error.kind, f"{printable(name)}: {error}") from error
    except av.error.FFmpegError as error:
        if error.errno in _MACHINE:
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise VideoError("damaged", f"{printable(name)}: {_damaged(error)}") from error


def _container_in(stream: BinaryIO, demuxer: str) -> av.container.InputContainer:
    """Return a file, open. Raises VideoError: it is damaged; FFmpegError."""
    try:
        return av.open(stream, "r", format=demuxer, metadata_errors="replace")
    except av.error.FFmpegError:
        raise
    except (ValueError, RuntimeError, ArithmeticError) as error:  # what PyAV itself cannot make sense of
        raise VideoError("damaged", _damaged(error)) from error


_REMEDY: Final = "copy it from the camera again, or repair it"


def _damaged(error: Exception) -> str:
    """Return in words that a file is damaged, and in which way."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"damaged or not whole ({' '.join(str(said).split())[:120]}): {_REMEDY}"


def video_stream(container: av.container.InputContainer) -> Any:
    """Return the one video track. Raises VideoError: there is none, or more than one."""
    shown = [each for each in container.streams.video if not int(each.disposition) & _ATTACHED_PICTURE]
    if not shown:
        raise VideoError("not-a-video", "there is no video track in it: nothing has to be cloaked")
    if len(shown) > 1:
        raise VideoError("unsupported", f"it has {len(shown)} video tracks: keep one of them")
    if shown[0].codec_context is None:
        raise VideoError("unsupported", "its video codec is not known here: convert it to H.264")
    return shown[0]


def look_at(file: Path, name: str) -> ClipInfo:
    """Return what a video file is. Raises VideoError: it cannot be taken. OSError."""
    with opened(file, name) as container:
        stream = video_stream(container)
        context = stream.codec_context
        _check_size(context.width, context.height)
        first = next(_decoded(container, stream), None)
        if first is None:
            raise VideoError("damaged", f"no frame can be read: {_REMEDY}")
        colours = tuple(
            int(each) for each in (first.color_range, first.colorspace, first.color_primaries, first.color_trc)
        )
        _check_picture(context.name, first, colours)
        time_base = Fraction(stream.time_base)
        if time_base.numerator != 1:
            raise VideoError("unsupported", f"its clock ticks in {time_base} s: convert it to MP4")
        format_ = _container(container, demuxer_of(file))
        turns = round(first.rotation / 90) % 4
        if turns and format_ in ("matroska", "webm"):
            raise VideoError("unsupported", "it is turned when it is shown, which only MP4 keeps: convert it to MP4")
        return ClipInfo(
            format_,
            context.name,
            first.width,
            first.height,
            turns,
            (time_base.numerator, time_base.denominator),
            first.format.name,
            (colours[0], colours[1], colours[2], colours[3]),
            int(context.bit_rate or container.bit_rate or 0),
            float(stream.average_rate or stream.guessed_rate or 30),
            int(stream.frames or 0),
            len(container.streams.audio),
            tuple(_left_out(container, stream)),
        )


def frames_of(container: av.container.InputContainer, start: int | None = None) -> Iterator[av.video.frame.VideoFrame]:
    """Yield the frames in the order in which they are shown, from the one with the time stamp `start` on.

    Raises VideoError: one has no time stamp, or is shown before the one before it; it is damaged.
    """
    stream = video_stream(container)
    if start is not None:
        container.seek(start, stream=stream)
    latest: int | None = None
    for frame in _decoded(container, stream):
        if frame.pts is None or (latest is not None and frame.pts <= latest):
            raise VideoError("damaged", f"its frames are not in the order of their time stamps: {_REMEDY}")
        latest = frame.pts
        if start is None or frame.pts >= start:
            yield frame


def frames_at(file: Path, name: str, stamps: Mapping[int, int], from_start: bool) -> Iterator[tuple[int, Any]]:
    """Yield the frames that have some time stamps, each with the number that `stamps` has for it, in their order.

    `from_start`: the first one of the file is among them.

    Raises VideoError: one of them is not there, or it is damaged. OSError.
    """
    if not stamps:
        return
    left = len(stamps)
    with opened(file, name) as container:
        for frame in frames_of(container, None if from_start else min(stamps)):
            number = stamps.get(int(frame.pts or 0))
            if number is not None:
                left -= 1
                yield number, frame
            if not left:
                return
    raise VideoError("damaged", f"{printable(name)} is damaged: a frame that was there is not found again")


def _decoded(container: av.container.InputContainer, stream: Any) -> Iterator[av.video.frame.VideoFrame]:
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"err_detect": "explode"}
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise VideoError("damaged", f"a frame of it cannot be read: {_REMEDY}")
        yield frame


def picture(frame: av.video.frame.VideoFrame, width: int = 0, height: int = 0) -> Pixels:
    """Return a frame as (H, W, 3) uint8 RGB, as it is stored; made smaller where a size is given."""
    size = {"width": width, "height": height} if width else {}
    shown: Any = frame.reformat(format="rgb24", interpolation="AREA", **size)
    pixels: Pixels = shown.to_ndarray()
    return pixels


def upright(pixels: Pixels, quarter_turns: int) -> Pixels:
    """Return a picture as it is shown."""
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


def _check_size(width: int, height: int) -> None:
    if width * height > LARGEST_PIXELS:
        raise VideoError("too-large", f"{width} x {height} pixels are more than {LARGEST_PIXELS:,}: make it smaller")
    if min(width, height) < SMALLEST_SIDE:
        raise VideoError("unsupported", f"{width} x {height} pixels show no face: nothing has to be cloaked")


def _check_picture(codec: str, frame: av.video.frame.VideoFrame, colours: tuple[int, ...]) -> None:
    if colours[3] in _HDR:
        words = f"it is in high dynamic range ({_HDR[colours[3]]}), which cannot be kept: convert it to SDR first"
        raise VideoError("unsupported", words)
    if codec not in ENCODERS:
        raise VideoError("unsupported", f"its codec {codec} cannot be written again: convert it to H.264")
    if frame.format.name not in PIXEL_FORMATS:
        raise VideoError("unsupported", f"its pixel format {frame.format.name} is not supported: convert it to yuv420p")
    if frame.interlaced_frame:
        raise VideoError("unsupported", "it is interlaced: deinterlace it first")
    _check_size(frame.width, frame.height)


def _container(container: av.container.InputContainer, demuxer: str) -> str:
    """Return what a clip is written into."""
    if demuxer == "matroska":
        codecs = {each.codec_context.name for each in container.streams if each.codec_context is not None}
        return "webm" if codecs <= {"vp9", "opus", "vorbis"} else "matroska"
    return "mov" if container.metadata.get("major_brand", "").strip() == _QUICKTIME else "mp4"


def _left_out(container: av.container.InputContainer, shown: Any) -> Iterator[str]:
    """Yield in words what is in the file and not in a copy."""
    for stream in container.streams:
        if stream is shown or stream.type == "audio":
            continue
        kind = (
            "cover picture"
            if stream.type == "video"
            else {"subtitle": "subtitles", "data": "timed metadata"}.get(str(stream.type), f"{stream.type} track")
        )
        yield f"left out: {kind}"
    if container.chapters():
        yield "left out: chapters"

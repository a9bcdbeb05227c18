"""Video devices of Linux (Video4Linux2): what a device is, and in which form it takes pictures.

`linux/videodev2.h`; https://docs.kernel.org/userspace-api/media/v4l/v4l2.html. Two calls are enough: FFmpeg reads from
cameras, and a loopback device takes frames by write(2) once it is told their form.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.text import printable, system_words

QUERYCAP, S_FMT = 0x80685600, 0xC0D05605
"""VIDIOC_QUERYCAP and VIDIOC_S_FMT, the same on every 64-bit architecture."""

CAPABILITY_BYTES, FORMAT_BYTES = 104, 208
CAPTURE, OUTPUT, OF_THE_DEVICE = 0x1, 0x2, 0x80000000
"""Capabilities: it gives pictures, it takes them, and it says so of this node by itself."""

YUYV: Final = 0x56595559
"""Four bytes to two pixels: what every program that shows cameras takes."""

_TYPE_OUTPUT, _FIELD_NONE, _SMPTE170M = 2, 1, 1
_WORDS: Final = {
    errno.ENOENT: "there is no such device; `ls /dev/video*` lists those that there are",
    errno.EACCES: "permission denied; add yourself to the group video (sudo usermod -aG video $USER) and log in again",
    errno.EBUSY: "another program is using it; end that",
    errno.ENODEV: "the device is not there any more; plug it in again",
    errno.ENXIO: "the device is not there any more; plug it in again",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device says of itself."""

    driver: str
    card: str
    captures: bool
    outputs: bool


def is_device(path: Path) -> bool:
    """Return whether a path is meant for a video device: it is one, or is called so."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return re.fullmatch(r"/dev/video[0-9]+", os.fspath(path)) is not None


def opened_device(path: Path, output: bool) -> int:
    """Return the descriptor of a device that gives pictures, or that takes them. Raises LiveError."""
    name = printable(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LiveError("device", f"{name}: {words_of(error)}") from error
    try:
        found = capabilities_of(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise LiveError("device", f"{name} is no video device: name a /dev/videoN, or a video file") from error
    if not (found.outputs if output else found.captures):
        os.close(descriptor)
        remedy = "load the module v4l2loopback, and name its device" if output else "name another of `ls /dev/video*`"
        does = "takes no pictures" if output else "gives no pictures"
        raise LiveError("device", f"{name} ({printable(found.card)}) {does}: {remedy}")
    os.set_blocking(descriptor, True)
    return descriptor


def capabilities_of(descriptor: int) -> Capabilities:
    """Return what an open device says of itself. Raises OSError: it is no video device."""
    import fcntl

    answer = bytearray(CAPABILITY_BYTES)
    fcntl.ioctl(descriptor, QUERYCAP, answer)
    return read_capabilities(bytes(answer))


def read_capabilities(answer: bytes) -> Capabilities:
    """Return what a `struct v4l2_capability` says."""
    driver, card, _bus, _version, all_of_it, own = struct.unpack_from("16s32s32sIII", answer)
    has = own if all_of_it & OF_THE_DEVICE else all_of_it
    name, model = (each.split(b"\0")[0].decode("utf-8", "replace") for each in (driver, card))
    return Capabilities(name, model, bool(has & CAPTURE), bool(has & OUTPUT))


def output_format(width: int, height: int) -> bytes:
    """Return the `struct v4l2_format` of pictures that are written in YUYV."""
    picture = struct.pack("8I", width, height, YUYV, _FIELD_NONE, 2 * width, 2 * width * height, _SMPTE170M, 0)
    head = struct.pack("I4x", _TYPE_OUTPUT)  # the union behind it holds pointers, and stands at a multiple of 8
    return (head + picture).ljust(FORMAT_BYTES, b"\0")


def set_output_format(descriptor: int, width: int, height: int) -> None:
    """Tell a device in which form pictures come.

    Raises OSError. LiveError: it takes another form only, as one does that another program reads from already.
    """
    import fcntl

    asked = output_format(width, height)
    answer = bytearray(asked)
    fcntl.ioctl(descriptor, S_FMT, answer)
    got, wanted = (struct.unpack_from("3I", each, 8) for each in (bytes(answer), asked))
    if got != wanted:
        raise LiveError(
            "device", f"the device takes {got[0]}x{got[1]} and not {width}x{height}: end what reads from it, then start"
        )


def words_of(error: OSError) -> str:
    """Return in words what a device's error means, and what to do."""
    return _WORDS.get(error.errno or 0) or system_words(error)[1]

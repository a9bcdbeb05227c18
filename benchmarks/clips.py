"""Video clips made of portraits, for the tests and for `video.py`: nobody's clips are committed or needed.

Portraits move over a background as a hand-held camera would show them; scenes cut, cross, hide and turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageFilter

TICKS = 15360  # a second
SAMPLES = 44100  # a second

Picture = Any  # (H, W, 3) uint8


@dataclass(frozen=True, slots=True)
class Sprite:
    """A portrait on its way: centre x and y and width, as shares of the frame's width, at a time in seconds."""

    picture: Image.Image
    place: Callable[[float], tuple[float, float, float]]
    begins: float = 0.0
    ends: float = math.inf


@dataclass(frozen=True, slots=True)
class Scene:
    """What a clip shows."""

    sprites: Sequence[Sprite]
    cover: Callable[[float], tuple[float, float, float, float] | None] = lambda _time: None  # x0, y0, x1, y1: shares
    shade: Callable[[float], int] = lambda _time: 0  # which background: another one is another shot


def portrait(file: Path) -> Image.Image:
    """Return a portrait."""
    with Image.open(file) as image:
        return image.convert("RGB")


def one_person(picture: Image.Image, width: float = 0.45) -> Scene:
    """Return a scene of one person who moves as if the camera was held by hand."""

    def place(time: float) -> tuple[float, float, float]:
        sway = 0.02 * math.sin(2.1 * time), 0.012 * math.sin(3.3 * time + 1)
        return 0.5 + sway[0], 0.3 + sway[1], width * (1 + 0.04 * math.sin(0.9 * time))

    return Scene([Sprite(picture, place)])


def crossing(one: Image.Image, other: Image.Image, seconds: float) -> Scene:
    """Return a scene of two people who pass each other."""
    return Scene(
        [
            Sprite(one, lambda time: (0.2 + 0.6 * time / seconds, 0.28, 0.3)),
            Sprite(other, lambda time: (0.8 - 0.6 * time / seconds, 0.33, 0.33)),
        ]
    )


def cut(one: Image.Image, other: Image.Image, at: float) -> Scene:
    """Return two shots, of one person each."""
    return Scene(
        [
            Sprite(one, lambda _time: (0.35, 0.3, 0.42), ends=at),
            Sprite(other, lambda _time: (0.62, 0.3, 0.42), begins=at),
        ],
        shade=lambda time: int(time >= at),
    )


def hidden(picture: Image.Image, begins: float, ends: float) -> Scene:
    """Return a scene in which something stands before a person for a while."""
    scene = one_person(picture)
    return Scene(scene.sprites, cover=lambda time: (0.41, 0.05, 0.55, 0.5) if begins <= time < ends else None)


def shown(scene: Scene, time: float, width: int, height: int) -> Picture:
    """Return a frame, (height, width, 3) uint8 RGB."""
    image = _background(width, height, scene.shade(time)).copy()
    for sprite in scene.sprites:
        if sprite.begins <= time < sprite.ends:
            x, y, share = sprite.place(time)
            side = max(round(share * width), 8)
            tall = round(side * sprite.picture.height / sprite.picture.width)
            left, top = x * width - side / 2, y * width - tall / 2
            own = sprite.picture.resize((side, tall), Image.Resampling.BICUBIC)
            matrix = (1, 0, -(left - math.floor(left)), 0, 1, -(top - math.floor(top)))  # between two pixels too
            moved = own.transform(own.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
            image.paste(moved.crop((1, 1, side - 1, tall - 1)), (math.floor(left) + 1, math.floor(top) + 1))
    cover = scene.cover(time)
    if cover is not None:
        x0, y0, x1, y1 = cover
        image.paste((96, 104, 80), (round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)))
    return np.asarray(image)


_MADE: dict[tuple[int, int, int], Image.Image] = {}


def _background(width: int, height: int, number: int) -> Image.Image:
    key = (width, height, number)
    if key not in _MADE:
        drawn = np.random.default_rng(number + 7).integers(40 + 90 * number, 120 + 90 * number, (18, 32, 3), np.uint8)
        wide = Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC)
        _MADE[key] = wide.filter(ImageFilter.GaussianBlur(2))
    return _MADE[key]


def write(
    file: Path,
    scene: Scene,
    seconds: float,
    size: tuple[int, int] = (640, 360),
    rate: int = 30,
    codec: str = "libx264",
    b_frames: int = 2,
    variable: bool = False,
    audio: bool = True,
    quarter_turns: int = 0,
    crf: int = 18,
    pixel_format: str = "yuv420p",
    colours: tuple[int, int] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a clip and return its file. `quarter_turns`, clockwise: it is stored lying, with a display matrix.

    `variable`: every fifth frame is shown half as long again. `colours`: primaries and transfer.
    """
    width, height = size
    container: Any = av.open(str(file), "w")
    with container:
        container.metadata.update(metadata or {})
        stored = size if quarter_turns % 2 == 0 else (height, width)
        options = {"crf": str(crf), "preset": "ultrafast"} if codec != "libvpx-vp9" else {"crf": "20", "cpu-used": "8"}
        picture = container.add_stream(codec, rate=rate, options=options)
        picture.width, picture.height, picture.pix_fmt = *stored, pixel_format
        if codec == "libx264":
            picture.codec_context.max_b_frames = b_frames
        picture.codec_context.time_base = picture.time_base = Fraction(1, TICKS)
        if colours is not None:
            picture.codec_context.color_primaries, picture.codec_context.color_trc = colours
        sound = None
        if audio:
            sound = container.add_stream(
                "libopus" if file.suffix == ".webm" else "aac", rate=48000 if file.suffix == ".webm" else SAMPLES
            )
        pts, number = 0, 0
        step = TICKS // rate
        while pts < seconds * TICKS:
            pixels = np.rot90(shown(scene, pts / TICKS, width, height), quarter_turns)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
                format=pixel_format
            )
            frame.pts, frame.time_base = pts, Fraction(1, TICKS)
            for packet in picture.encode(frame):
                container.mux(packet)
            number += 1
            pts += step * 3 // 2 if variable and number % 5 == 0 else step
        for packet in picture.encode():
            container.mux(packet)
        if sound is not None:
            _tone(container, sound, seconds)
    if quarter_turns:
        from uncnn.daemon.video.boxes import set_display_matrix

        set_display_matrix(file, _matrix(quarter_turns, stored))
    return file


def repeat(clip: Path, times: int, file: Path) -> Path:
    """Write the packets of a clip without sound or B-frames so many times over, and return the file."""
    source: Any
    target: Any
    with av.open(str(clip)) as source, av.open(str(file), "w") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        length = packets[-1].pts + packets[-1].duration - packets[0].pts
        for _ in range(times):
            for packet in packets:
                packet.stream = picture
                target.mux(packet)
                packet.pts, packet.dts = packet.pts + length, packet.dts + length
    return file


def _tone(container: Any, sound: Any, seconds: float) -> None:
    """Write a sine tone."""
    rate, done = sound.rate, 0
    while done < seconds * rate:
        samples = 0.2 * np.sin(2 * np.pi * 440 * (np.arange(1024) + done) / rate).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, done
        frame.time_base = Fraction(1, rate)
        for packet in sound.encode(frame):
            container.mux(packet)
        done += 1024
    for packet in sound.encode():
        container.mux(packet)


def _matrix(quarter_turns: int, stored: tuple[int, int]) -> bytes:
    """Return the display matrix (16.16 and 2.30 fixed point) that turns a stored picture clockwise."""
    one, width, height = 1 << 16, stored[0] << 16, stored[1] << 16
    rows = {
        1: (0, one, 0, -one, 0, 0, height, 0),
        2: (-one, 0, 0, 0, -one, 0, width, height),
        3: (0, -one, 0, one, 0, 0, 0, width),
    }[quarter_turns % 4]
    return b"".join(each.to_bytes(4, "big", signed=True) for each in rows) + (1 << 30).to_bytes(4, "big")

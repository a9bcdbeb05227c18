"""What a video file is: a value that messages carry. Nothing of FFmpeg is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a video file is."""

    container: str  # that it is written into again, as FFmpeg calls it
    codec: str
    width: int  # as it is stored; pixels
    height: int
    quarter_turns: int  # counter-clockwise, by which it is shown upright
    time_base: tuple[int, int]  # seconds of a tick
    pixel_format: str
    colours: tuple[int, int, int, int]  # range, matrix, primaries, transfer
    bits_per_second: int  # of the picture
    frames_per_second: float
    frames_declared: int  # 0: the file does not say
    audio_tracks: int
    notes: tuple[str, ...]  # what is left out

    @property
    def tick_seconds(self) -> float:
        """Return how long a tick is."""
        return self.time_base[0] / self.time_base[1]

"""Where what is known of a clip lies: beside it, in a private folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.protect.content import Content
from uncnn.plugins.api import UncnnError

TIMELINE: Final = "timeline"
"""Ending of what is known of a clip."""


def trial_file(clip: Path) -> Path:
    """Return where the frames lie that are judged before all are encoded: those of the windows tried last."""
    return clip.with_suffix(".trial.mp4")


def file_of(clip: Content) -> Path:
    """Return the file of a clip. Raises UncnnError: it lies in memory."""
    if clip.file is None:
        raise UncnnError("internal error: a clip without a file; please report it")
    return clip.file

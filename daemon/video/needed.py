"""What cloaking videos needs that is not everywhere: an extra package."""

from __future__ import annotations

from uncnn.plugins.extras import MissingPackage, require


def what_keeps_videos() -> str:
    """Return in words what keeps videos from being cloaked, and what to do; "" where nothing does."""
    try:
        require("av")
    except MissingPackage as error:
        return f"a video needs the extra video ({error})"
    return ""

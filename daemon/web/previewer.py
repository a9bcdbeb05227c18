"""The process that makes pictures of photos: it decodes strangers' bytes, so that a crash is not the page's."""

from __future__ import annotations

from uncnn.daemon.photos import decode
from uncnn.daemon.pictures.preview import around, preview
from uncnn.daemon.protect.wire import Handlers, Report
from uncnn.daemon.web.messages import PREVIEW, Preview, Previewed


def make_previewer() -> Handlers:
    """Return what the process answers."""
    return {Preview: made}


def made(asked: Preview, _report: Report) -> Previewed:
    """Return a picture of a photo. Raises PhotoError: it is no photo."""
    pixels = decode(asked.photo.read(), asked.name).pixels
    height, width = pixels.shape[:2]
    shown = pixels if asked.box is None else around(pixels, asked.box)
    return Previewed(asked.photo.beside(PREVIEW, preview(shown, asked.longest)), (width, height))

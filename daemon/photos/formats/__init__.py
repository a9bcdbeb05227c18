"""The formats of photos, each an object of its own: `daemon/files/formats.py` says which there are."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from uncnn.daemon.files import formats
from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats.photo_format import PhotoFormat

FORMATS: Final[Mapping[Format, PhotoFormat]] = {
    each.name: import_module(f"{__name__}.{each.key}").FORMAT for each in formats.FORMATS
}
"""By their names."""

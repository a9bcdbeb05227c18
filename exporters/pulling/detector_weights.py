"""A detector's weights as published, put among the models once they proved to be a network."""

from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from uncnn.exporters.pulling.parts import LARGEST_MEMBER, DownloadError, zip_member
from uncnn.exporters.registry.catalog import DetectorEntry
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import sha256_of


def install_detector(entry: DetectorEntry, file: Path, destination: Path) -> Path:
    """Put a detector's weights in their place and return it; a zip's one member is taken out.

    Raises:
        DownloadError, DetectorError: the file is not what it should be. OSError: `destination` cannot be written.
    """
    from uncnn.plugins.detectors.retinaface_network import load_network

    place = destination / entry.installs
    temporary = destination / f".{entry.installs}.{uuid4().hex}.tmp"
    try:
        _take_out(file, temporary)
        load_network(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    return place


def _take_out(file: Path, destination: Path) -> None:
    member = zip_member(file)
    if member is None:
        shutil.copyfile(file, destination)
        return
    with zipfile.ZipFile(file) as archive, archive.open(member) as source, destination.open("xb") as target:
        while block := source.read(1 << 20):
            if target.tell() + len(block) > LARGEST_MEMBER:
                raise DownloadError(
                    f"{file}: {member.filename} in it is larger than {LARGEST_MEMBER:,} bytes; report it"
                )
            target.write(block)


def sound_detector(entry: DetectorEntry, path: Path) -> bool:
    """Return whether the weights are those of the catalog; what came out of a zip can only be loaded."""
    if sha256_of(path).startswith(entry.files[0].digest):
        return True
    if not entry.files[0].file.endswith(".zip"):
        return False
    from uncnn.plugins.detectors.retinaface_network import load_network

    with suppress(UncnnError):
        load_network(path)
        return True
    return False

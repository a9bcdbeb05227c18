"""A folder of people that a face may be taken for: each has a folder of photos, or a photo, of their name."""

from __future__ import annotations

from pathlib import Path

from uncnn.daemon.files.names import ignored, is_photo_name
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError


class PeopleFolderError(UncnnError):
    """A folder of people cannot be used: the message names it, and what it has to look like."""


def photos_of_people(folder: Path) -> list[tuple[str, Path]]:
    """Return who is on each photo of a folder, by name. Folders in the folders of people are not looked into.

    Raises PeopleFolderError: it is missing, cannot be read, or has no photo.
    """
    try:
        found = [
            (entry.name if entry.is_dir() else entry.stem, file)
            for entry in sorted(folder.iterdir())
            if ignored(entry.name) is None
            for file in (sorted(entry.iterdir()) if entry.is_dir() else [entry])
            if ignored(file.name) is None and is_photo_name(file.name) and file.is_file()
        ]
    except OSError as error:
        raise PeopleFolderError(
            f"--gallery {printable(folder)}: {system_words(error)[1]}; name a folder with a folder of photos for each "
            "person, or with a photo of each"
        ) from error
    if not found:
        raise PeopleFolderError(
            f"--gallery {printable(folder)}: there is no photo in it; put a folder of photos for each person there, or "
            "a photo of each"
        )
    return found

"""A folder of faces, read once for every recogniser that is to be calibrated on it.

One folder a person, or flat files: then LFW's names (`Ada_Lovelace_0001.jpg`) say who it is where every file has one,
and otherwise every file is another person. Only what recognisers see of each face is kept, in memory alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uncnn.exporters.calibration.patches import cut, decode, main_face
from uncnn.plugins.api import Detector, Pixels, UncnnError
from uncnn.plugins.geometry import Floats

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".bmp"})
LFW_NAME = re.compile(r"(?P<person>(?=[^a-z]*[a-z]).+)_\d{4}")  # a lower-case letter: no IMG_0001
NAMED = 3  # photos of those left out for one reason

Report = Callable[[int, int], None]  # photos done, photos in all
Look = Callable[[bytes], "tuple[Pixels, Floats] | str"]
"""Returns what any recogniser sees of the face in a photo's bytes, see `PersonFace`, or why there is nothing to see."""


class FacesError(UncnnError):
    """A folder of faces cannot be used: the message names it, what is wrong, and what it has to look like."""


@dataclass(frozen=True, slots=True)
class PersonFace:
    """One face of one photo: what any recogniser sees of it."""

    file: Path
    person: str
    patch: Pixels  # (H, W, 3) uint8 RGB, bounded, see `face_patch`
    landmarks: Floats  # (5, 2) in patch pixels


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that was not used, and why."""

    file: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FaceFolder:
    """The faces of one or several folders, one a photo."""

    name: str
    faces: tuple[PersonFace, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def people(self) -> list[str]:
        """Return the people, by name."""
        return sorted({face.person for face in self.faces})

    def losses(self) -> list[str]:
        """Return a sentence for each reason why photos were left out: how many they are, and the first of them."""
        by_reason: dict[str, list[LeftOut]] = {}
        for left in self.left_out:
            by_reason.setdefault(left.reason.partition(" (")[0], []).append(left)
        return [
            f"{len(all_of)} photo{'s' * (len(all_of) > 1)} left out: {reason}: "
            + ", ".join(str(left.file) for left in all_of[:NAMED])
            + ", ..." * (len(all_of) > NAMED)
            for reason, all_of in by_reason.items()
        ]


def look_with(detector: Detector) -> Look:
    """Return what looks at photos with this detector, in this process."""

    def look(data: bytes) -> tuple[Pixels, Floats] | str:
        try:
            photo = decode(data)
        except Exception as error:  # Pillow's parsers raise OSError, ValueError, SyntaxError, struct.error, ...
            return f"cannot be read ({type(error).__name__}: {str(error)[:160]})"
        faces = detector.detect(photo)
        return cut(photo, main_face(faces, photo.shape)) if faces else "no face found"

    return look


def read_faces(
    folders: Sequence[Path], look: Look, report: Report | None = None, *, name: str | None = None
) -> FaceFolder:
    """Return the face of every photo in `folders`; `name` (the folders' names) is what cards call the data.

    Where a photo shows several people, the largest and most central face counts. A photo that cannot be read, that
    shows no face, or whose very bytes came before is left out and named. A person of the same name in two folders is
    one person.

    Raises:
        FacesError: a folder is missing or nested too deep, or there are not two people with a face.
    """
    photos = [photo for folder in folders for photo in photos_in(folder)]
    found: list[PersonFace | LeftOut] = []
    seen: dict[bytes, Path] = {}
    for file, person in photos:
        found.append(_read(file, person, look, seen))
        if report:
            report(len(found), len(photos))
    faces = tuple(one for one in found if isinstance(one, PersonFace))
    left_out = tuple(one for one in found if isinstance(one, LeftOut))
    result = FaceFolder(name or " + ".join(folder.resolve().name for folder in folders), faces, left_out)
    _check(result, folders)
    return result


def photos_in(folder: Path) -> list[tuple[Path, str]]:
    """Return the photos of a folder with who is on each.

    Raises:
        FacesError: it is missing or cannot be read, or a person's folder holds folders.
    """
    try:
        people = [path for path in _visible(folder) if path.is_dir()]
        nested = next((inner for path in people for inner in _visible(path) if inner.is_dir()), None)
        if nested:
            raise FacesError(
                f"{folder}: too deep: {nested.relative_to(folder)} is a folder in a person's folder; give the folders "
                "in which every person has one folder of photos, or flat folders"
            )
        flat = _images(folder)
        return [*_named(flat), *((file, path.name) for path in people for file in _images(path))]
    except OSError as error:
        raise FacesError(f"{folder}: cannot be read ({error.strerror}); give a folder of photos of faces") from error


def _named(files: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return flat files with who is on each: by LFW's names where all have one, else every file is someone else."""
    matches = [LFW_NAME.fullmatch(file.stem) for file in files]
    if all(matches):
        return [(file, match["person"]) for file, match in zip(files, matches, strict=True) if match]
    return [(file, str(file)) for file in files]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "@", "__MACOSX")))


def _images(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def _read(file: Path, person: str, look: Look, seen: dict[bytes, Path]) -> PersonFace | LeftOut:
    """Return the face of one photo, or why there is none."""
    try:
        data = file.read_bytes()
    except OSError as error:
        return LeftOut(file, f"cannot be read ({type(error).__name__}: {str(error)[:160]})")
    digest = hashlib.sha256(data).digest()
    if digest in seen:
        return LeftOut(file, f"a copy (of {seen[digest]})")
    seen[digest] = file
    found = look(data)
    return LeftOut(file, found) if isinstance(found, str) else PersonFace(file, person, *found)


def _check(result: FaceFolder, folders: Sequence[Path]) -> None:
    """Check that there are impostors at all.

    Raises:
        FacesError: there are not two people with a face.
    """
    people = result.people
    if len(people) > 1:
        return
    where = ", ".join(map(str, folders)) or "no folder"
    found = f"only one person ({people[0]})" if people else "no face"
    raise FacesError(
        f"{'; '.join([f'{where}: {found}', *result.losses()])}; a calibration compares faces of different people: give "
        "a folder with one folder of photos a person, or with one photo of each of many people"
    )

"""Files that an installed Python package ships, as dlib's recogniser is shipped by face_recognition_models."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from uncnn.exporters.registry.catalog import File
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import sha256_of


class PackageError(UncnnError):
    """A package that ships a model is not installed, or its file is not the known one."""


def packaged(file: File) -> Path:
    """Return the path of a file of the catalog in the package that ships it, its hash checked.

    The package is not imported: the `__init__` of dlib's needs pkg_resources, which setuptools no longer has.

    Raises:
        PackageError: the package is not installed, or its file is missing, damaged or another one.
    """
    spec = importlib.util.find_spec(file.package or "")
    if spec is None or spec.origin is None:
        raise PackageError(
            f"{file.file}: it lies in the package {file.package}, which is not installed: install it, or give the "
            "folder that has the file with --from"
        )
    path = Path(spec.origin).parent / file.path
    try:
        found = sha256_of(path)
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror}); install {file.package} again") from error
    if not found.startswith(file.digest):
        raise PackageError(
            f"{path}: its sha256 is {found}, but the catalog says {file.digest}: the file is damaged or another one; "
            f"install {file.package} again"
        )
    return path

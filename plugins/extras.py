"""Packages that are extras of uncnn, because not every machine or task needs them: which, and how to get one.

What computes, torch and ONNX Runtime, is one too: `cpu` and `cuda` bring builds that cannot stand together, and an
installer cannot know which of them a machine wants.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from uncnn.plugins.api import UncnnError

_COMPUTE: Final = 'pip install "uncnn[cpu]", or "uncnn[cuda]" for an NVIDIA GPU'

REMEDIES: Final = {
    **dict.fromkeys(("torch", "torchvision", "onnx2torch", "onnxscript", "onnxruntime"), _COMPUTE),
    "timm": 'pip install "uncnn[convert]"',
    **dict.fromkeys(("matplotlib", "ssimulacra2"), 'pip install "uncnn[evaluate]"'),
    "apprise": 'pip install "uncnn[notify]"',
    **dict.fromkeys(("starlette", "uvicorn", "h11", "jinja2", "segno"), 'pip install "uncnn[web]"'),
    "cryptography": 'pip install "uncnn[serve]"',
    "av": 'pip install "uncnn[video]"',
    **dict.fromkeys(("pyarrow", "fsspec", "s3fs"), 'pip install "uncnn[archive]"'),
    "ray": 'pip install "uncnn[ray]"',
}
"""How to get a package, by the name that it is imported by."""


class MissingPackage(UncnnError):
    """A package of an extra that is not installed."""


def require(*packages: str) -> None:
    """Check that these are installed; nothing is imported.

    Raises:
        MissingPackage: one is not; the message names all that are missing, and says how to get them.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise MissingPackage(missing_words(missing))


def missing_words(missing: list[str]) -> str:
    """Return in a line what is missing and how to get it; the packages are of one extra."""
    verb = "is" if len(missing) == 1 else "are"
    names = " and ".join(each for each in (", ".join(missing[:-1]), missing[-1]) if each)
    return f"{names} {verb} not installed: {REMEDIES[missing[0]]}"

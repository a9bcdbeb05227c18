"""The names of what happens to a photo after it is published: the changes under which a verdict must hold."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from uncnn.plugins.api import UncnnError


@dataclass(frozen=True, slots=True)
class View:
    """One change of a whole photo."""

    kind: Literal["as-is", "jpeg", "half-size", "blur"]
    quality: int = 0  # of `jpeg`, 1..100
    sigma_px: float = 0.0  # of `blur`, in pixels of the photo


def parse_view(name: str) -> View:
    """Return the view called `name`: `as-is`, `jpeg-NN` (NN 1 to 100), `half-size` or `blur-S` (S px, 0.1 to 9.9).

    Raises UncnnError that lists what is allowed.
    """
    if name in ("as-is", "half-size"):
        return View("as-is" if name == "as-is" else "half-size")
    if found := re.fullmatch(r"jpeg-([1-9][0-9]?|100)", name):
        return View("jpeg", quality=int(found[1]))
    if found := re.fullmatch(r"blur-([1-9](?:\.[1-9])?|0\.[1-9])", name):
        return View("blur", sigma_px=float(found[1]))
    digits = re.sub(r"[^0-9.]", "", name)
    meant = difflib.get_close_matches(name, ("as-is", "half-size", f"jpeg-{digits or 75}", f"blur-{digits or 1}"), n=1)
    hint = f"did you mean {meant[0]}? " if meant and meant[0] != name else ""
    raise UncnnError(
        f"view {name!r} is not known: {hint}use as-is, jpeg-NN with NN from 1 to 100, half-size, or blur-S with S from "
        "0.1 to 9.9 pixels"
    )

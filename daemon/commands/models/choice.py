"""Which installed models a command is about, and which of them may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uncnn.daemon.text import printable
from uncnn.exporters.registry import store
from uncnn.exporters.registry.choice import ModelsError


def chosen(data: Path, names: Sequence[str]) -> list[store.Place]:
    """Return the recognisers of these names, or every one, as a run would find them; broken ones too.

    Raises:
        ModelsError: one is not installed.
    """
    places = store.in_use(data)
    missing = [name for name in names if name not in places]
    if missing:
        there = ", ".join(sorted(places)) or "none"
        raise ModelsError(
            f"{', '.join(map(printable, missing))}: not installed (installed: {there}); "
            "see `uncnn-daemon models list`, and `uncnn-daemon models pull` to get one"
        )
    return [places[name] for name in (dict.fromkeys(names) or sorted(places))]


def check_ours(data: Path, place: store.Place, what: str) -> None:
    """Check that a model lies in the user's own data directory, the only place that is changed.

    Raises:
        ModelsError: it lies elsewhere.
    """
    ours = store.models_dir(data)
    if place.folder.parent != ours or place.folder.is_symlink():
        raise ModelsError(
            f"{place.name} lies in {printable(place.folder)}, which is not uncnn's to change: "
            f"copy that folder to {printable(ours / place.name)}, take the other place out of $UNCNN_MODELS, and {what}"
        )

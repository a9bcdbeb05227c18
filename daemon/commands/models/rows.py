"""Every model: those that are installed and those that can be pulled. Neither torch nor the network is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import DetectorEntry, Entry, RecogniserEntry, read_catalog, weights_of
from uncnn.plugins.recognisers.cards import MODEL_FILE, Licence

LFW = ("lfw_6000_pairs", "lfw_6000_drawn_pairs")  # what a card calls LFW's official pairs, and such as we drew


@dataclass(frozen=True, slots=True)
class Row:
    """One model: what the catalog knows of it, and where it is installed."""

    name: str
    role: str  # surrogate, judge or detector
    format: str
    licence: Licence
    allows: str
    bytes: int | None  # to fetch, or on the disk where it is not of the catalog
    accuracy: float | None  # on LFW, 0..1
    place: Path | None
    packs: tuple[str, ...]
    exercised: bool | None
    sha256: str | None  # of the model as it is installed; else of its weights, or their first digits
    sources: tuple[str, ...] = ()  # where its files are pulled from: addresses, or names of packages
    problem: str = ""  # why it cannot be used

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "role": self.role,
            "format": self.format,
            "licence": self.licence.model_dump(),
            "allows": self.allows,
            "bytes": self.bytes,
            "lfw_accuracy": self.accuracy,
            "installed": str(self.place) if self.place else None,
            "packs": list(self.packs),
            "exercised": self.exercised,
            "sha256": self.sha256,
            "sources": list(self.sources),
            "problem": self.problem or None,
        }


def known(data: Path) -> Iterator[Row]:
    """Yield every model of the catalog in its order, then what else is installed, by name."""
    places = store.in_use(data)
    for entry in read_catalog().models:
        yield _of_catalog(entry, places.pop(entry.name, None), data)
    for name in sorted(places):
        yield _of_folder(places[name], data)


def problem_of(place: store.Place) -> str:
    """Return why an installed recogniser cannot be used, in a line, or nothing."""
    if place.card is None:
        return " ".join(place.problem.split())
    if place.differs:
        return f"not the {place.name} that uncnn knows ({place.differs}): it is not used"
    return "" if place.card.thresholds else f"no thresholds: uncnn-daemon models calibrate {place.name} --faces FOLDER"


def _of_catalog(entry: Entry, place: store.Place | None, data: Path) -> Row:
    folder = place.folder if place else None
    where = _detector(entry, data) if isinstance(entry, DetectorEntry) else folder
    return Row(
        entry.name,
        "detector" if isinstance(entry, DetectorEntry) else entry.role,
        "checkpoint" if isinstance(entry, DetectorEntry) else entry.format,
        entry.licence,
        entry.allows,
        entry.size,
        _on_lfw(entry.accuracy) if isinstance(entry, RecogniserEntry) else None,
        where,
        entry.packs if where is None or where.parent != store.EMBEDDED else ("embedded",),
        entry.exercised,
        place.card.sha256 if place and place.card else weights_of(entry).digest,
        tuple(file.url or f"package {file.package}" for file in entry.files),
        problem_of(place) if place else "",
    )


def _detector(entry: DetectorEntry, data: Path) -> Path | None:
    """Return where a detector lies: its weights as they were pulled, or what comes with uncnn of them."""
    ours = store.EMBEDDED / store.OWN_DETECTOR
    mine = ours.parent if ours.stem == Path(entry.installs).stem and ours.is_file() else None
    return store.find_file(data, entry.installs) or mine


def _of_folder(place: store.Place, data: Path) -> Row:
    card, embedded = place.card, place.folder.parent == store.EMBEDDED
    model = place.folder / MODEL_FILE
    return Row(
        place.name,
        card.role if card else "-",
        "onnx",
        card.licence if card else Licence(name="not known", use="research"),
        "see its card",
        os.stat(model).st_size if model.is_file() else None,  # noqa: PTH116 (follows links)
        _on_lfw(card.accuracy) if card else None,
        place.folder,
        ("embedded",) if embedded else ("own",),
        True if embedded else None,
        card.sha256 if card else None,
        problem=problem_of(place),
    )


def _on_lfw(accuracy: Mapping[str, float]) -> float | None:
    return next((accuracy[name] for name in LFW if name in accuracy), None)

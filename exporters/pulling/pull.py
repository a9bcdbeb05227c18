"""From the catalog to the models folder: files are fetched, checked, converted, proven, and put in their place.

One model that fails does not stop the others. Torch and onnx are imported when the first model is converted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from uncnn.exporters.pulling.detector_weights import install_detector, sound_detector
from uncnn.exporters.pulling.download import Downloads, News, Origin, Report
from uncnn.exporters.pulling.packages import packaged
from uncnn.exporters.pulling.parts import FULL, only_pull
from uncnn.exporters.pulling.transfer import Patience
from uncnn.exporters.registry.catalog import DetectorEntry, Entry, File, RecogniserEntry, card_of, weights_of
from uncnn.exporters.registry.installation import sound_card
from uncnn.exporters.registry.store import EMBEDDED, models_dir
from uncnn.plugins.api import UncnnError

State: TypeAlias = Literal["installed", "present", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of one model."""

    name: str
    state: State
    message: str
    place: Path | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How models are to be pulled."""

    licences: tuple[str, ...]  # that are accepted
    origin: Origin = Origin()  # noqa: RUF009 (frozen)
    force: bool = False  # again, whatever is there
    patience: Patience = Patience()  # noqa: RUF009 (frozen)


def pull(entries: Sequence[Entry], data: Path, wish: Wish, report: Report) -> Iterator[Pulled]:
    """Install `entries` in the models folder of the data directory, yielding what became of each.

    Nothing is fetched of a model whose licence is not accepted, or that is there and sound.

    Raises:
        DownloadError: another pull is at work, or the network settings cannot be used. OSError: `data` cannot be used.
    """
    todo: list[Entry] = []
    for entry in entries:
        settled = _settled(entry, data, wish)
        if settled is None:
            todo.append(entry)
        else:
            yield settled
    if not todo:
        return
    with only_pull(data) as store, Downloads(store, wish.origin, report, wish.patience) as downloads:
        coming = [(entry, [_start(downloads, file, wish.origin) for file in entry.files]) for entry in todo]
        for entry, futures in coming:
            try:
                files = [future.result() for future in futures]
                report(News(entry.name, 0, None, "converting and checking"))
                place = install(entry, files, models_dir(data))
            except (UncnnError, OSError) as error:
                yield Pulled(entry.name, "failed", _words(error, data))
                continue
            except Exception as error:  # of a library that converts: it must not cost the other models
                yield Pulled(entry.name, "failed", f"cannot be converted ({type(error).__name__}: {error}); report it")
                continue
            for file in files:
                if file.parent == store:  # it has done its work
                    file.unlink(missing_ok=True)
            yield Pulled(entry.name, "installed", _installed_words(entry), place)


def install(entry: Entry, files: Sequence[Path], destination: Path) -> Path:
    """Convert the checked `files` of `entry` and return the folder or the file in `destination` that came of them.

    Raises:
        FormatError, BuildError, DetectorError: the files are not what they should be.
        OSError: `destination` cannot be written or is full.
    """
    destination.mkdir(parents=True, exist_ok=True)
    if isinstance(entry, DetectorEntry):
        return install_detector(entry, files[0], destination)
    from uncnn.exporters.convert.build import build
    from uncnn.exporters.convert.formats import convert, torch_network

    model = convert(entry.format, files, entry.architecture)
    network = torch_network(entry.format, files, entry.architecture)
    return build(model, card_of(entry), destination, network=network)


def sound(entry: Entry, data: Path) -> Path | None:
    """Return where `entry` lies, the user's or uncnn's own, if it is whole and made of the catalog's files."""
    if isinstance(entry, DetectorEntry):
        path = models_dir(data) / entry.installs
        return path if path.is_file() and sound_detector(entry, path) else None
    folders = [place / entry.name for place in (models_dir(data), EMBEDDED)]
    return next((folder for folder in folders if sound_card(folder, weights_of(entry).sha256)), None)


def refusal(entry: Entry) -> str:
    """Return in words that the licence of an entry is not accepted, and the remedy."""
    use = entry.licence.use
    return (
        f"for {use} use only ({entry.licence.name}): accept that with --licence {use}, "
        f"or add {use} to models.licences in the configuration"
    )


def _settled(entry: Entry, data: Path, wish: Wish) -> Pulled | None:
    """Return what is to be said of an entry of which nothing has to be fetched."""
    if entry.licence.use not in wish.licences:
        return Pulled(entry.name, "refused", refusal(entry))
    place = None if wish.force else sound(entry, data)
    if place is None:
        return None
    whence = "it comes with uncnn" if place.parent == EMBEDDED else "already there and sound"
    return Pulled(entry.name, "present", f"{whence} (--force pulls it again)", place)


def _start(downloads: Downloads, file: File, origin: Origin) -> Future[Path]:
    """Return the path of a file to be; one that comes with a package is taken from there."""
    given = origin.folder is not None and (origin.folder / file.file).is_file()
    if file.package is None or given:
        return downloads.start(file)
    future: Future[Path] = Future()
    try:
        future.set_result(packaged(file))
    except UncnnError as error:
        future.set_exception(error)
    return future


def _words(error: UncnnError | OSError, data: Path) -> str:
    """Return what went wrong and the remedy; our own errors say both."""
    if isinstance(error, UncnnError):
        return str(error)
    place = error.filename or models_dir(data)
    if error.errno in FULL:
        return f"{place}: the disk is full; free some space and pull again: what was fetched is kept"
    return f"{place} cannot be used ({error.strerror or error}); correct that and pull again"


def _installed_words(entry: Entry) -> str:
    if isinstance(entry, RecogniserEntry) and not entry.thresholds:
        remedy = f"`uncnn-daemon models calibrate {entry.name} --faces FOLDER`"
        return f"it is not used before it has thresholds: {remedy}"
    return "converted and proven" if isinstance(entry, RecogniserEntry) else "proven"

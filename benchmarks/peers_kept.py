"""What is kept of each method and person: the published files, what judges see in them, how they look, the cost."""

from __future__ import annotations

import ctypes
import io
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onepass import Portrait
from peers_faces import Person
from peers_methods import Method
from PIL import Image

from uncnn.daemon.evaluate.machine import peak_bytes
from uncnn.daemon.verify.displays import on_displays
from uncnn.plugins.api import Pixels, UncnnError
from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser


class KeptError(UncnnError):
    """A folder was made with something else."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """One person's photos, cloaked with one method."""

    embeddings: dict[str, Embeddings]  # by judge: (n, D)
    jod: np.ndarray[tuple[int, ...], np.dtype[np.float64]]  # (n, 3): phone, desktop, twice; NaN: too small
    seconds: float  # of a core, a face
    peak: float  # bytes that the process held at most while the batch was cloaked; NaN: the system does not tell


def cloaked(
    method: Method,
    people: Sequence[Person],
    folder: Path,
    attacked: Sequence[Recogniser],
    asked: Sequence[OnnxRecogniser],
    more: bool,
) -> dict[str, Kept]:
    """Return what is kept, by person; who is not there yet is cloaked now, if there is to be `more`.

    Raises KeptError: the folder was made with other numbers of this method, or with other recognisers.
    """
    own = folder_of(method, folder)
    own.mkdir(parents=True, exist_ok=True)
    check(own / "made.txt", f"{method!r}\n{[each.card.sha256 for each in (*attacked, *asked)]}\n")
    missing = [person for person in people if more and not (own / f"{person.name}.npz").exists()]
    if missing:
        _make(method, missing, own, attacked, asked)
        print(f"  {method.name}: {', '.join(person.name for person in missing)}", flush=True)
    files = {person.name: own / f"{person.name}.npz" for person in people}
    return {name: _read(file) for name, file in files.items() if file.exists()}


def folder_of(method: Method, keep: Path) -> Path:
    """Return where the files of a method are kept."""
    return keep / "".join(letter if letter.isalnum() else "-" for letter in method.name).strip("-")


def check(file: Path, text: str) -> None:
    """Write what a folder is made with, or compare. Raises KeptError: it is something else."""
    if not file.exists():
        file.write_text(text)
    elif file.read_text() != text:
        raise KeptError(f"{file.parent}: made with something else ({file.name} says what): name another --keep folder")


def _make(
    method: Method, people: Sequence[Person], folder: Path, attacked: Sequence[Recogniser], asked: Sequence[Any]
) -> None:
    _forget_peak()
    began = time.process_time()
    copies = method.work.cloak(people, attacked)
    seconds = (time.process_time() - began) / len(copies)
    peak = float(peak_bytes(os.getpid()) or np.nan)
    for person in people:
        own, copies = copies[: len(person.judged)], copies[len(person.judged) :]
        files = [_file(copy, method.jpeg) for copy in own]
        shown = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
        values: dict[str, Any] = {f"judge {each.card.name}": embedded(each, shown, person.judged) for each in asked}
        values["jod"] = np.array([_jod(one, copy) for one, copy in zip(person.judged, shown, strict=True)])
        for number, file in enumerate(files):
            (folder / f"{person.name}-{number}.jpg").write_bytes(file)
        write(folder / f"{person.name}.npz", seconds=seconds, peak=peak, **values)


def write(file: Path, **arrays: Any) -> None:
    """Write arrays into a file, whole or not at all."""
    with io.BytesIO() as archive:
        np.savez(archive, **arrays)
        part = file.with_suffix(".part")
        part.write_bytes(archive.getvalue())
    part.replace(file)


def embedded(judge: OnnxRecogniser, photos: Sequence[Pixels], portraits: Sequence[Portrait]) -> Embeddings:
    """Return a judge's embeddings, (n, D), of photos, with the faces where they are in the originals."""
    pairs = zip(photos, portraits, strict=True)
    return np.concatenate([judge.embed(photo, np.array(each.face.landmarks)[None]) for photo, each in pairs])


def _read(file: Path) -> Kept:
    with np.load(file, allow_pickle=False) as arrays:
        judges = {name.removeprefix("judge "): arrays[name] for name in arrays if name.startswith("judge ")}
        return Kept(judges, arrays["jod"], float(arrays["seconds"]), float(arrays["peak"]))


def _file(photo: Pixels, quality: int) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(photo).save(file, "JPEG", quality=quality, subsampling=0)
        return file.getvalue()


def _jod(portrait: Portrait, copy: Pixels) -> tuple[float, float, float]:
    jod = on_displays(portrait.photo, copy, [portrait.face])[0]
    return jod.phone, jod.desktop, np.nan if jod.zoom is None else jod.zoom


def _forget_peak() -> None:
    """Have the system count the largest memory from now on, with what was freed given back; where it can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")

"""`augment`: photos with an attack's change in their faces, to train recognisers on. They are not judged.

A manifest beside them says what each was made from and how; what it names, unchanged, is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.files.names import numbered
from uncnn.daemon.files.publish import PublishError, snapshot
from uncnn.daemon.files.scan import Found, candidates
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Change, Look
from uncnn.daemon.protect.pipeline import attack_of, people_for
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import Report, RequestError
from uncnn.daemon.settings import Settings, SettingsError, own_processes
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.text import photos as photos_in_words
from uncnn.daemon.text import printable
from uncnn.plugins.recognisers.cards import sha256_of

MANIFEST: Final = "manifest.jsonl"
NO_FACE: Final = "no face"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the manifest: one photo, and what was made of it."""

    photo: str  # relative to the folder of photos
    sha256: str  # of the photo
    made_by: str  # of the attack, its parameters, the models and the version
    file: str = ""  # relative to the manifest; "": none was made
    file_sha256: str = ""
    faces: int = 0
    why_not: str = ""

    def stands(self, output: Path, sha256: str, made_by: str) -> bool:
        """Return whether a photo came to the same before, and its file is there as it was made."""
        if (self.sha256, self.made_by) != (sha256, made_by) or (self.why_not and self.why_not != NO_FACE):
            return False
        with suppress(OSError):
            return not self.file or sha256_of(output / self.file) == self.file_sha256
        return False


def augment_photos(settings: Settings, source: Path, output: Path, as_json: bool) -> int:
    """Write a spoofed copy of each photo of the folder `source` into `output`, and return the exit status.

    Raises:
        SettingsError: `source` is no folder, or one of the two lies in the other. PublishError: a file cannot be
        written. ScanError: the folder cannot be read. RequestError, ProcessDied: the models do not load.
    """
    source, output = _folders(source, output)
    before = _read(output / MANIFEST)
    found = list(candidates(source))
    entries: list[Entry] = []
    with (
        own_processes(settings.models, settings.device) as (engine, spool),
        progress_bar(len(found), as_json, logged=True) as bar,
    ):
        recipe, people = _recipe(settings, engine), people_for(settings.policy)
        made_by = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
        names = {str(each.relative) for each in found}
        used = {entry.file for entry in before.values() if entry.photo in names and entry.file}
        maker = _Maker(engine, settings, source, output, spool, made_by, people, used)
        with _open(output / MANIFEST) as manifest:
            for photo in found:
                name = printable(photo.relative)
                bar.begin(name)
                entry = maker.entry(photo, before.get(str(photo.relative)), bar.report)
                entries.append(entry)
                manifest.write(json.dumps(asdict(entry)) + "\n")  # an interrupted run is gone on with
                manifest.flush()
                if entry.why_not and not as_json:
                    with bar.aside():
                        sys.stdout.write(f"{name}: {entry.why_not}\n")
    _write(output / MANIFEST, [json.dumps(asdict(each)) for each in entries])
    _write(output / "recipe.json", [json.dumps({**recipe, "made_by": made_by}, indent=2)])
    failed = [each for each in entries if each.why_not not in {"", NO_FACE}]
    if as_json:
        print_json({"output": str(output), "recipe": recipe, "photos": [asdict(each) for each in entries]})
    else:
        made = sum(bool(each.file) for each in entries)
        sys.stdout.write(
            f"{photos_in_words(made)} of {len(entries)} in {printable(output)}, listed in {MANIFEST}. They are for "
            "training: nothing has checked that they protect, so do not share them.\n"
        )
    return ERROR if failed else OK


@dataclass(frozen=True, slots=True)
class _Maker:
    """What makes the copies of one run."""

    engine: ProcessEngine
    settings: Settings
    source: Path
    output: Path
    spool: Path
    made_by: str
    people: People
    used: set[str]  # names of copies: two photos may come to the same one in another format

    def entry(self, found: Found, before: Entry | None, report: Report) -> Entry:
        """Return the line of a photo, whose copy is then there. Raises PublishError: it cannot be written."""
        entry = Entry(str(found.relative), "", self.made_by)
        if found.refused:
            return replace(entry, why_not=found.refused)
        try:
            taken = snapshot(self.source, found.relative, self.spool)
        except PublishError as error:
            return replace(entry, why_not=str(error))
        try:
            if before is not None and before.stands(self.output, taken.sha256, self.made_by):
                return before
            made = replace(entry, sha256=taken.sha256, file=before.file if before is not None else "")
            return self._made(made, Content(taken.path), found.relative, report)
        except RequestError as error:
            if error.fault != "photo":
                raise
            return replace(entry, sha256=taken.sha256, why_not=str(error))
        except ProcessDied as error:  # the next photo starts another
            return replace(entry, sha256=taken.sha256, why_not=str(error))
        finally:
            taken.path.unlink(missing_ok=True)

    def _made(self, entry: Entry, photo: Content, relative: Path, report: Report) -> Entry:
        policy = self.settings.policy
        looked = self.engine.look(Look(photo, relative.name, policy.faces.rotated))
        faces = tuple(face for face in looked.faces if face.size_px >= policy.faces.smallest_px)
        if not faces:
            return replace(entry, file="", why_not=NO_FACE)
        asked = Change(
            photo,
            relative.name,
            policy.faces.rotated,
            faces,
            (policy.attack.strength,) * len(faces),
            attack_of(policy, self.people),
            policy.output.written_as,
            policy.output.quality,
        )
        candidate = self.engine.change(asked, report).candidate
        content, name = candidate.read(), entry.file or self._name(relative)
        _put(self.output / name, content)
        return replace(entry, file=name, file_sha256=hashlib.sha256(content).hexdigest(), faces=len(faces))

    def _name(self, relative: Path) -> str:
        """Return a name for the copy of a photo that no other one has."""
        wanted = self.settings.policy.released_name(relative)
        tried = (wanted.with_name(numbered(wanted.name, number)) for number in count(1))
        name = next(str(each) for each in tried if str(each) not in self.used)
        self.used.add(name)
        return name


def _folders(source: Path, output: Path) -> tuple[Path, Path]:
    """Return both folders, whole; `output` is made. Raises SettingsError, PublishError."""
    source, output = source.resolve(), output.resolve()
    if not source.is_dir():
        raise SettingsError(f"{printable(source)} is no folder: name the folder of the photos")
    if source.is_relative_to(output) or output.is_relative_to(source):
        raise SettingsError(f"--output {printable(output)}: name a folder apart from {printable(source)}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError.of(error, output, "made") from error
    return source, output


def _recipe(settings: Settings, engine: ProcessEngine) -> dict[str, Any]:
    """Return what decides how the copy of a photo comes out; its random numbers begin at its pixels."""
    policy = settings.policy
    return {
        "attack": policy.attack.model_dump(mode="json"),
        "faces": policy.faces.model_dump(mode="json"),
        "output": policy.output.model_dump(mode="json"),
        "seed": "of each photo: the first 60 bits of the SHA-256 of its pixels",
        "models": engine.roster.digest(),
        "version": version("uncnn"),
    }


def _read(file: Path) -> Mapping[str, Entry]:
    """Return the lines of an earlier run by photo, the last of each; a broken line is left out."""
    entries: dict[str, Entry] = {}
    with suppress(FileNotFoundError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):
                entry = Entry(**json.loads(line))
                entries[entry.photo] = entry
    return entries


def _open(file: Path) -> Any:
    try:
        return file.open("a", encoding="utf-8")
    except OSError as error:
        raise PublishError.of(error, file, "written") from error


def _write(file: Path, lines: Sequence[str]) -> None:
    _put(file, "".join(f"{line}\n" for line in lines).encode())


def _put(file: Path, content: bytes) -> None:
    """Write a file in one rename. Raises PublishError."""
    temporary = file.with_name(f".{file.name}.uncnn-new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as writer:
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PublishError.of(error, file, "written") from error

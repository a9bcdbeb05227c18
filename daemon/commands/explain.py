"""What `uncnn-daemon explain` does: the verifier's process embeds and draws, this one says whom a face is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rich.markup import escape

from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.explain.class_names import read_names
from uncnn.daemon.explain.explained import ExplainedFace
from uncnn.daemon.explain.members import Member, enrolled
from uncnn.daemon.explain.people_folder import photos_of_people
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.output import NO_FACE, OK, print_json
from uncnn.daemon.people.store import read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import PICTURE, Classify, Describe, Explain, Portray
from uncnn.daemon.protect.process_engine import JOB_SECONDS
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import Handlers, RequestError
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.daemon.settings import Settings, SettingsError, taken, work
from uncnn.daemon.terminal.explanation_table import say_explanation
from uncnn.daemon.terminal.progress import Bar, progress_bar
from uncnn.daemon.terminal.results import say_words
from uncnn.daemon.text import printable
from uncnn.exporters.registry.store import Installed
from uncnn.plugins.api import Rotated

MOST_FACES: Final = 1000
_CLASSIFIES: Final = ("uncnn.daemon.protect.classifier",)


@dataclass(frozen=True, slots=True)
class ClassifierFiles:
    """A closed-set classifier of the user's own, and how it is fed."""

    model: Path
    names: Path
    order: str
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be explained."""

    photo: Path
    gallery: Path | None  # a folder of people beside those who are enrolled
    copy: Path | None
    output: Path | None  # a picture
    surrogates: bool  # whether the attacked recognisers are asked too
    classifier: ClassifierFiles | None = None

    @property
    def titles(self) -> list[str]:
        """Return what the photo and its copy are called, with the copy's folder where both names are the same."""
        if self.copy is None:
            return [printable(self.photo.name)]
        same = self.copy.name == self.photo.name
        return [printable(each) for each in (self.photo.name, Path(*self.copy.parts[-2:]) if same else self.copy.name)]


def explain_photo(settings: Settings, wanted: Wanted, as_json: bool) -> int:
    """Print whom recognisers take the faces of a photo, and of a copy, for; return the exit status.

    Raises:
        SettingsError: the output is no PNG or one of the photos, or the copy has another size. PeopleFolderError,
        PeopleError: there is nobody in the folder, or the enrolled people cannot be read. PublishError: a file cannot
        be read or written. RequestError: one is no photo, or the classifier cannot be asked. NamesError: it has none.
    StrangersError: a model is damaged. ProcessDied: the classifier brought its process to an end.
    """
    _check_output(wanted)
    classes = () if wanted.classifier is None else read_names(wanted.classifier.names)
    named = photos_of_people(wanted.gallery) if wanted.gallery is not None else []
    with progress_bar(len(named) + 1, as_json) as bar, work(settings.models, settings.device) as (engine, spool):
        members, notes = _members(engine, spool, named, settings.policy.faces.rotated, bar)
        bar.begin(printable(wanted.photo.name))
        models = [*engine.roster.judges, *(engine.roster.surrogates if wanted.surrogates else ())]
        notes += _unknown(models, members)
        photo = Content(taken(wanted.photo, spool).path)
        copy = None if wanted.copy is None else Content(taken(wanted.copy, spool).path)
        faces, more = _faces(engine, settings, models, members, wanted, photo, copy)
        notes += more
        if wanted.classifier is not None and faces:
            faces = _classified(wanted.classifier, classes, wanted, spool, photo, copy, faces)
        if wanted.output is not None and faces:
            _draw(engine, wanted, photo, copy, faces)
    if not members:
        notes.append("nobody is enrolled: faces are compared with strangers alone; name people with --gallery FOLDER")
    _print(wanted, faces, notes, as_json)
    return OK if faces else NO_FACE


def _check_output(wanted: Wanted) -> None:
    output = wanted.output
    if output is None:
        return
    if output.suffix.lower() != ".png":
        raise SettingsError(f"--output {printable(output)}: name a file that ends in .png")
    photos = [photo for photo in (wanted.photo, wanted.copy) if photo is not None and photo.exists()]
    if output.exists() and any(output.samefile(photo) for photo in photos):
        raise SettingsError(f"--output {printable(output)} is one of the photos: name another file")


def _members(
    engine: EitherEngine, spool: Path, named: Sequence[tuple[str, Path]], rotated: Rotated, bar: Bar
) -> tuple[list[Member], list[str]]:
    """Return the enrolled people and those in the folder, one of each name, and which photos were left out and why."""
    people: dict[str, dict[str, list[list[float]]]] = {}
    for member in enrolled(read_people()):
        people[member.name] = {model: list(rows) for model, rows in member.embeddings.items()}
    notes = []
    for name, file in named:
        bar.begin(printable(file.name))
        try:
            found = engine.judge(Describe(Content(taken(file, spool).path), printable(file.name), rotated))
        except (PublishError, RequestError) as error:
            if isinstance(error, RequestError) and error.fault != "photo":
                raise
            notes.append(f"left out: {printable(file)}: {error}")
            continue
        if found.faces != 1:
            shows = "no face" if found.faces == 0 else f"{found.faces} faces"
            notes.append(f"left out: {printable(file)} shows {shows}: use photos that show one person alone")
        for model in found.models:
            people.setdefault(name, {}).setdefault(model.sha256, []).append(model.embedding)
    return [Member(name, rows) for name, rows in people.items()], notes


def _unknown(models: Sequence[Installed], members: Sequence[Member]) -> list[str]:
    """Return who was enrolled when a recogniser was not asked."""
    notes = []
    for model in models:
        unknown = [printable(member.name) for member in members if not member.embeddings.get(model.card.sha256)]
        if unknown:
            notes.append(f"{model.card.name} does not know {', '.join(unknown)}: enroll them again")
    return notes


def _faces(
    engine: EitherEngine,
    settings: Settings,
    models: Sequence[Installed],
    members: Sequence[Member],
    wanted: Wanted,
    photo: Content,
    copy: Content | None,
) -> tuple[tuple[ExplainedFace, ...], list[str]]:
    """Return whom the faces are taken for, the largest first, and what was left out.

    Raises SettingsError: the copy has another size.
    """
    names, policy = tuple(model.card.name for model in models), settings.policy.faces
    said = engine.judge(
        Explain(
            photo,
            printable(wanted.photo.name),
            copy,
            names,
            policy.rotated,
            policy.smallest_px,
            MOST_FACES,
            tuple(members),
        )
    )
    if wanted.copy is not None and said.copy_size not in {None, said.size}:
        sizes = " and ".join(f"{width} x {height}" for width, height in (said.size, said.copy_size or (0, 0)))
        words = f"--against {printable(wanted.copy)}: the photo and the copy have {sizes} pixels"
        raise SettingsError(f"{words}: name a copy of this very photo")
    notes = []
    if said.too_small:
        notes.append(f"left out: faces smaller than {policy.smallest_px:g} px: {said.too_small}")
    if said.further:
        notes.append(f"{said.further} more faces, which are not explained")
    return said.faces, notes


def _classified(
    files: ClassifierFiles,
    names: tuple[str, ...],
    wanted: Wanted,
    spool: Path,
    photo: Content,
    copy: Content | None,
    faces: tuple[ExplainedFace, ...],
) -> tuple[ExplainedFace, ...]:
    """Return the faces with the answer of a classifier, which runs in a sandboxed process that ends with it."""
    asked = Classify(
        photo,
        printable(wanted.photo.name),
        copy,
        Content(taken(files.model, spool).path),
        printable(files.model.name),
        names,
        tuple(face.face for face in faces),
        tuple(face.again for face in faces),
        "BGR" if files.order == "BGR" else "RGB",
        (files.mean,) * 3,
        (files.std,) * 3,
    )
    with closing(Child("classifier", _make_classifier, sandbox_for(spool, (), "cpu"), _CLASSIFIES)) as child:
        said = child.call(asked, JOB_SECONDS)
    return tuple(
        replace(face, answers=(*face.answers, answer)) for face, answer in zip(faces, said.answers, strict=True)
    )


def _make_classifier() -> Handlers:
    from uncnn.daemon.protect.classifier import make_classifier  # ONNX Runtime: only in the spawned process

    return make_classifier()


def _draw(
    engine: EitherEngine, wanted: Wanted, photo: Content, copy: Content | None, faces: Sequence[ExplainedFace]
) -> None:
    """Write the picture. Raises PublishError."""
    assert wanted.output is not None
    drawn = engine.judge(Portray(photo, wanted.titles[0], copy, wanted.titles[-1], tuple(faces)))
    try:
        wanted.output.write_bytes(photo.check_beside(PICTURE, drawn).read())
    except OSError as error:
        raise PublishError.of(error, wanted.output, "written") from error


def _print(wanted: Wanted, faces: Sequence[ExplainedFace], notes: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "photo": str(wanted.photo),
                "copy": None if wanted.copy is None else str(wanted.copy),
                "written": str(wanted.output) if wanted.output is not None and faces else None,
                "faces": [asdict(face) for face in faces],
                "notes": list(notes),
            }
        )
        return
    say_explanation(faces, wanted.titles, notes)
    if wanted.output is not None and faces:
        say_words(escape(f"written: {printable(wanted.output)}"))

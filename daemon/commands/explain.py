"""What `uncnn-daemon explain` does: the verifier's process embeds and draws, this one says whom a face is taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape

from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.explain.explanation import ExplainedFace
from uncnn.daemon.explain.gallery import Gallery, Member, enrolled, gallery_of
from uncnn.daemon.explain.identification import answers
from uncnn.daemon.explain.people_folder import photos_of_people
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.output import NO_FACE, OK, print_json
from uncnn.daemon.people.store import read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import PICTURE, Describe, Portray, Recognise, Recognised, RecognisedFace
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.settings import Settings, SettingsError, taken, work
from uncnn.daemon.terminal.explanation_table import say_explanation
from uncnn.daemon.terminal.progress import Bar, progress_bar
from uncnn.daemon.terminal.results import say_words
from uncnn.daemon.text import printable
from uncnn.plugins.api import Rotated


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be explained."""

    photo: Path
    gallery: Path | None  # a folder of people beside those who are enrolled
    copy: Path | None
    output: Path | None  # a picture
    surrogates: bool  # whether the attacked recognisers are asked too

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
        be read or written. RequestError: one is no photo. StrangersError: a model is damaged.
    """
    _check_output(wanted)
    named = photos_of_people(wanted.gallery) if wanted.gallery is not None else []
    with progress_bar(len(named) + 1, as_json) as bar, work(settings.models, settings.device) as (engine, spool):
        members, notes = _members(engine, spool, named, settings.policy.faces.rotated, bar)
        bar.begin(printable(wanted.photo.name))
        galleries = _galleries(engine, members, wanted.surrogates)
        notes += [
            f"{gallery.card.name} does not know {', '.join(map(printable, gallery.unknown))}: enroll them again"
            for gallery in galleries
            if gallery.unknown
        ]
        photo = Content(taken(wanted.photo, spool).path)
        copy = None if wanted.copy is None else Content(taken(wanted.copy, spool).path)
        faces, more = _faces(engine, settings, galleries, wanted, photo, copy)
        notes += more
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


def _galleries(engine: EitherEngine, members: Sequence[Member], surrogates: bool) -> list[Gallery]:
    roster = engine.roster
    models = (*roster.judges, *roster.surrogates) if surrogates else roster.judges
    return [gallery_of(model.card, model.folder, members) for model in models]


def _faces(
    engine: EitherEngine,
    settings: Settings,
    galleries: Sequence[Gallery],
    wanted: Wanted,
    photo: Content,
    copy: Content | None,
) -> tuple[list[ExplainedFace], list[str]]:
    """Return whom the faces are taken for, the largest first, and what was left out.

    Raises SettingsError: the copy has another size.
    """
    rotated, smallest = settings.policy.faces.rotated, settings.policy.faces.smallest_px
    names = tuple(gallery.card.name for gallery in galleries)
    seen = engine.judge(Recognise(photo, printable(wanted.photo.name), names, rotated, smallest))
    large = [face for face in seen.faces if face.models]
    notes = []
    if len(large) < len(seen.faces):
        notes.append(f"left out: faces smaller than {smallest:g} px: {len(seen.faces) - len(large)}")
    again: Recognised | None = None
    if copy is not None and wanted.copy is not None:
        known = tuple(each.face for each in large)
        again = engine.judge(Recognise(copy, printable(wanted.copy.name), names, rotated, smallest, known))
        if again.size != seen.size:
            sizes = " and ".join(f"{width} x {height}" for width, height in (seen.size, again.size))
            words = f"--against {printable(wanted.copy)}: the photo and the copy have {sizes} pixels"
            raise SettingsError(f"{words}: name a copy of this very photo")
        if more := len(again.faces) - len(large):
            notes.append(f"the copy shows {more} more faces, which are not explained")
    copies = [None] * len(large) if again is None else again.faces[: len(large)]
    pairs = zip(large, copies, strict=True)
    return [_explained(number, galleries, *pair) for number, pair in enumerate(pairs, 1)], notes


def _explained(
    number: int, galleries: Sequence[Gallery], face: RecognisedFace, again: RecognisedFace | None
) -> ExplainedFace:
    original = _embeddings(face)
    copy = None if again is None else _embeddings(again)
    return ExplainedFace(
        number,
        face.face,
        None if again is None else again.face,
        None if again is None else again.found,
        answers(galleries, original, copy),
    )


def _embeddings(face: RecognisedFace) -> Mapping[str, list[float]]:
    return {model.recogniser: model.embedding for model in face.models}


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

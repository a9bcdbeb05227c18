"""A person becomes known by photos that show them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from uncnn.daemon.people import masks
from uncnn.daemon.people.sameness import groups
from uncnn.daemon.people.store import Mask, PeopleError, Person, Template, changing, people_file, write_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.engine import LoadedEngine
from uncnn.daemon.protect.messages import Describe
from uncnn.daemon.text import printable
from uncnn.plugins.api import Rotated


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo that shows the person."""

    photo: Content
    name: str  # what a person calls it


MASK_PHOTOS: Final = 3
"""So many photos at least a mask is made from: of fewer it holds for these alone."""


def enroll(
    engine: LoadedEngine,
    name: str,
    photos: Sequence[Portrait],
    rotated: Rotated,
    consent: bool,
    make_mask: Callable[[], bytes] | None = None,
) -> Person:
    """Enroll a person, or enroll them anew, and return what is kept of them: no photo.

    With `consent`, attacks may be aimed at them: it is recorded with the time. `rotated`: how faces are looked for.
    `make_mask` makes a mask of them, as `PersonMask.packed` returns it; it is asked once the photos have been found
    good. Without, an earlier mask of theirs is deleted.

    Raises:
        PeopleError: a photo shows nobody or several people, or they show different ones; or the name is none.
        RequestError: one is no photo. ProcessDied.
    """
    if not name.strip() or not name.isprintable():
        raise PeopleError(f"{name!r} is not a name: use printable characters")
    if make_mask is not None and len(photos) < MASK_PHOTOS:
        raise PeopleError(f"a mask of {name} from {len(photos)} photos: give at least {MASK_PHOTOS}, all different")
    described = [engine.judge(Describe(each.photo, each.name, rotated)) for each in photos]
    cards = {model.card.sha256: model.card for model in (*engine.roster.surrogates, *engine.roster.judges)}
    for each, answer in zip(photos, described, strict=True):
        if answer.faces != 1:
            found = "no face" if answer.faces == 0 else f"{answer.faces} faces"
            raise PeopleError(f"{printable(each.name)} shows {found}: use photos that show only {name}")
    templates = [
        Template(model.recogniser, model.sha256, [answer.models[number].embedding for answer in described])
        for number, model in enumerate(described[0].models)
    ]
    check_sameness(name, [each.name for each in photos], groups(templates, cards))
    packed = None if make_mask is None else make_mask()
    file, now = people_file(), datetime.now(UTC)
    with changing(file) as people:
        mask = None
        if packed is not None:
            mask = Mask(masks.keep(packed), now, [model.card.name for model in engine.roster.surrogates])
        person = Person(name, now, templates, now if consent else None, mask)
        others = people.without(name)
        others.people.append(person)
        write_people(file, others)
        masks.keep_only(others)
    return person


def check_sameness(name: str, photos: Sequence[str], found: Sequence[Sequence[int]]) -> None:
    """Refuse photos of more than one person: `found` has their places, person by person. Raises PeopleError."""
    if len(found) < 2:
        return
    shown = [", ".join(printable(photos[place]) for place in group) for group in found]
    if len(found[0]) == 1:
        words = f"{shown[0]} and {shown[1]} seem to show different people"
    else:
        words = f"{', '.join(shown[1:])} seems to show another person than {shown[0]}"
    remedy = f"leave out photos that do not show {name}, or add photos from the years between"
    raise PeopleError(f"{words} (according to most recognisers): {remedy}")


def forget(names: Sequence[str]) -> None:
    """Forget people. Raises PeopleError: one is not enrolled, and nobody is forgotten."""
    file = people_file()
    with changing(file) as people:
        known = {person.name for person in people.people}
        left = people
        for name in names:
            if name not in known:
                raise PeopleError(f"{name!r} is not enrolled: {', '.join(sorted(known)) or 'no one is'}")
            left = left.without(name)
        masks.keep_only(left)  # first: what is cut short here leaves less than there was
        write_people(file, left)

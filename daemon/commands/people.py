"""`people enroll|list|forget`: whose faces a policy may treat otherwise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.files.folders import named
from uncnn.daemon.files.publish import snapshot
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.people.sameness import groups
from uncnn.daemon.people.store import PeopleError, Person, Template, people_file, read_people, write_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Describe
from uncnn.daemon.settings import settings_for, work
from uncnn.daemon.text import ago, printable
from uncnn.daemon.text import photos as photos_in_words


def enroll(name: str, photos: Sequence[Path], consent: bool, config: Path | None, device: str | None) -> int:
    """Enroll a person, or enroll them anew, with photos that show them alone; return the exit status.

    With `consent`, attacks may be aimed at them: it is recorded with the time.

    Raises:
        PeopleError: a photo shows nobody or several people, or they show different ones. RequestError: it is no photo.
    """
    if not name.strip() or not name.isprintable():
        raise PeopleError(f"{name!r} is not a name: use printable characters")
    settings = settings_for(config, None, None, None, None, None, device, any_policy=True)
    described = []
    with work(settings.models, settings.device) as (engine, spool):
        for photo in photos:
            real = named(photo).resolve()
            taken = snapshot(real.parent, Path(real.name), spool)
            described.append(engine.judge(Describe(Content(taken.path), photo.name, settings.policy.faces.rotated)))
        cards = {model.card.sha256: model.card for model in (*engine.roster.surrogates, *engine.roster.judges)}
    for photo, answer in zip(photos, described, strict=True):
        if answer.faces != 1:
            found = "no face" if answer.faces == 0 else f"{answer.faces} faces"
            raise PeopleError(f"{printable(photo)} shows {found}: use photos that show only {name}")
    templates = [
        Template(model.recogniser, model.sha256, [answer.models[number].embedding for answer in described])
        for number, model in enumerate(described[0].models)
    ]
    _check_sameness(name, photos, groups(templates, cards))
    file = people_file()
    others = read_people(file).without(name)
    now = datetime.now(UTC)
    others.people.append(Person(name, now, templates, now if consent else None))
    write_people(file, others)
    sys.stdout.write(f"enrolled {name} with {photos_in_words(len(photos))}, for {len(templates)} recognisers\n")
    return OK


def _check_sameness(name: str, photos: Sequence[Path], found: Sequence[Sequence[int]]) -> None:
    """Refuse photos of more than one person. Raises PeopleError."""
    if len(found) < 2:
        return
    shown = [", ".join(printable(photos[place]) for place in group) for group in found]
    if len(found[0]) == 1:
        words = f"{shown[0]} and {shown[1]} seem to show different people"
    else:
        words = f"{', '.join(shown[1:])} seems to show another person than {shown[0]}"
    remedy = f"leave out photos that do not show {name}, or add photos from the years between"
    raise PeopleError(f"{words} (according to most recognisers): {remedy}")


def print_people(as_json: bool) -> int:
    """Print who is enrolled, and return the exit status. Raises PeopleError."""
    people = read_people(people_file()).people
    if as_json:
        listed: list[dict[str, Any]] = [
            {
                "name": person.name,
                "enrolled": person.enrolled.isoformat(timespec="seconds"),
                "photos": person.photos,
                "recognisers": [template.recogniser for template in person.templates],
                "consented": person.consented.isoformat(timespec="seconds") if person.consented else None,
            }
            for person in people
        ]
        print_json({"people": listed})
        return OK
    now = datetime.now(UTC)
    lines = [
        f"{printable(person.name)}: {photos_in_words(person.photos)}, enrolled {ago(person.enrolled, now)}, known to "
        f"{', '.join(template.recogniser for template in person.templates)}"
        f"{'; agreed that other faces may be made to resemble theirs' if person.consented else ''}"
        for person in people
    ]
    sys.stdout.write("\n".join(lines or ["no one is enrolled"]) + "\n")
    return OK


def forget(names: Sequence[str]) -> int:
    """Forget people, and return the exit status. Raises PeopleError: one is not enrolled."""
    file = people_file()
    people = read_people(file)
    known = {person.name for person in people.people}
    for name in names:
        if name not in known:
            raise PeopleError(f"{name!r} is not enrolled: {', '.join(sorted(known)) or 'no one is'}")
        people = people.without(name)
    write_people(file, people)
    sys.stdout.write(f"forgot {', '.join(names)}\n")
    return OK

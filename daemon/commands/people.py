"""`people enroll|list|forget`: whose faces a policy may treat otherwise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.files.folders import named
from uncnn.daemon.files.publish import snapshot
from uncnn.daemon.jobs import enrolment
from uncnn.daemon.jobs.enrolment import Portrait
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.people.store import people_file, read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.settings import settings_for, work
from uncnn.daemon.text import ago, printable
from uncnn.daemon.text import photos as photos_in_words


def enroll(name: str, photos: Sequence[Path], consent: bool, config: Path | None, device: str | None) -> int:
    """Enroll a person, or enroll them anew, with photos that show them alone; return the exit status.

    With `consent`, attacks may be aimed at them: it is recorded with the time.

    Raises:
        PeopleError: a photo shows nobody or several people, or they show different ones. RequestError: it is no photo.
    """
    settings = settings_for(config, None, None, None, None, None, device, any_policy=True)
    with work(settings.models, settings.device) as (engine, spool):
        taken = [snapshot(real.parent, Path(real.name), spool) for real in (named(each).resolve() for each in photos)]
        shown = [Portrait(Content(copy.path), str(photo)) for copy, photo in zip(taken, photos, strict=True)]
        person = enrolment.enroll(engine, name, shown, settings.policy.faces.rotated, consent)
    sys.stdout.write(f"enrolled {name} with {photos_in_words(len(photos))}, for {len(person.templates)} recognisers\n")
    return OK


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
    enrolment.forget(names)
    sys.stdout.write(f"forgot {', '.join(names)}\n")
    return OK

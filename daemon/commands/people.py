"""`people enroll|list|forget`: whose faces a policy may treat otherwise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.files.folders import named
from uncnn.daemon.files.publish import snapshot
from uncnn.daemon.jobs import enrolment
from uncnn.daemon.jobs.enrolment import Portrait
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.people.store import Person, people_file, read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import MakeMask
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.settings import own_processes, settings_for, work
from uncnn.daemon.terminal.counting import counting
from uncnn.daemon.text import ago, printable
from uncnn.daemon.text import photos as photos_in_words
from uncnn.plugins.api import Rotated

MASK_STEPS: Final = 120
MASK_STRENGTH: Final = "balanced"
"""What a mask is made for; it can be drawn at any strength."""


def enroll(
    name: str,
    photos: Sequence[Path],
    consent: bool,
    config: Path | None,
    device: str | None,
    mask_steps: int | None = None,
) -> int:
    """Enroll a person, or enroll them anew, with photos that show them alone; return the exit status.

    With `consent`, attacks may be aimed at them: it is recorded with the time. With `mask_steps`, a mask of theirs is
    made in so many steps, by processes of the command's own, since it takes minutes.

    Raises:
        PeopleError: a photo shows nobody or several people, or they show different ones. RequestError: it is no photo.
    """
    settings = settings_for(config, None, None, None, None, None, device, any_policy=True)
    rotated = settings.policy.faces.rotated
    if mask_steps is None:
        with work(settings.models, settings.device) as (engine, spool):
            person = enrolment.enroll(engine, name, _shown(photos, spool), rotated, consent)
    else:
        with own_processes(settings.models, settings.device) as (own, spool):
            shown = _shown(photos, spool)
            person = enrolment.enroll(
                own, name, shown, rotated, consent, lambda: _mask(own, shown, rotated, mask_steps)
            )
    also = "" if person.mask is None else ", and made a mask"
    words = f"enrolled {name} with {photos_in_words(len(photos))}, for {len(person.templates)} recognisers{also}\n"
    sys.stdout.write(words)
    return OK


def _shown(photos: Sequence[Path], spool: Path) -> list[Portrait]:
    """Return private copies of the photos."""
    taken = [snapshot(real.parent, Path(real.name), spool) for real in (named(each).resolve() for each in photos)]
    return [Portrait(Content(copy.path), str(photo)) for copy, photo in zip(taken, photos, strict=True)]


def _mask(engine: ProcessEngine, shown: Sequence[Portrait], rotated: Rotated, steps: int) -> bytes:
    """Return a mask of the person whom the photos show, while a bar says how far it is."""
    photos, names = tuple(each.photo for each in shown), tuple(each.name for each in shown)
    with counting("making the mask", quiet=False) as report:

        def note(stage: Stage) -> None:
            if stage.of:
                report(int(stage.done), int(stage.of))

        return engine.mask(MakeMask(photos, names, rotated, MASK_STRENGTH, steps), note).read()


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
                "mask": _mask_json(person),
            }
            for person in people
        ]
        print_json({"people": listed})
        return OK
    now = datetime.now(UTC)
    lines = [
        f"{printable(person.name)}: {photos_in_words(person.photos)}, enrolled {ago(person.enrolled, now)}, known to "
        f"{', '.join(template.recogniser for template in person.templates)}"
        f"{'; has a mask, made ' + ago(person.mask.made, now) if person.mask else ''}"
        f"{'; agreed that other faces may be made to resemble theirs' if person.consented else ''}"
        for person in people
    ]
    sys.stdout.write("\n".join(lines or ["no one is enrolled"]) + "\n")
    return OK


def _mask_json(person: Person) -> dict[str, Any] | None:
    mask = person.mask
    if mask is None:
        return None
    made = mask.made.isoformat(timespec="seconds")
    return {"made": made, "recognisers": mask.recognisers, "sha256": mask.sha256}


def forget(names: Sequence[str]) -> int:
    """Forget people, and return the exit status. Raises PeopleError: one is not enrolled."""
    enrolment.forget(names)
    sys.stdout.write(f"forgot {', '.join(names)}\n")
    return OK

"""The page of enrolled people: who is known, forgotten, or enrolled with photos that were dropped."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from uncnn.daemon.config import Policy
from uncnn.daemon.people.store import Person, people_file, read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.choices import first_policy
from uncnn.daemon.web.dropped import DroppedPhoto
from uncnn.daemon.web.engines import lent_engine
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import Site, site_of
from uncnn.plugins.api import UncnnError

MOST_PHOTOS: Final = 50
_CHOSEN: Final = "photo-"


async def show_people(request: Request) -> Response:
    """Answer with the enrolled people, and what one can be enrolled with."""
    return _page(site_of(request))


async def enroll_person(request: Request) -> Response:
    """Enroll a person with photos that were dropped. Raises Refused: one is not there, or another is being enrolled."""
    site, given = site_of(request), await form(request)
    chosen = [name.removeprefix(_CHOSEN) for name in given if name.startswith(_CHOSEN)]
    photos = [photo for photo in map(site.photos.get, chosen) if photo is not None]
    name = given.get("name", "").strip()
    if len(photos) != len(chosen) or len(photos) > MOST_PHOTOS:
        raise Refused(404, "path")
    if not name or not photos:
        return _page(site, 422, name, problem="incomplete")
    if site.enrolling.locked():
        raise Refused(409, "enrolling")
    async with site.enrolling:
        try:
            await asyncio.to_thread(_enroll, site, name, photos, "consent" in given)
        except UncnnError as error:
            return _page(site, 422, name, words=str(error))
    return RedirectResponse("/people", 303)


async def forget_person(request: Request) -> Response:
    """Forget a person. Raises Refused: there is none of that name."""
    from uncnn.daemon.jobs.enrolment import forget

    name = (await form(request)).get("name", "")
    try:
        await asyncio.to_thread(forget, [name])
    except UncnnError as error:
        raise Refused(404, "path") from error
    return RedirectResponse("/people", 303)


def _enroll(site: Site, name: str, photos: Sequence[DroppedPhoto], consent: bool) -> None:
    """Enroll a person with copies of photos that the processes may see. Raises UncnnError."""
    from uncnn.daemon.jobs.enrolment import Portrait, enroll  # numpy, which nothing else of the page needs

    policy = site.config.policies.get(first_policy(site.config), Policy())
    with lent_engine(site.config.models, site.worker.device) as lent:
        shown = []
        for photo in photos:
            copy = lent.spool / f"enrolled-{photo.id}"
            try:
                shutil.copyfile(site.photos.file(photo.id, "photo"), copy)
            except OSError as error:
                raise UncnnError(f"{photo.name} was forgotten meanwhile: drop it again") from error
            shown.append(Portrait(Content(Path(copy)), photo.name))
        if not lent.engine.started:
            lent.engine.start()
        enroll(lent.engine, name, shown, policy.faces.rotated, consent)


def _page(site: Site, status: int = 200, name: str = "", problem: str = "", words: str = "") -> Response:
    people, unreadable = _people()
    return render(
        "people",
        status,
        people=people,
        photos=[{"id": photo.id, "name": photo.name, "picture": photo.picture} for photo in site.photos.all()],
        name=name,
        problem=problem,
        words=words or unreadable,
    )


def _people() -> tuple[list[dict[str, Any]], str]:
    """Return the enrolled people, and why they cannot be read."""
    try:
        return [_person_json(person) for person in read_people(people_file()).people], ""
    except UncnnError as error:
        return [], str(error)


def _person_json(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "enrolled": person.enrolled.date().isoformat(),
        "photos": person.photos,
        "consented": person.consented is not None,
    }

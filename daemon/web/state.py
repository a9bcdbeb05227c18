"""All that the page of dropped photos shows, as JSON values: names are a contract, see docs/web.md."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.files.formats import FORMATS
from uncnn.daemon.files.names import VIDEO_ENDINGS
from uncnn.daemon.files.spool import SIZE_LIMIT
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.protect.process_engine import LOADING
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.web.choices import choices_json
from uncnn.daemon.web.dropped import MOST_PHOTOS, UNDONE, VIDEO_LIMIT, DroppedPhoto, DroppedPhotos, JudgedCopy
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import Site, site_of
from uncnn.daemon.web.waiting import waiting

WRITTEN: Final = 20
"""So many of the newest photos are written into the page itself, for a browser without scripts; others ask for all."""

_STAGES: Final = {LOADING: "loading", "looking for faces": "looking", "checking": "judging"}


async def show_drop(request: Request) -> Response:
    """Answer with the page on which photos are dropped."""
    endings = [*(ending for each in FORMATS for ending in each.endings.split()), *VIDEO_ENDINGS]
    state = state_json(site_of(request))
    return render("drop", state=state, written=state["photos"][-WRITTEN:], endings=endings)


async def send_state(request: Request) -> Response:
    """Answer with the state."""
    return JSONResponse(state_json(site_of(request)))


def state_json(site: Site) -> dict[str, Any]:
    """Return the state."""
    version = site.changes.version  # before all else: what changes meanwhile is told once more
    photos = site.photos.all()
    return {
        "schema_version": SCHEMA_VERSION,
        "version": version,
        "photos": [photo_json(site.photos, photo) for photo in photos],
        "undone": sum(photo.status in UNDONE for photo in photos),
        "waiting": waiting(),
        "processes": site.worker.whose or None,
        "choices": choices_json(site),
        "limits": {"photos": MOST_PHOTOS, "bytes": SIZE_LIMIT, "video_bytes": VIDEO_LIMIT},
    }


def photo_json(photos: DroppedPhotos, photo: DroppedPhoto) -> dict[str, Any]:
    """Return what is known of one photo."""
    return {
        "id": photo.id,
        "name": photo.name,
        "size": photo.size,
        "sha256": photo.sha256,
        "policy": photo.policy_name,
        "strength": photo.policy.attack.strength,
        "added": photo.added.isoformat(timespec="seconds"),
        "forgotten_in_seconds": round(photos.seconds_left(photo)),
        "status": photo.status,
        "stage": _stage_json(photo.stage),
        "words": photo.words,
        "seconds": photo.seconds,
        "video": photo.is_video,
        "picture": photo.picture,
        "boxes": photo.boxes,
        "faces": photo.faces,
        "notes": photo.notes,
        "likenesses": photo.likenesses is not None,
        "cloaked": _copy_json(photo.copy),
    }


def _stage_json(stage: Stage | None) -> dict[str, Any] | None:
    if stage is None:
        return None
    share = round(min(stage.done / stage.of, 1.0), 3) if stage.of else None
    return {"name": _STAGES.get(stage.name, "changing"), "words": stage.name, "share": share}


def _copy_json(copy: JudgedCopy | None) -> dict[str, Any] | None:
    if copy is None:
        return None
    return {"name": copy.name, "sha256": copy.sha256, "size": copy.size, "given": copy.given}

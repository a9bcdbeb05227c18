"""How uncnn is: its version, the service, the disks, the last audit."""

from __future__ import annotations

import asyncio
import platform
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncnn.daemon.audit.last import read_last
from uncnn.daemon.commands.status import status_json
from uncnn.daemon.files.folders import ledger_file, state_dir
from uncnn.daemon.ledger.view import View, exit_status, view
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import Site, site_of


async def show_health(request: Request) -> Response:
    """Answer with how uncnn is."""
    return render("health", health=await _health_json(site_of(request)))


async def send_health(request: Request) -> Response:
    """Answer with the same as JSON."""
    return JSONResponse(await _health_json(site_of(request)))


async def _health_json(site: Site) -> dict[str, Any]:
    """Return it. Raises LedgerError, FolderError."""
    page = {
        "processes": site.worker.whose or None,
        "photos": len(site.photos.all()),
        "browsers": len(site.sessions.all()),
    }
    return {**await asyncio.to_thread(_machine_json), "page": page}


def _machine_json() -> dict[str, Any]:
    now = datetime.now(UTC)
    found, audit = view(ledger_file(), 0), read_last(state_dir())
    return {
        "schema_version": SCHEMA_VERSION,
        "version": version("uncnn"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "exit_status": exit_status(found, now),
        "status": status_json(found, now, audit),
        "audit_words": audit.words(now) if audit else None,
        "disks": _disks(found),
    }


def _disks(found: View | None) -> list[dict[str, Any]]:
    """Return how full the disks are on which uncnn writes."""
    folders = [("state", state_dir())]
    folders += [("publish", folder.publish) for folder in (found.folders if found is not None else ())]
    return [{"what": what, "folder": str(folder), **_usage(folder)} for what, folder in folders]


def _usage(folder: Path) -> dict[str, int | None]:
    with suppress(OSError):  # it is not there: the folder's own state says so
        used = shutil.disk_usage(folder)
        return {"free_bytes": used.free, "total_bytes": used.total}
    return {"free_bytes": None, "total_bytes": None}

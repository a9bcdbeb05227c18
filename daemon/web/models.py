"""The page of models: which are installed and what for, which can be pulled, and the pull that a person asks for."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from uncnn.daemon.commands.models.rows import Row, known
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.output import SCHEMA_VERSION
from uncnn.daemon.text import printable
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import Site, site_of
from uncnn.exporters.registry import store

Whence: TypeAlias = Literal["with-uncnn", "pulled", "own"]
_PULLED: Final = "uncnn-daemon models pull"


async def show_models(request: Request) -> Response:
    """Answer with all models."""
    return render("models", models=await asyncio.to_thread(_models_json, site_of(request)))


async def send_models(request: Request) -> Response:
    """Answer with the same as JSON."""
    return JSONResponse(await asyncio.to_thread(_models_json, site_of(request)))


async def pull_model(request: Request) -> Response:
    """Begin to pull a model. Raises Refused: there is none of that name to be pulled, or another one is on its way."""
    site, name = site_of(request), request.path_params["name"]
    await form(request)
    found = await asyncio.to_thread(_models_json, site)
    if not any(model["name"] == name and model["pull"] == "possible" for model in found["models"]):
        raise Refused(404, "path")
    if not site.pulls.begin(name, site.config.models.licences):
        raise Refused(409, "pulling")
    return RedirectResponse("/models", 303)


def _models_json(site: Site) -> dict[str, Any]:
    """Return the models, those that are installed first. Raises FolderError."""
    rows = sorted(known(data_dir()), key=lambda row: row.place is None)
    last = site.pulls.last
    return {
        "schema_version": SCHEMA_VERSION,
        "licences": list(site.config.models.licences),
        "models": [_model_json(row, site) for row in rows],
        "pull": None if last is None else asdict(last),
        "mirror": site.pulls.mirror,
        "not_used": [printable(notice) for notice in store.notices(data_dir())],
    }


def _model_json(row: Row, site: Site) -> dict[str, Any]:
    return {
        **row.as_json(),
        "whence": _whence(row),
        "from": _hosts(row, site.pulls.mirror),
        "pull": _pull(row, site),
        "command": f"{_PULLED} {row.name}" + ("" if _accepted(row, site) else f" --licence {row.licence.use}"),
    }


def _whence(row: Row) -> Whence | None:
    if row.place is None:
        return None
    if "embedded" in row.packs:
        return "with-uncnn"
    return "own" if "own" in row.packs else "pulled"


def _accepted(row: Row, site: Site) -> bool:
    return row.licence.use in site.config.models.licences


def _hosts(row: Row, mirror: str | None) -> list[str]:
    """Return the hosts that a pull would ask, in the order of the files, each once."""
    addresses = [mirror or source for source in row.sources if "://" in source]
    return list(dict.fromkeys(str(urlsplit(address).hostname) for address in addresses))


def _pull(row: Row, site: Site) -> str | None:
    """Return whether the page can pull a model: possible, or what is in the way; None: it is installed."""
    if row.place is not None or not row.sources:
        return None
    if not _accepted(row, site):
        return "licence"
    return "possible" if site.pulls.possible else "no-network"

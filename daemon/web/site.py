"""All that the page works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from uncnn.daemon.config import Config
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.dropped import DroppedPhotos
from uncnn.daemon.web.previews import Previews
from uncnn.daemon.web.sessions import Sessions
from uncnn.daemon.web.worker_thread import WorkerThread


@dataclass(frozen=True, slots=True)
class Site:
    """One running page."""

    addresses: Addresses
    sessions: Sessions
    config: Config
    changes: Changes
    photos: DroppedPhotos
    previews: Previews
    worker: WorkerThread

    @property
    def link(self) -> str:
        """Return a new link that works once."""
        return f"{self.addresses.shown}/enter?code={self.sessions.new_code()}"


def site_of(request: Request) -> Site:
    """Return what a request is answered with."""
    return cast(Site, request.app.state.site)

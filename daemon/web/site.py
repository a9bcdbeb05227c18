"""All that the page works with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from uncnn.daemon.config import Config
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.configured import Configured
from uncnn.daemon.web.dropped import DroppedPhotos
from uncnn.daemon.web.previews import Previews
from uncnn.daemon.web.pulls import Pulls
from uncnn.daemon.web.sessions import Sessions
from uncnn.daemon.web.worker_thread import WorkerThread


@dataclass(frozen=True, slots=True)
class Site:
    """One running page."""

    addresses: Addresses
    sessions: Sessions
    configured: Configured
    changes: Changes
    photos: DroppedPhotos
    previews: Previews
    worker: WorkerThread
    video_worker: WorkerThread
    pulls: Pulls
    enrolling: asyncio.Lock = field(default_factory=asyncio.Lock)  # one person at a time: it may load models

    @property
    def config(self) -> Config:
        """Return the configuration as it is at present."""
        return self.configured.config

    @property
    def link(self) -> str:
        """Return a new link that works once."""
        return self.addresses.link(self.addresses.shown, self.sessions.new_code())


def site_of(request: Request) -> Site:
    """Return what a request is answered with."""
    return cast(Site, request.app.state.site)

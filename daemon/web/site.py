"""All that the page works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from uncnn.daemon.settings import Settings
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Site:
    """One running page."""

    addresses: Addresses
    sessions: Sessions
    settings: Settings  # what dropped photos are cloaked by

    @property
    def link(self) -> str:
        """Return a new link that works once."""
        return self.addresses.link(self.sessions.new_code())


def site_of(request: Request) -> Site:
    """Return what a request is answered with."""
    return cast(Site, request.app.state.site)

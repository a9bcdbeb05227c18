"""`uncnn-daemon web`: the page is served on this machine alone, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import uvicorn

from uncnn.daemon.config import Config
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import OK
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import configuration
from uncnn.daemon.text import system_words
from uncnn.daemon.web.addresses import LOOPBACK, Addresses
from uncnn.daemon.web.announcing import say_link
from uncnn.daemon.web.application import application
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.dropped import DroppedPhotos
from uncnn.daemon.web.previews import Previews
from uncnn.daemon.web.protocol import LONGEST_HEAD, TimedProtocol
from uncnn.daemon.web.sessions import Sessions
from uncnn.daemon.web.site import Site
from uncnn.daemon.web.worker_thread import WorkerThread
from uncnn.plugins.api import UncnnError

ENDING_SECONDS: Final = 1
"""What is being answered when the page ends has so long."""

MOST_CONNECTIONS: Final = 64


class PortError(UncnnError):
    """The page cannot be served on that port."""


def serve(config: Path | None, port: int, origins: Sequence[str], device: str | None) -> int:
    """Print a link that works once, serve the page until a signal comes, and return the exit status.

    Raises:
        ConfigError: the configuration is wrong. SettingsError: an origin is none. PortError: the port is in use.
        FolderError: uncnn's own folders cannot be used.
    """
    found = configuration(config)
    sweep_workspaces()
    with stopped_by_sigterm(), closing(listening(port)) as opened, workspace() as folder:
        site = new_site(found, device, opened.getsockname()[1], origins, folder)
        warnings.filterwarnings("ignore", r"coroutine 'Server\.serve'")  # a signal came before it began
        PageServer(site).run(sockets=[opened])
    return OK


def new_site(config: Config, device: str | None, port: int, origins: Sequence[str], folder: Path) -> Site:
    """Return a page on a port, which keeps dropped photos in a private `folder`. Raises SettingsError."""
    changes = Changes()
    photos = DroppedPhotos(folder, changes)
    worker = WorkerThread(config, device or config.device, photos)
    return Site(Addresses.of(port, origins), Sessions(), config, changes, photos, Previews(folder), worker)


def listening(port: int) -> socket.socket:
    """Return the socket that the page is served on. Raises PortError."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise PortError(f"port {port}: {system_words(error)[1]}; or choose another one with --port") from error


class PageServer(uvicorn.Server):
    """A server that lets those who listen for changes go before it waits for the others."""

    def __init__(self, site: Site) -> None:
        """Serve a site; what it is served on is given to `run`."""
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a request that is refused is no news
        super().__init__(_settings(site))
        self._site = site

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and print the link: whoever reads it may end the page at once."""
        await super().startup(sockets)
        say_link(self._site)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is being answered, and take nothing new."""
        self._site.changes.close()
        await super().shutdown(sockets)


def _settings(site: Site) -> uvicorn.Config:
    return uvicorn.Config(
        application(site),
        loop="asyncio",
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=ENDING_SECONDS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )

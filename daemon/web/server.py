"""`uncnn-daemon web`: the page is served on this machine alone, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn

from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import OK
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.text import system_words
from uncnn.daemon.web.activation import handed_over
from uncnn.daemon.web.addresses import LOOPBACK, Addresses
from uncnn.daemon.web.application import application
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.configured import Configured
from uncnn.daemon.web.dropped import DroppedPhotos
from uncnn.daemon.web.links import links_folder, use_code
from uncnn.daemon.web.previews import Previews
from uncnn.daemon.web.printing import say_link
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
    configured = Configured(config)
    found = configured.config
    changes = Changes()
    sweep_workspaces()
    handed = handed_over()
    with stopped_by_sigterm(), closing(handed or _listening(port)) as listening, workspace() as folder:
        photos = DroppedPhotos(folder, changes)
        site = Site(
            Addresses.of(listening.getsockname()[1], origins),
            Sessions(made_elsewhere=partial(use_code, links_folder())),
            configured,
            changes,
            photos,
            Previews(folder),
            WorkerThread(found, device or found.device, photos),
        )
        if handed is None:
            _say(site)
        _Server(_settings(site), changes).run(sockets=[listening])
    return OK


class _Server(uvicorn.Server):
    """A server that lets those who listen for changes go before it waits for the others."""

    def __init__(self, settings: uvicorn.Config, changes: Changes) -> None:
        super().__init__(settings)
        self._changes = changes

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._changes.close()
        await super().shutdown(sockets)


def _settings(site: Site) -> uvicorn.Config:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a request that is refused is no news
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


def _listening(port: int) -> socket.socket:
    """Return the socket that the page is served on. Raises PortError."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise PortError(f"port {port}: {system_words(error)[1]}; or choose another one with --port") from error


def _say(site: Site) -> None:
    say_link(site.addresses, site.sessions.new_code())
    sys.stdout.write("Ctrl-C ends the page\n")
    sys.stdout.flush()

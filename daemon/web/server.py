"""`uncnn-daemon web`: the page is served on this machine alone, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import OK
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.text import system_words
from uncnn.daemon.web.activation import handed_over
from uncnn.daemon.web.addresses import LOOPBACK, Addresses
from uncnn.daemon.web.announcing import say_own_links
from uncnn.daemon.web.application import application
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.configured import Configured
from uncnn.daemon.web.dropped import DroppedPhotos
from uncnn.daemon.web.links import links_folder, use_code
from uncnn.daemon.web.network import own_address
from uncnn.daemon.web.previews import Previews
from uncnn.daemon.web.protocol import LONGEST_HEAD, TimedProtocol
from uncnn.daemon.web.pulls import Pulls
from uncnn.daemon.web.sessions import Sessions
from uncnn.daemon.web.site import Site
from uncnn.daemon.web.worker_thread import WorkerThread
from uncnn.plugins.api import UncnnError

ENDING_SECONDS: Final = 1
"""What is being answered when the page ends has so long."""

MOST_CONNECTIONS: Final = 64


class PortError(UncnnError):
    """The page cannot be served on that port."""


def serve(config: Path | None, port: int, origins: Sequence[str], device: str | None, lan: bool = False) -> int:
    """Print a link that works once, serve the page until a signal comes, and return the exit status.

    `lan`: other devices of the network reach it too.

    Raises:
        ConfigError: the configuration is wrong. SettingsError: an origin is none. PortError: the port is in use.
        FolderError: uncnn's own folders cannot be used. NetworkError: this machine is in no network.
    """
    configured = Configured.read(config)
    sweep_workspaces()
    handed = handed_over()
    with stopped_by_sigterm(), ExitStack() as stack, workspace() as folder:
        opened = [stack.enter_context(closing(handed or listening(port)))]
        port = opened[0].getsockname()[1]
        address = own_address() if lan else None
        if address is not None:
            opened.append(stack.enter_context(closing(listening(port, address))))
        sessions = Sessions(made_elsewhere=partial(use_code, links_folder()))
        addresses = Addresses.of(port, origins, address)
        site = new_site(configured, device, addresses, sessions, folder, network=handed is None)
        warnings.filterwarnings("ignore", r"coroutine 'Server\.serve'")  # a signal came before it began
        PageServer(site, quiet=handed is not None).run(sockets=opened)
    return OK


def new_site(
    configured: Configured,
    device: str | None,
    addresses: Addresses,
    sessions: Sessions,
    folder: Path,
    network: bool = True,
) -> Site:
    """Return a page, which keeps dropped photos in a private `folder`; `network`: models can be pulled from it."""
    changes, found = Changes(), configured.config
    photos = DroppedPhotos(folder, changes)
    worker, video_worker = (WorkerThread(found, device or found.device, photos, videos) for videos in (False, True))
    pulls = Pulls(changes, network)
    return Site(addresses, sessions, configured, changes, photos, Previews(folder), worker, video_worker, pulls)


def listening(port: int, address: str = LOOPBACK) -> socket.socket:
    """Return a socket that the page is served on. Raises PortError."""
    try:
        return socket.create_server((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"port {port} is in use: if that is the page, uncnn-daemon web --link prints a link to it; otherwise "
                "choose another port with --port"
            ) from error
        raise PortError(f"port {port}: {system_words(error)[1]}; or choose another one with --port") from error


class PageServer(uvicorn.Server):
    """A server that lets those who listen for changes go before it waits for the others."""

    def __init__(self, site: Site, quiet: bool = False) -> None:
        """Serve a site; what it is served on is given to `run`. `quiet`: nobody reads what it prints."""
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a request that is refused is no news
        super().__init__(_settings(site))
        self._site = site
        self._quiet = quiet
        self._hears = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # as that of a background job is

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, unless the signal was ignored when the page began."""
        if sig != signal.SIGINT or self._hears:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and print the link: whoever reads it may end the page at once."""
        await super().startup(sockets)
        if not self._quiet:
            say_own_links(self._site)

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

"""The units of the page: a socket that systemd listens on, and a service that the first browser starts.

The service has no network of its own: the socket is handed to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.service.hardening import hardened
from uncnn.daemon.service.units import PROGRAM, quoted, system_unit, user_unit

PORT: Final = 8487

_SOCKET: Final = """\
# Made by `uncnn-daemon service install --web`. A browser is let in by a link alone: uncnn-daemon web --link
[Unit]
Description=uncnn: waits for a browser

[Socket]
# This machine alone.
ListenStream=127.0.0.1:{port}

[Install]
WantedBy=sockets.target
"""

_SERVICE: Final = """\
# Started by {name}.socket. Made by `uncnn-daemon service install --web`.
[Unit]
Description=uncnn: the page

[Service]
Type=exec
ExecStart={command}
Restart=on-failure
RestartSec=10
# 78: the configuration is wrong, which another start does not fix.
RestartPreventExitStatus=78
TimeoutStopSec=20
KillMode=mixed
"""


def web_socket(port: int = PORT) -> str:
    """Return uncnn-web.socket or uncnn-web@.socket."""
    return _SOCKET.format(port=port)


def web_user_unit(program: Path = PROGRAM, service: str | None = None) -> str:
    """Return uncnn-web.service of a user's own manager; `service` is the unit of uncnn itself."""
    own = service if service is not None else user_unit(program)
    return _SERVICE.format(name="uncnn-web", command=f"{quoted(program)} web") + hardened(own)


def web_system_unit(program: Path = PROGRAM) -> str:
    """Return uncnn-web@.service."""
    command = f"{quoted(program)} web --config ${{CONFIGURATION_DIRECTORY}}/config.yaml"
    return _SERVICE.format(name="uncnn-web@USER", command=command) + hardened(system_unit(program))

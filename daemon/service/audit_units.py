"""The units of the monthly audit: a timer, and a service at the lowest priority that is hardened as uncnn's own is.

Its lines are taken from the service's unit, but for those that say how that one runs: it is hardened as much.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.service.hardening import hardened
from uncnn.daemon.service.units import PROGRAM, quoted, system_unit, user_unit

_HEAD: Final = """\
# Started once a month by {name}.timer. Made by `uncnn-daemon service install`.
[Unit]
Description=uncnn: looks whether published photos stand as they were verified
{more}
[Service]
Type=oneshot
ExecStart={command}
# 4: a photo is not as it was. The journal and `uncnn-daemon status` say so; the unit itself did its work.
SuccessExitStatus=4
Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
TimeoutStopSec=20
"""

_TIMER: Final = """\
# Made by `uncnn-daemon service install`.
[Unit]
Description=uncnn: once a month, looks whether published photos stand as they were verified

[Timer]
OnCalendar=monthly
# Not all machines at once; and made up for where the machine was off.
RandomizedDelaySec=12h
Persistent=true

[Install]
WantedBy=timers.target
"""


def audit_user_unit(program: Path = PROGRAM, service: str | None = None) -> str:
    """Return uncnn-audit.service of a user's own manager; `service` is the unit of uncnn itself."""
    head = _HEAD.format(name="uncnn-audit", more="", command=f"{quoted(program)} audit")
    return head + hardened(service if service is not None else user_unit(program))


def audit_system_unit(program: Path = PROGRAM) -> str:
    """Return uncnn-audit@.service."""
    command = f"{quoted(program)} audit --config ${{CONFIGURATION_DIRECTORY}}/config.yaml"
    more = "After=local-fs.target remote-fs.target\n"
    return _HEAD.format(name="uncnn-audit@USER", more=more, command=command) + hardened(system_unit(program))


def audit_timer() -> str:
    """Return the timer of either."""
    return _TIMER


def read_only(folders_conf: str) -> str:
    """Return the drop-in that binds a service's folders, for one that changes nothing in them."""
    return folders_conf.replace("\nBindPaths=", "\nBindReadOnlyPaths=")

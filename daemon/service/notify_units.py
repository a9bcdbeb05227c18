"""The units that send what needs a person: the service has no network, so one that has, and sees no photo, does it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.service.hardening import hardened
from uncnn.daemon.service.units import PROGRAM, quoted, system_unit, user_unit

_PATH: Final = """\
# Made by `uncnn-daemon service install`. Nothing is sent unless the configuration says service.apprise.
[Unit]
Description=uncnn: waits for something that needs you

[Path]
PathChanged={file}

[Install]
WantedBy={target}
"""

_SERVICE: Final = """\
# Started by {name}.path. Made by `uncnn-daemon service install`.
[Unit]
Description=uncnn: tells you that something needs you
# A message that reached nobody is tried again.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={command}
Restart=on-failure
RestartSec=5min
# 78: the configuration is wrong, which another try does not fix.
RestartPreventExitStatus=78
TimeoutStartSec=120
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
"""

_NOT_OF_A_SENDER: Final = (
    *("PrivateNetwork", "IPAddressDeny", "RestrictAddressFamilies", "Environment"),
    *("MemoryMax", "OOMPolicy", "MemoryDenyWriteExecute", "CacheDirectory", "CacheDirectoryMode"),
)
_STATE: Final = "Environment=UNCNN_STATE=%S/uncnn/%i\n"


def notify_user_path(file: Path | str = "%h/.local/state/uncnn/notice.json") -> str:
    """Return uncnn-notify.path of a user's own manager, which waits for `file`."""
    return _PATH.format(file=file if isinstance(file, str) else quoted(file), target="default.target")


def notify_system_path() -> str:
    """Return uncnn-notify@.path."""
    return _PATH.format(file="%S/uncnn/%i/notice.json", target="multi-user.target")


def notify_user_unit(program: Path = PROGRAM, service: str | None = None) -> str:
    """Return uncnn-notify.service of a user's own manager; `service` is the unit of uncnn itself."""
    own = service if service is not None else user_unit(program)
    return _SERVICE.format(name="uncnn-notify", command=f"{quoted(program)} notify") + hardened(own, _NOT_OF_A_SENDER)


def notify_system_unit(program: Path = PROGRAM) -> str:
    """Return uncnn-notify@.service."""
    command = f"{quoted(program)} notify --config ${{CONFIGURATION_DIRECTORY}}/config.yaml"
    head = _SERVICE.format(name="uncnn-notify@USER", command=command)
    return head + _STATE + hardened(system_unit(program), _NOT_OF_A_SENDER)

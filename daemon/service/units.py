"""The units of systemd: a system service for each user, a drop-in for a GPU, and a unit of the user's own manager.

`systemd/` at the top of the repository holds what comes out for the documented sample; a test keeps it in step. What is
hardened, and what is not, is said beside each line that is not plain: systemd.exec(5).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Folder
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

SYSTEM: Final = """\
# uncnn for one user of this machine: systemctl enable --now uncnn@USER
# Made by `uncnn-daemon service install`; the folders of USER's policies are in uncnn@USER.service.d/folders.conf.
[Unit]
Description=uncnn: cloaks the photos that %i shares
Documentation=man:systemd.exec(5)
After=local-fs.target remote-fs.target
# It is never given up: what keeps it from starting, as a folder that is not there, may pass.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
User=%i
ExecStart={program} run --config ${{CONFIGURATION_DIRECTORY}}/config.yaml
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10
# 78: the configuration is wrong, which another start does not fix.
RestartPreventExitStatus=78
WatchdogSec=120
TimeoutStartSec=120
TimeoutStopSec=20
# It ends its processes itself: one that is ended beside it would be a photo's failure.
KillMode=mixed
Nice=10
# A process that takes more is ended, which costs one attempt of one photo, not the service.
MemoryMax=80%
OOMPolicy=continue
ConfigurationDirectory=uncnn/%i
StateDirectory=uncnn/%i
StateDirectoryMode=0700
CacheDirectory=uncnn/%i
CacheDirectoryMode=0700
RuntimeDirectory=uncnn-%i
RuntimeDirectoryMode=0700
Environment=UNCNN_STATE=%S/uncnn/%i XDG_DATA_HOME=%S/uncnn/%i XDG_CACHE_HOME=%C/uncnn/%i
Environment=UNCNN_NOTIFY_BY_UNIT=1
# The service has no network. Models: sudo -u USER XDG_DATA_HOME=/var/lib/uncnn/USER uncnn-daemon models pull
# How it stands: sudo -u USER UNCNN_STATE=/var/lib/uncnn/USER uncnn-daemon status

# Nothing leaves the machine.
PrivateNetwork=yes
IPAddressDeny=any
# AF_UNIX: sd_notify, the control socket, and the pipes between uncnn's processes.
RestrictAddressFamilies=AF_UNIX

# The user's folders are not there, but for those that folders.conf binds.
ProtectSystem=strict
ProtectHome=tmpfs
PrivateTmp=yes
PrivateMounts=yes
UMask=0077
LimitCORE=0
RemoveIPC=yes
KeyringMode=private

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
PrivateUsers=yes
PrivateIPC=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
# No ProcSubset=pid: torch and ONNX Runtime read /proc/cpuinfo, the NVIDIA driver /proc/driver.
ProtectProc=invisible
# MemoryDenyWriteExecute stays off: torch's convolutions on a CPU are compiled while it runs.
MemoryDenyWriteExecute=no
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# What decodes photos gives up more of its rights by itself; older systemd does not count these to @system-service.
SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
# torch and ONNX Runtime ask how their threads may be placed; without an answer they go on.
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

GPU: Final = """\
# Beside uncnn@.service on a machine with an NVIDIA GPU: uncnn@.service.d/gpu.conf
[Service]
PrivateDevices=no
DevicePolicy=closed
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia-caps rw
"""

SERVERS: Final = """\
# The configuration names machines of its user's that change faces; made by `uncnn-daemon service install`.
[Service]
# What decodes photos still opens no connection: it gives that up by itself.
PrivateNetwork=no
IPAddressDeny=
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK
"""

KEYS: Final = """\
# ssh finds the keys of the user there, and which machines are known.
BindReadOnlyPaths=-{folder}
"""

NO_FILES_OF_ROOT: Final = """\
# In a namespace of users files of root belong to nobody, which ssh refuses of these; /etc/ssh/ssh_config it takes.
InaccessiblePaths=-/etc/ssh/ssh_config.d -/usr/etc/ssh/ssh_config.d
"""

USER: Final = """\
# uncnn for yourself: systemctl --user enable --now uncnn
# Made by `uncnn-daemon service install`.
[Unit]
Description=uncnn: cloaks the photos that you share
# It is never given up: what keeps it from starting, as a folder that is not there, may pass.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=78
WatchdogSec=120
TimeoutStartSec=120
TimeoutStopSec=20
# It ends its processes itself: one that is ended beside it would be a photo's failure.
KillMode=mixed
Nice=10
# A process that takes more is ended, which costs one attempt of one photo, not the service.
MemoryMax=80%
OOMPolicy=continue
# uncnn-notify.service sends, where the configuration says so.
Environment=UNCNN_NOTIFY_BY_UNIT=1
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
KeyringMode=private
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# AF_UNIX: sd_notify, the control socket, the pipes between uncnn's processes, and desktop notifications.
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# What decodes photos gives up more of its rights by itself; older systemd does not count these to @system-service.
SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
# torch and ONNX Runtime ask how their threads may be placed; without an answer they go on.
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute stays off: torch's convolutions on a CPU are compiled while it runs.
MemoryDenyWriteExecute=no
{more}
[Install]
WantedBy=default.target
"""

USERS_NAMESPACE: Final = """
# A user's manager has no privileges: what follows holds inside a namespace of users.
PrivateUsers=yes
CapabilityBoundingSet=
AmbientCapabilities=
# Nothing leaves the machine.
PrivateNetwork=yes
PrivateIPC=yes
PrivateMounts=yes
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
# Not here, unlike in the system's unit. Without effect in a user's manager: IPAddressDeny, DevicePolicy, ProtectProc,
# User. ProtectKernelLogs kept it from starting in a container. ProtectHome, PrivateTmp: a folder that is put into the
# configuration later is to be taken up by a reload. PrivateDevices: a GPU is used where there is one.
"""

NO_NAMESPACES: Final = """
# This machine gives its users no namespaces of users, so no more than this can be had in a unit of theirs.
"""


class UnitError(UncnnError):
    """A unit cannot be made or installed."""


PROGRAM: Final = Path("/usr/local/bin/uncnn-daemon")

HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What `ProtectHome` and `PrivateTmp` of the system's unit hide."""


def system_unit(program: Path = PROGRAM) -> str:
    """Return uncnn@.service, that runs `program`."""
    return SYSTEM.format(program=quoted(program))


def user_unit(program: Path = PROGRAM, namespaces: bool = True) -> str:
    """Return uncnn.service of a user's own manager; `namespaces`: this machine gives its users namespaces of users."""
    return USER.format(program=quoted(program), more=USERS_NAMESPACE if namespaces else NO_NAMESPACES)


def gives_namespaces() -> bool:
    """Return whether a process without privileges gets a namespace of users here, and one of mounts in it."""
    program = shutil.which("unshare")
    if program is None:
        return False
    command = [program, "--user", "--map-root-user", "--mount", "--net", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def servers_conf(addresses: Iterable[str], home: Path | None = None, namespaces: bool = True) -> str:
    """Return the drop-in that lets a service reach the servers at these addresses.

    `home` is that of the system's unit's user, None in a unit of the user's own manager, which has namespaces of users
    or has not.
    """
    if not any(address.startswith("ssh:") for address in addresses):
        return SERVERS
    if home is not None:  # the system's manager maps root into the namespace of users, so its files are root's there
        return SERVERS + KEYS.format(folder=quoted(home / ".ssh"))
    return SERVERS + NO_FILES_OF_ROOT if namespaces else SERVERS


def folders_conf(folders: Sequence[Folder], software: Iterable[Path] = ()) -> str:
    """Return the drop-in that binds the folders of a configuration: those that are watched read-only.

    The folders of the `software` are bound too where they lie in a home or temporary directory, which the unit hides.
    """
    lines = ["# The folders of the configuration; made anew by `uncnn-daemon service install`.", "[Unit]"]
    lines += [f"RequiresMountsFor={quoted(path)}" for each in folders for path in (each.watch, each.publish)]
    lines += ["", "[Service]"]
    lines += [f"BindReadOnlyPaths={quoted(each.watch)}" for each in folders]
    lines += [f"BindPaths={quoted(each.publish)}" for each in folders]
    lines += [f"BindReadOnlyPaths={quoted(path)}" for path in software if any(map(path.is_relative_to, HIDDEN))]
    return "\n".join(lines) + "\n"


def quoted(path: Path) -> str:
    """Return a path as a unit file takes it. Raises UnitError: systemd cannot be told of it."""
    text = str(path)
    if not text.isprintable() or any(part in text for part in ":\\\"'$;#"):
        raise UnitError(f"{printable(path)} cannot be named in a unit of systemd: rename it without : \\ \" ' $ ; #")
    text = text.replace("%", "%%")
    return f'"{text}"' if " " in text else text

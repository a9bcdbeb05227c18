"""How a unit that works for the service is hardened: as the service's own is, line by line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

_HOW_THE_SERVICE_RUNS: Final = frozenset(
    {
        *("Type", "NotifyAccess", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus"),
        *("WatchdogSec", "TimeoutStartSec", "TimeoutStopSec", "KillMode", "Nice"),
        *("RuntimeDirectory", "RuntimeDirectoryMode"),  # it would be gone with the other
    }
)


def hardened(unit: str, but: Collection[str] = ()) -> str:
    """Return the section of a service but for how it runs and the directives `but`, with comments on what is left."""
    section = unit.split("[Service]\n")[1].split("[Install]", maxsplit=1)[0]
    return "\n".join(_kept(section.rstrip().splitlines(), _HOW_THE_SERVICE_RUNS.union(but))) + "\n"


def _kept(lines: list[str], left_out: Collection[str]) -> Iterator[str]:
    waiting: list[str] = []  # comments and empty lines before a directive
    for line in lines:
        if not line or line.startswith("#"):
            waiting.append(line)
            continue
        if line.partition("=")[0] not in left_out:
            yield from (*waiting, line)
        waiting = []

"""How much memory there is: of the machine, or of the control group that this process is confined to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_SHARE: Final = 0.8
"""Of it, that one process may take: the others and the system go on."""

_LEAST: Final = 2 << 30
"""Bytes: below that no model loads."""


def total_bytes() -> int | None:
    """Return the memory of the machine, or the least that a control group allows; None where nothing tells."""
    limits = [limit for limit, _ in _groups()]
    machine = _meminfo("MemTotal")
    return min([*limits, *([machine] if machine is not None else [])], default=None)


def available_bytes() -> int | None:
    """Return how much of it can be taken at this moment; None where nothing tells."""
    left = [max(limit - used, 0) for limit, used in _groups()]
    machine = _meminfo("MemAvailable")
    return min([*left, *([machine] if machine is not None else [])], default=None)


def process_limit() -> int | None:
    """Return how much one process of ours may take; None where nothing tells how much there is."""
    total = total_bytes()
    return None if total is None else max(round(total * _SHARE), _LEAST)


def _meminfo(name: str) -> int | None:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _groups() -> Iterator[tuple[int, int]]:
    """Yield limit and use, in bytes, of this process' control group and of each above it that has a limit."""
    with suppress(OSError):
        for line in _MEMBERSHIP.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                yield from _above(_GROUPS, path, "memory.max", "memory.current", "memory.stat")
            elif "memory" in controllers.split(","):
                root = _GROUPS / "memory"
                yield from _above(root, path, "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")


def _above(root: Path, path: str, limit: str, used: str, parts: str) -> Iterator[tuple[int, int]]:
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):  # "max" is no number
            yield int((group / limit).read_text()), int((group / used).read_text()) - _cache(group / parts)
        if group == root:
            return


def _cache(file: Path) -> int:
    """Return how much of a group's memory holds files that can be read again."""
    with suppress(OSError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0

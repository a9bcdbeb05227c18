"""Which files a decoder's process needs: its own software, the models and the spool."""

from __future__ import annotations

import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from uncnn.daemon.sandbox.memory import process_limit
from uncnn.plugins.registry import ATTACKS, DETECTORS, entries

_SYSTEM: Final = (
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
"""Libraries, as Linux distributions put them."""

_KERNEL: Final = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/bus/pci/devices",
    "/sys/fs/cgroup",
    "/dev/urandom",
)
"""What libraries ask about the machine: its processors, its memory."""

_GPU_READS: Final = (
    "/proc/driver",
    "/proc/devices",
    "/proc/modules",
    "/proc/version",
    "/sys",
    "/usr/local/cuda",
    "/usr/share/nvidia",
)
_GPU_DEVICES: Final = ("/dev/nvidia*", "/dev/nvidia-caps", "/dev/kfd", "/dev/dri", "/dev/shm")
_LOADERS: Final = ("/lib64/ld-linux*", "/lib/ld-linux*", "/lib/*/ld-linux*")
"""The C library's program that starts other programs."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a process is left with, and how much memory it may take. Paths that are not there are passed over."""

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    devices: tuple[Path, ...] = ()
    programs: tuple[Path, ...] = ()  # that it may start, under the same rules
    gpu: bool = False  # a driver is in the process: it uses UNIX sockets and reserves more addresses than there are
    memory_bytes: int | None = None  # None: all that there is
    scratch: Path | None = None  # where it puts temporary files


def sandbox_for(spool: Path, reads: Iterable[Path], device: str, programs: Iterable[str] = ()) -> Sandbox:
    """Return the rules for a process that works in the private folder `spool` and reads `reads`, models and the like.

    `device` is that of the configuration; `programs` are looked for by name, and passed over where there are none.
    """
    devices = [path for pattern in _GPU_DEVICES for path in Path("/").glob(pattern.lstrip("/"))]
    gpu = device != "cpu" and any(path.name.startswith(("nvidia", "kfd")) for path in devices)
    found = [Path(path) for name in programs if (path := shutil.which(name)) is not None]
    loaders = [path for pattern in _LOADERS for path in Path("/").glob(pattern.lstrip("/"))] if found else []
    return Sandbox(
        (*software(), *reads, *map(Path, _GPU_READS if gpu else ())),
        (spool,),
        (Path("/dev/null"), *(devices if gpu else ())),
        (*found, *loaders),
        gpu,
        process_limit(),
        spool,
    )


def software() -> tuple[Path, ...]:
    """Return the folders and files of Python, of what is installed in it, of uncnn, and of the system's libraries."""
    home = Path(os.path.expanduser("~")).resolve()  # noqa: PTH111 # which never fails
    found = dict.fromkeys(path.resolve() for path in _software())
    return (*map(Path, _SYSTEM + _KERNEL), *(path for path in found if not home.is_relative_to(path)))


def _software() -> Iterator[Path]:
    """Yield them, perhaps with folders that hold more than software: those are no one's to allow."""
    import uncnn.daemon
    import uncnn.exporters
    import uncnn.plugins

    for package in (uncnn.daemon, uncnn.exporters, uncnn.plugins):
        yield from map(Path, package.__path__)
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix} - {"/usr", "/usr/local"}:
        yield Path(prefix)
    yield from map(Path, sysconfig.get_paths().values())
    yield from map(Path, [*site.getsitepackages(), site.getusersitepackages()])
    here = None
    with suppress(OSError):  # it was removed
        here = Path.cwd()
        yield from here.glob("*.egg-info")  # of an installation in place: it names the plug-ins
    yield from (Path(entry) for entry in sys.path if entry and Path(entry) != here)
    yield from _plugins()
    yield from (Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry)


def _plugins() -> Iterator[Path]:
    """Yield where plug-ins of others lie, which need not be on Python's path. Nothing of them is imported."""
    both = (*entries(ATTACKS).values(), *entries(DETECTORS).values())
    names = {entry.module.partition(".")[0] for entry in both} - {"uncnn"}
    for name in sorted(names):
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
            if spec is not None:
                yield from map(Path, spec.submodule_search_locations or filter(None, [spec.origin]))

"""File systems in user space, to publish into: each by the program that a person mounts it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"  # Debian's python3-fusepy is no package of a virtual environment
NO_LINKS = Path(__file__).parents[3] / "shared" / "cases" / "nolink_fs.py"
SFTP = Path("/usr/lib/openssh/sftp-server")
KINDS = ("EPERM", "ENOSYS", "EIO", "rclone", "rclone writes", "sshfs", "mergerfs", "unionfs", "bindfs", "gocryptfs")


@contextmanager
def in_user_space(kind: str, back: Path, mount: Path) -> Iterator[None]:
    """Mount `back` at `mount` by the program of a kind; an errno names the one that knows no links, and says that."""
    back.mkdir(parents=True)
    mount.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(_command(kind, back, mount), check=False, capture_output=True, text=True)
    deadline = time.monotonic() + 120
    while done.returncode == 0 and not mount.is_mount() and time.monotonic() < deadline:
        time.sleep(0.05)
    if not mount.is_mount():
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def _command(kind: str, back: Path, mount: Path) -> list[str]:
    """Return what mounts it, or skip."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounting is not permitted here")
    if kind.startswith("E"):
        found = subprocess.run([PYTHON, "-c", "import fusepy"], check=False, capture_output=True)
        if found.returncode or not NO_LINKS.exists():
            pytest.skip("it takes ../shared/cases/nolink_fs.py and python3-fusepy")
        return [PYTHON, str(NO_LINKS), str(back), str(mount), kind]
    program = kind.split(maxsplit=1)[0]
    if shutil.which(program) is None or (program == "sshfs" and not SFTP.exists()):
        pytest.skip(f"{program} is not installed")
    return {
        "rclone": ["rclone", "mount", back, mount, "--daemon"],
        "rclone writes": [
            *("rclone", "mount", back, mount, "--daemon", "--vfs-cache-mode", "writes"),
            *("--cache-dir", back.with_name("cache")),
        ],
        "sshfs": ["sshfs", "-o", f"ssh_command={_without_network(back)}", f"host:{back}", mount],
        "mergerfs": ["mergerfs", back, mount],
        "unionfs": ["unionfs", "-o", "cow", f"{back}=RW", mount],
        "bindfs": ["bindfs", back, mount],
        "gocryptfs": [
            "sh",
            "-c",
            f"gocryptfs -q -init -extpass 'echo a' {back} && gocryptfs -q -extpass 'echo a' {back} {mount}",
        ],
    }[kind]


def _without_network(back: Path) -> Path:
    """Return a program that speaks for another machine."""
    program = back.with_name("ssh")
    program.write_text(f"#!/bin/sh\nexec {SFTP}\n")
    program.chmod(0o700)
    return program

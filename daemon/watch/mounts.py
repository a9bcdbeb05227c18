"""On what kind of file system a folder lies: other machines' changes to a network folder give no events.

The list is a head start and no more: `folder.WatchedFolder` notices by itself that files come without an event.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")

_NETWORK: Final = re.compile(
    r"nfs.*|cifs|smb.*|fuse(\..*)?|fuseblk|9p|afs|ceph|ncpfs|glusterfs|lustre|virtiofs|davfs|drvfs"
    r"|vboxsf|prl_fs|(vm)?hgfs|fakeowner|osxfs|grpcfuse|gpfs|beegfs|orangefs|pvfs2|ocfs2|gfs2"
)


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system of `folder` where it gives no reliable events (nfs4, cifs, ...), or None.

    proc_pid_mountinfo(5) describes the file; where it is missing (other systems), None.
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, best, found = Path(os.path.realpath(folder)), -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), left.split()[4]))
        if real.is_relative_to(point) and len(point.parts) >= best:  # of two on one place, the later lies on top
            best, found = len(point.parts), right.split()[0]
    return found if _NETWORK.fullmatch(found) else None

"""A file's bytes, read once and bounded: what is hashed is then what is used."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from uncnn.plugins.system import O_BINARY, O_CLOEXEC, O_NONBLOCK


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of the regular file at `path`; a pipe or a device is not waited for.

    Raises:
        OSError: it is missing, cannot be read, is no regular file, or is larger than `limit` bytes.
    """
    opened = os.open(path, os.O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_BINARY)
    with os.fdopen(opened, "rb") as stream:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = b"" if status.st_size > limit else stream.read(limit + 1)
        if status.st_size > limit or len(content) > limit:
            raise OSError(errno.EFBIG, f"larger than the {limit:,} bytes that it may have", str(path))
        return content

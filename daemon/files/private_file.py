"""Files of uncnn's own that nobody else may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all, in place of an earlier one. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as writer:  # 0600
        new = Path(writer.name)
        try:
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())
            new.replace(file)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

"""What a C library writes to the terminal by itself, caught: libjpeg tells of the faults that it reads over there."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import BinaryIO


@contextmanager
def quietly() -> Iterator[BinaryIO]:
    """Let nothing be written to the terminal; yield the file that takes the errors instead."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as taken:
        kept = os.dup(2)
        try:
            os.dup2(taken.fileno(), 2)
            with redirect_stdout(StringIO()):  # jpeglib prints the names of files that libjpeg could not read
                yield taken
        finally:
            os.dup2(kept, 2)
            os.close(kept)

"""The standard streams of a command: all three are there, and none of them can end its work.

A reader that has had enough, a full disk under a log, a terminal that is gone: what was to be said is lost, no photo.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Output(io.FileIO):
    """A standard stream that never fails: from the first error on what is written is lost, and `lost` says why."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.lost: OSError | None = None

    def write(self, content: ReadableBuffer) -> int:
        """Write, or lose, some bytes; return how many."""
        try:
            while self.lost is None:
                written: int | None = super().write(content)
                if written is not None:
                    return written
                select.select([], [self], [])  # another program has set this terminal not to block
        except OSError as error:
            self.lost = error
        return memoryview(content).nbytes


def steady_streams() -> Output:
    """Let standard input, output and error be there, and the latter two never fail; return standard output's stream."""
    for descriptor in range(3):
        _fill(descriptor)
    if sys.stdin is None:  # it was closed when Python began
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 # it stays
    output = Output(1)
    sys.stdout = _text(output, sys.stdout)
    sys.stderr = _text(Output(2), sys.stderr, by_lines=True)
    return output


def _fill(descriptor: int) -> None:
    """Put /dev/null where a standard stream is closed, so that no file of ours gets its number."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)


def _text(output: Output, before: TextIO | None, by_lines: bool = False) -> TextIO:
    """Return a stream of text on `output`; what its encoding does not have is written as an escape."""
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=by_lines or output.isatty(),
        write_through=getattr(before, "write_through", False),
    )

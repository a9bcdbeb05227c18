"""Open files that a spawned process is given: it can open no such file by itself."""

from __future__ import annotations

from multiprocessing import reduction
from typing import Any


class HandedOver:
    """A descriptor, in the process that opened it and, once it was started with this, in the other one."""

    def __init__(self, descriptor: int) -> None:
        """Hold a descriptor; whoever opened it closes it."""
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a process that is being spawned have a copy."""
        return _received, (reduction.DupFd(self.descriptor),)


def _received(copy: Any) -> HandedOver:
    return HandedOver(copy.detach())

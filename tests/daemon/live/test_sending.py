"""Frames go on in their order beside the work on the next one; what goes wrong is said where they come from."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np
import pytest

from uncnn.daemon.live.sending import Outgoing, Sender
from uncnn.plugins.api import Pixels

PIXELS = np.zeros((2, 2, 3), np.uint8)


class Sink:
    def __init__(self, full_after: int = 1000) -> None:
        self.stamps: list[float] = []
        self.may_go = threading.Event()
        self.full_after = full_after

    def send(self, pixels: Pixels, stamp: float) -> None:
        self.may_go.wait()
        if len(self.stamps) >= self.full_after:
            raise OSError(28, "full")
        self.stamps.append(stamp)

    def close(self) -> None: ...


def test_frames_go_on_in_their_order_while_the_next_one_is_made() -> None:
    sink, gone = Sink(), list[float]()
    sender = Sender(sink)
    for stamp in (0.0, 1.0):
        sender.send(Outgoing(PIXELS, stamp, lambda stamp=stamp: gone.append(stamp)))
    assert gone == [], "the sink has not let the first one go, and yet it was taken"
    sink.may_go.set()
    for stamp in (2.0, 3.0):
        sender.send(Outgoing(PIXELS, stamp, lambda stamp=stamp: gone.append(stamp)))
    sender.close()
    assert sink.stamps == gone == [0, 1, 2, 3]


def test_a_full_disk_ends_it_and_nobody_waits_for_ever() -> None:
    sink, sent = Sink(full_after=2), 0
    sink.may_go.set()
    sender = Sender(sink)
    with suppress(OSError):
        for number in range(100):
            sender.send(Outgoing(PIXELS, number, lambda: None))
            sent += 1
    assert 2 <= sent < 100
    with pytest.raises(OSError, match="full"):
        sender.close()
    assert sink.stamps == [0, 1]


def test_a_sender_that_was_given_nothing_ends() -> None:
    Sender(Sink()).close()

"""The command's side: whoever waits for the service can be let go, and does not begin anew by itself then."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from uncnn.daemon.config import Models
from uncnn.daemon.control.channel import Channel
from uncnn.daemon.control.service_engine import EitherEngine, ServiceEngine, ServiceLost
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Look
from uncnn.daemon.protect.process_engine import ProcessEngine


@pytest.fixture
def own(tmp_path: Path) -> ProcessEngine:
    """Return the command's own processes, of which none was started."""
    return ProcessEngine(Models(), "cpu", tmp_path, tmp_path)


def test_who_waits_for_the_service_is_let_go(own: ProcessEngine) -> None:
    here, there = socket.socketpair()
    engine, failed = EitherEngine(ServiceEngine(Channel(here)), own), list[Exception]()

    def look() -> None:
        try:
            engine.look(Look(Content(data=b""), "a.jpg", False))
        except ServiceLost as error:
            failed.append(error)

    waiting = threading.Thread(target=look)
    waiting.start()
    with there:
        assert there.recv(1)  # it has asked, and nobody answers
        engine.end()
        waiting.join(60.0)
    assert len(failed) == 1
    assert own._worker is None, "its own processes are not started in the place of the service's"
    engine.close()


def test_there_is_nobody_to_let_go(own: ProcessEngine) -> None:
    engine = EitherEngine(None, own)
    engine.end()
    assert engine.whose == "this command"

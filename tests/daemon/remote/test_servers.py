"""Servers that are busy, silent, dying or none: real processes in place of ssh, which do as their names say."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uncnn.daemon.config.servers import Address
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.remote import link
from uncnn.daemon.remote import servers as module
from uncnn.daemon.remote.connections import SshConnection
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.hello import Hello
from uncnn.daemon.remote.servers import Answer, Servers, ServersUnavailable
from uncnn.daemon.text import printable

FAKE = Path(__file__).parents[1] / "spawned" / "fake_server.py"
SENT = Frame({"change": {}}, b"faces")


@pytest.fixture(autouse=True)
def _no_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_RSH", f"{sys.executable} {FAKE}")


@contextmanager
def servers(*names: str) -> Iterator[Servers]:
    known = Servers(
        [Address.parse(f"ssh://{name}") for name in names], Hello(surrogates=(("one", "0"),)), Path("/nonexistent")
    )
    try:
        yield known
    finally:
        known.close()


def ask(known: Servers, seconds: float = 60, progress: list[tuple[int, int]] | None = None) -> Answer:
    steps: list[tuple[int, int]] = [] if progress is None else progress
    return known.changed(SENT, lambda *step: steps.append(step), seconds)


def connected(known: Servers, number: int) -> None:
    """Connect to all and wait until so many have answered or failed."""
    known.connect()
    deadline = time.monotonic() + 60
    while sum(each.link is not None or each.failures > 0 for each in known._servers) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_least_loaded_is_asked() -> None:
    progress: list[tuple[int, int]] = []
    with servers("echo-load-90", "echo-load-10", "echo-load-50") as known:
        connected(known, 3)
        answer = ask(known, progress=progress)
        assert answer.server.address.host == "echo-load-10"
        assert answer.frame.content == SENT.content
        assert answer.notes == ("a note",)
        assert progress == [(1, 2)]
        assert answer.server.load == 0.25, "as it says now"
        assert known.seen[1] == ServerState("ssh://echo-load-10", "cpu")
        link = answer.server.link
        assert ask(known).server.link is link, "the connection stays"


def test_what_it_notes_is_said_without_what_a_terminal_takes_for_orders() -> None:
    with servers("coloured-echo") as known:
        assert ask(known).notes == (printable("a\x1b[31m note"),)
    assert "\x1b" not in printable("a\x1b[31m note")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unreachable", "not reached .ssh: connect to host: Connection refused"),
        ("stopped", "it ended before it was ready$"),
        ("models", "other models"),
        ("dies", "in the middle of a frame"),
        ("garbage", "no frame of uncnn's"),
        ("odd", "no frame of uncnn's"),
        ("refuses", "it will not"),
        ("banner", "no frame of uncnn's"),
        ("boasts", "no frame of uncnn's"),
    ],
)
def test_where_one_fails_another_is_asked_and_the_reason_is_said(name: str, reason: str) -> None:
    with servers(f"{name}-load-10", "echo-load-90") as known:
        assert ask(known).server.address.host == "echo-load-90"
    with servers(name) as known:
        with pytest.raises(ServersUnavailable, match=reason) as failure:
            ask(known)
        assert str(failure.value).startswith(f"ssh://{name}: ")


def test_one_that_failed_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers("dies") as known:
        with pytest.raises(ServersUnavailable):
            ask(known)
        monkeypatch.setenv("UNCNN_RSH", "/nonexistent")
        with pytest.raises(ServersUnavailable, match="in the middle of a frame"):
            ask(known)
        (server,) = known._servers
        assert server.failures == 1, "nothing was tried"
        assert known.seen[0].device == ""
        assert "in the middle of a frame" in known.seen[0].problem
        server.rests_until = 0.0
        with pytest.raises(ServersUnavailable, match="/nonexistent cannot be run"):
            ask(known)
        rest = server.rests_until - time.monotonic()
        assert module.REST_SECONDS < rest <= 2 * module.REST_SECONDS, "twice as long as the first time"


def test_one_that_only_refuses_this_stays_connected() -> None:
    with servers("refuses") as known:
        for _ in range(2):
            with pytest.raises(ServersUnavailable, match="it will not"):
                ask(known)
        (server,) = known._servers
        assert server.link is not None
        assert server.failures == 0


def test_while_one_stands_still_another_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEDGE_SECONDS", 0.2)
    with servers("silent-load-10", "echo-load-90") as known:
        connected(known, 2)
        silent = known._servers[0].link
        assert silent is not None
        assert isinstance(silent.connection, SshConnection)
        assert ask(known).server.address.host == "echo-load-90"
        assert silent.connection.process.poll() is not None, "the one that stood still is let go"


def test_one_that_was_still_loading_when_another_answered_is_not_asked_that_any_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    monkeypatch.setenv("UNCNN_LATE", str(late))
    monkeypatch.setattr(module, "HEDGE_SECONDS", 0.2)
    with servers("late-echo-load-10", "echo-load-90") as known:
        assert ask(known).server.address.host == "echo-load-90"
        late.touch()
        connected(known, 2)
        monkeypatch.setattr(module, "HEDGE_SECONDS", 60)
        others = known.changed(Frame({"change": {}}, b"others"), lambda *_: None, 60)
        assert (others.server.address.host, others.frame.content) == ("late-echo-load-10", b"others")
        assert late.read_text() == "asked\n"


def test_one_that_counts_and_comes_no_further_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEDGE_SECONDS", 0.5)
    with servers("steps-load-10", "echo-load-90") as known:
        connected(known, 2)
        progress: list[tuple[int, int]] = []
        assert ask(known, progress=progress).server.address.host == "echo-load-90"
        assert (0, 32) in progress, "it counts, again and again from the beginning"


def test_one_alone_that_comes_no_further_is_given_up_long_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "STANDSTILL_SECONDS", 3.0)
    with servers("steps") as known:
        connected(known, 1)
        with pytest.raises(ServersUnavailable, match="ssh://steps: it counts and has come no further for 3 s"):
            ask(known, 600)


def test_one_that_is_at_work_is_waited_for_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEDGE_SECONDS", 20.0)
    with servers("steps-load-10", "echo-load-90") as known:
        connected(known, 2)
        began, progress = time.monotonic(), []
        with pytest.raises(ServersUnavailable, match="in 4 s"):
            ask(known, 4, progress)
        assert time.monotonic() - began < 60
        assert progress, "its steps are heard"
        assert known._servers[1].link is not None, "nobody else was asked"

"""Spawned processes, real ones: answers, errors, deaths and deadlines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from uncnn.daemon.protect.processes import Child, ProcessDied, stopped_by_sigterm
from uncnn.daemon.protect.wire import RequestError, Stage

sys.path.insert(0, str(Path(__file__).parents[1] / "spawned"))

import spawned_handlers
from spawned_handlers import Act, Count, Lie, Unheard

PATIENCE_SECONDS = 240.0  # a machine that does much else


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child("worker", spawned_handlers.make_obedient)
    yield child
    child.close()
    assert not child.alive


def test_a_request_is_answered_in_another_process_with_progress(child: Child) -> None:
    told: list[Stage] = []
    answer = child.call(Count(3), PATIENCE_SECONDS, told.append)
    assert answer.to == 3
    assert answer.pid == child.pid != os.getpid()
    assert told == [Stage("counting", number, 3) for number in range(3)]


def test_an_error_says_where_it_lies_and_the_process_goes_on(child: Child) -> None:
    with pytest.raises(RequestError, match="turn it") as caught:
        child.call(Act("refuse"), PATIENCE_SECONDS)
    assert caught.value.fault == "other"
    with pytest.raises(RequestError, match="internal error, ZeroDivisionError: by nought") as stumbled:
        child.call(Act("stumble"), PATIENCE_SECONDS)
    assert stumbled.value.fault == "other"
    assert child.call(Count(0), PATIENCE_SECONDS).to == 0


def test_a_message_that_nobody_answers_is_an_error_and_the_process_goes_on(child: Child) -> None:
    with pytest.raises(RequestError, match="nobody answers the message Unheard, only Count, Act, Lie"):
        child.call(Unheard(), PATIENCE_SECONDS)
    assert child.call(Count(0), PATIENCE_SECONDS).to == 0


def test_a_process_that_answers_with_another_type_is_stopped(child: Child) -> None:
    with pytest.raises(ProcessDied, match="answered what is no answer"):
        child.call(Lie(), PATIENCE_SECONDS)
    assert not child.alive


@pytest.mark.parametrize(("how", "words"), [("die", "SIGKILL"), ("leave", "exit status 3")])
def test_a_death_is_said_with_its_cause(child: Child, how: str, words: str) -> None:
    with pytest.raises(ProcessDied, match=words):
        child.call(Act(how), PATIENCE_SECONDS)
    assert not child.alive


def test_a_hang_is_killed_at_the_deadline(child: Child) -> None:
    child.call(Count(0), PATIENCE_SECONDS)  # started
    with pytest.raises(ProcessDied, match="did not answer in 1 s"):
        child.call(Act("hang"), 1)
    assert not child.alive  # the handler would sleep for ten minutes


def test_a_process_that_was_told_to_end_is_asked_nothing_more(child: Child) -> None:
    child.call(Count(0), PATIENCE_SECONDS)  # started
    child.end_now()
    assert not child.alive  # though the system may still be taking it down


def test_a_process_that_cannot_start_says_why() -> None:
    child = Child("verifier", spawned_handlers.make_broken)
    try:
        with pytest.raises(RequestError, match="put them there"):
            child.call(Count(0), PATIENCE_SECONDS)
    finally:
        child.close()


def test_what_was_posted_is_done_before_the_next_call_and_its_answers_and_errors_are_nobody_elses(child: Child) -> None:
    for asked in (Count(2), Act("refuse"), Count(3)):
        child.post(asked)
    told: list[Stage] = []
    assert child.call(Count(1), PATIENCE_SECONDS, told.append).to == 1
    assert [stage.of for stage in told] == [2, 2, 3, 3, 3, 1]
    with pytest.raises(RequestError, match="turn it"):
        child.call(Act("refuse"), PATIENCE_SECONDS)
    child.post(Act("die"))
    with pytest.raises(ProcessDied, match="SIGKILL"):
        child.call(Count(0), PATIENCE_SECONDS)
    child.post(Count(1))  # to nobody


def test_a_process_ends_at_once_when_it_is_closed(capfd: pytest.CaptureFixture[str]) -> None:
    child = Child("worker", spawned_handlers.make_slow_to_end)
    assert child.call(Act("collect"), PATIENCE_SECONDS) is True  # garbage, again: only while it loads it does not
    child._connection.close()
    child._process.join(PATIENCE_SECONDS)  # `close` kills it after 2 s
    child.close()
    assert child._process.exitcode == 0, "it ended by itself"
    assert capfd.readouterr().out == "printed"


def test_a_child_does_not_inherit_what_its_parent_imported(child: Child) -> None:
    assert child.call(Act("look"), PATIENCE_SECONDS) is False


FIRST = (
    "import re, sys; from pathlib import Path\n"
    "sys.path.insert(0, {folder!r})\n"
    "import spawned_handlers; from uncnn.daemon.protect.processes import Child\n"
    "child = Child('worker', spawned_handlers.make_obedient)\n"
    "status = Path(f'/proc/{{child.pid}}/status').read_text()\n"
    "child.close()\n"
    "print(*(re.search(rf'{{mask}}:\\s*([0-9a-f]+)', status)[1] for mask in ('SigBlk', 'SigIgn')))\n"
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_ctrl_c_never_reaches_a_child_before_its_first_line() -> None:
    """The first one of a process is the hard case: multiprocessing begins its tracker then, and lets SIGINT through."""
    code = FIRST.format(folder=str(Path(__file__).parents[1] / "spawned"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    blocked, ignored = (int(mask, 16) for mask in done.stdout.split())
    assert (blocked | ignored) & 1 << (signal.SIGINT - 1)


def test_what_ends_at_a_sigterm_is_not_cut_short_by_another() -> None:
    ended, before = [], signal.getsignal(signal.SIGTERM)

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append(True)

    with pytest.raises(SystemExit) as asked, stopped_by_sigterm():
        work()
    assert (asked.value.code, ended) == (128 + signal.SIGTERM, [True])
    assert signal.getsignal(signal.SIGTERM) is before

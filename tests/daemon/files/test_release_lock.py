"""Whoever waits for another release says so, and goes on when that is over."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from uncnn.daemon.files import kept
from uncnn.daemon.files.kept import one_release_at_a_time


def _hold(state: str, ready: str) -> None:
    os.environ["UNCNN_STATE"] = state
    with one_release_at_a_time():
        Path(ready).touch()
        time.sleep(600)


def test_a_frozen_process_that_holds_the_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path))
    monkeypatch.setattr(kept, "PATIENT_SECONDS", 0.2)
    ready = tmp_path / "ready"
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(tmp_path), str(ready)))
    holder.start()
    try:
        while not ready.exists():
            assert holder.is_alive()
            time.sleep(0.01)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGSTOP)
        entered = threading.Event()

        def wait() -> None:
            with one_release_at_a_time():
                entered.set()

        waiting = threading.Thread(target=wait)
        with caplog.at_level(logging.WARNING):
            waiting.start()
            while not caplog.messages:
                assert not entered.wait(0.01)
        assert caplog.messages == [
            f"waiting for process {holder.pid}, which publishes copies; where it does not go on, end it"
        ]
    finally:
        holder.kill()
        holder.join()
    waiting.join(60)
    assert entered.is_set()


def test_nobody_is_told_of_a_short_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path))
    monkeypatch.setattr(kept, "PATIENT_SECONDS", 60)
    order: list[str] = []

    def second() -> None:
        with one_release_at_a_time():
            order.append("second")

    waiting = threading.Thread(target=second)
    with one_release_at_a_time():
        waiting.start()
        time.sleep(0.2)
        order.append("first")
    waiting.join(60)
    assert order == ["first", "second"]
    assert caplog.messages == []

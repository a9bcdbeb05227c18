"""Frames: what is sent arrives, what is no frame is refused, and nobody is waited for without end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncnn.daemon.remote.frames import MOST_CONTENT, Frame, FrameError, receive, send


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    source, sink = os.pipe()
    yield source, sink
    for end in (source, sink):
        with suppress(OSError):
            os.close(end)


def test_what_is_sent_arrives(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    frames = [Frame({"hello": 1}), Frame({"Grüße": [1, None]}, os.urandom(3_000_000)), Frame({})]
    sender = threading.Thread(target=lambda: [send(sink, frame, 20) for frame in frames])
    sender.start()
    assert [receive(source, 20) for _ in frames] == frames
    sender.join()
    os.close(sink)
    assert receive(source, 20) is None, "it ended between two frames"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"SSH-2.0-OpenSSH banner, not ours", "no frame"),
        (b"\0\0\0\2\0\0\0\0[]", "no frame"),
        (b"\0\0\0\2\0\0\0\0{{", "no frame"),
        (b"\0\0\0\1\xff\xff\xff\xff{", "no frame"),
        (b"\0\0\0\2\0\0\0\5{}abc", "in the middle"),
        (b"\0\0", "in the middle"),
        (b"\0\1\0\0\0\0\0\0" + 65536 * b"[", "no frame"),
    ],
)
def test_what_is_no_frame_is_refused(pipe: tuple[int, int], sent: bytes, words: str) -> None:
    source, sink = pipe
    writer = threading.Thread(target=lambda: (os.write(sink, sent), os.close(sink)))
    writer.start()
    with pytest.raises(FrameError, match=words):
        receive(source, 5)
    os.set_blocking(source, False)
    writer.join()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(sent: bytes) -> None:
    source, sink = os.pipe()
    try:
        os.write(sink, sent)
        os.close(sink)
        frame = receive(source, 5)
        assert frame is None or isinstance(frame.said, dict)
    except FrameError:
        pass
    finally:
        os.close(source)


def test_nobody_is_waited_for_without_end(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    began = time.monotonic()
    with pytest.raises(FrameError, match="sends nothing"):
        receive(source, 0.1)
    os.write(sink, Frame({"a": 1}).packed()[:9])
    with pytest.raises(FrameError, match="sends nothing"):
        receive(source, 0.1)
    with pytest.raises(FrameError, match="takes nothing"):
        send(sink, Frame({}, bytes(1_000_000)), 0.1)
    os.close(source)
    with pytest.raises(FrameError, match="ended"):
        send(sink, Frame({}), 0.1)
    assert time.monotonic() - began < 60


def test_a_frame_may_be_as_large_as_many_faces() -> None:
    assert MOST_CONTENT > 64 * (3 + 1 + 2) * 224 * 224 * 4

"""The real command `serve --stdio`: who is let in, what becomes of requests that are none, and what it may do."""

from __future__ import annotations

import json
import os
import pty
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uncnn.daemon.remote.frames import Frame, receive, send
from uncnn.daemon.remote.packing import pack_faces, unpack_patches
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.engine.host import perturb_cut
from uncnn.plugins.engine.patches import CutFace, FaceInPhoto, cut_faces
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser
from uncnn.plugins.registry import make_attack, make_budget

NAME = "mobilefacenet-foamliu"
FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
WORK = {"attack": "pgd", "parameters": {"steps": 2}, "strength": "balanced"}
PATIENCE_SECONDS = 240


@contextmanager
def server(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(Path(sys.executable).with_name("uncnn-daemon")), "serve", "--stdio", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def say(process: subprocess.Popen[bytes], frame: Frame) -> dict[str, Any]:
    """Send a frame and return what the first answer that is no step says."""
    return tell(process, frame).said


def tell(process: subprocess.Popen[bytes], frame: Frame) -> Frame:
    assert process.stdin is not None
    assert process.stdout is not None
    send(process.stdin.fileno(), frame, PATIENCE_SECONDS)
    while (answer := receive(process.stdout.fileno(), PATIENCE_SECONDS)) is not None:
        if "progress" not in answer.said:
            return answer
    raise AssertionError("it ended")


def hello(**changes: Any) -> Frame:
    known = {"protocol": 1, "version": version("uncnn"), "surrogates": [[NAME, read_card(EMBEDDED / NAME).sha256]]}
    return Frame({"hello": known | changes})


def faces() -> list[CutFace]:
    skimage = pytest.importorskip("skimage")
    return cut_faces([FaceInPhoto(skimage.data.astronaut(), FACE, 5)])


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (hello(version="0.0.1"), "this machine 0.0.1: install the same on both"),
        (hello(protocol=2), "install the same on both"),
        (hello(surrogates=[[NAME, "0" * 64], ["none", "1"]]), f"other models than this machine: {NAME}, none"),
        (hello(surrogates=[]), "none named"),
        (Frame({"hello": 3}), "validation error"),
        (Frame({}), "validation error"),
    ],
)
def test_who_is_not_the_same_uncnn_is_told_so(first: Frame, words: str) -> None:
    with server() as process:
        assert words in say(process, first)["error"]["message"]
        assert process.wait(PATIENCE_SECONDS) == 0


def test_what_is_no_frame_ends_it_with_a_line() -> None:
    with server() as process:
        _, errors = process.communicate(b"GET / HTTP/1.1\r\n\r\n", timeout=PATIENCE_SECONDS)
        assert errors.decode().strip() == "the client: it sends what is no frame of uncnn's"
        assert process.returncode == 1


def test_a_client_that_says_nothing_is_no_error() -> None:
    with server() as process:
        assert process.communicate(b"", timeout=PATIENCE_SECONDS) == (b"", b"")
        assert process.returncode == 0


def test_a_person_at_a_terminal_is_not_left_waiting() -> None:
    master, slave = pty.openpty()
    command = [str(Path(sys.executable).with_name("uncnn-daemon")), "serve", "--stdio"]
    done = subprocess.run(command, stdin=slave, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    os.close(master)
    os.close(slave)
    assert done.returncode == 2
    assert "nobody types to it" in done.stderr


@pytest.mark.slow
def test_it_does_what_is_done_here_and_outlives_requests_that_are_none(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    sent = faces()
    with server("--device", "cpu") as process:
        assert say(process, hello())["welcome"]["device"] == "cpu"
        for wrong, words in (
            (Frame({"change": WORK | {"attack": "none"}}, pack_faces(sent)), "attack 'none' is not installed"),
            (Frame({"change": WORK | {"strength": "none"}}, pack_faces(sent)), "strength 'none' does not exist"),
            (Frame({"change": WORK | {"parameters": {"target": "Ann"}}}, pack_faces(sent)), "no server is told"),
            (Frame({"change": WORK | {"more": 1}}, pack_faces(sent)), "validation error"),
            (Frame({"change": WORK}, b"no faces"), "no arrays"),
            (Frame({}), "validation error"),
        ):
            assert words in say(process, wrong)["error"]["message"]
        answer = tell(process, Frame({"change": WORK}, pack_faces(sent)))
        assert answer.said["notes"] == []
        budget = make_budget("balanced", WORK["parameters"])  # type: ignore[arg-type]
        (there,) = unpack_patches(answer.content, sent, budget)
        surrogate = load_recogniser(EMBEDDED / NAME, "cpu")
        (here,) = perturb_cut(sent, make_attack("pgd", {"steps": 2}), [surrogate], budget)
        assert np.array_equal(there.change, here.change)
        assert np.array_equal(there.limits, here.limits)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "Seccomp:\t2" in status, "it is in its sandbox"
        opened = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert not [name for name in opened if name.startswith("socket:")]


@pytest.mark.slow
def test_fuzzed_requests_never_end_it_without_a_word() -> None:
    """200 requests, each with bytes changed, cut off or put in; the lengths stay those of what is sent."""
    chance = random.Random(7)
    sound = pack_faces(faces())
    with server("--device", "cpu") as process:
        say(process, hello())
        for _ in range(200):
            packed = bytearray(sound)
            head = chance.randrange(8 + 600)  # where safetensors says what follows
            for place in (head, chance.randrange(len(packed))):
                packed[place] = chance.randrange(256)
            if chance.random() < 0.3:
                del packed[chance.randrange(len(packed)) :]
            said: dict[str, Any] = {"change": dict(WORK) | {"parameters": {"steps": 1}}}
            if chance.random() < 0.3:
                said["change"][chance.choice(list(WORK))] = chance.choice([None, 7, "x" * 1000, [], {"steps": -1}])
            answer = say(process, Frame(said, bytes(packed)))
            assert ("notes" in answer) != ("error" in answer), json.dumps(answer)[:300]
        assert "notes" in say(process, Frame({"change": WORK}, sound)), "and it still serves"

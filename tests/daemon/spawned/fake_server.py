"""A server that does as its name says, run in place of ssh: the name is the host that it is asked for.

Names are words with dashes between: `load-90` is how busy it says it is, the rest what it does when faces come.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from uncnn.daemon.remote.frames import Frame, receive, send
from uncnn.daemon.remote.packing import pack_patches, unpack_faces
from uncnn.plugins.engine.patches import PATCH_PX, Patch


def main() -> None:
    """Serve until the client ends."""
    words = sys.argv[sys.argv.index("--") + 1].split("-")
    load = float(words[words.index("load") + 1]) / 100 if "load" in words else 0.5
    if "unreachable" in words:
        sys.exit("ssh: connect to host: Connection refused")
    if "banner" in words:
        os.write(1, b"Welcome to this machine! " * 100)
        time.sleep(30)
    hello = receive(0)
    if hello is None or "stopped" in words:  # while its models are loaded
        return
    if "models" in words:
        send(1, Frame({"error": {"message": "other models", "fault": "model", "kind": "", "canaries": None}}))
        return
    if "late" in words:  # until the test lets it
        while not Path(os.environ["UNCNN_LATE"]).exists():
            time.sleep(0.01)
    send(1, Frame({"welcome": {"device": "cpu", "load": load}}))
    while (frame := receive(0)) is not None:
        act(words, frame)


def act(words: list[str], frame: Frame) -> None:
    """Do to the faces of a frame what the name says."""
    if "late" in words:
        with Path(os.environ["UNCNN_LATE"]).open("a") as asked:
            asked.write("asked\n")
    if "silent" in words:
        time.sleep(600)
    if "steps" in words:  # it is at work, and never done
        for step in range(6000):
            send(1, Frame({"progress": [step % 30, 32]}))
            time.sleep(0.05)
    if "dies" in words:
        os.write(1, Frame({"notes": []}, b"x" * 100_000).packed()[:50_000])
        os._exit(1)
    if "garbage" in words:
        os.write(1, os.urandom(4096))
    if "nothing" in words:
        send(1, Frame({}))
    if "refuses" in words:
        send(1, Frame({"error": {"message": "it will not", "fault": "other", "kind": "", "canaries": None}}))
    if "odd" in words:
        send(1, Frame({"error": ["what", 1]}))
    if "unsteady" in words:  # the link is lost somewhere
        packed = Frame({"notes": []}, pack_patches(patches(frame, 0.0, 8.0))).packed()
        os.write(1, packed[: int.from_bytes(os.urandom(4), "big") % (len(packed) + 60_000)][:60_000])
        os._exit(1)
    if "boasts" in words:
        send(1, Frame({"progress": [10**400, 1]}))
    if "echo" in words:
        send(1, Frame({"progress": [1, 2]}))
        send(
            1,
            Frame({"notes": ["a note" if "coloured" not in words else "a\x1b[31m note"], "load": 0.25}, frame.content),
        )
    kinds = {"zero": (0.0, 8.0), "ugly": (200.0, 255.0), "beyond": (9.0, 8.0), "nan": (np.nan, 8.0)}
    for kind in kinds.keys() & words:
        send(1, Frame({"notes": [], "load": 0.1}, pack_patches(patches(frame, *kinds[kind]))))


def patches(frame: Frame, change: float, limit: float) -> list[Patch]:
    """Return the same change of all pixels of each face but its border."""
    inside = np.zeros((1, PATCH_PX, PATCH_PX), np.float32)
    inside[:, 2:-2, 2:-2] = 1
    three = np.repeat(np.float32(change) * inside, 3, axis=0)
    return [Patch(face.region, three, np.float32(limit) * inside) for face in unpack_faces(frame.content)]


main()

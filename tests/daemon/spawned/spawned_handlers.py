"""Handlers that a spawned test process can import."""

from __future__ import annotations

import os
import signal
import sys
import time

from uncnn.daemon.processes import Handler, Message, Report
from uncnn.plugins.api import UncnnError


def make_obedient() -> Handler:
    """Do what the request says."""

    def handle(request: Message, report: Report) -> Message:
        if request["do"] == "count":
            for number in range(request["to"]):
                report({"done": number})
            return {"counted": request["to"], "pid": os.getpid()}
        if request["do"] == "refuse":
            raise UncnnError("the photo is upside down: turn it")
        if request["do"] == "stumble":
            raise ZeroDivisionError("by nought")
        if request["do"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if request["do"] == "leave":
            sys.stdout.flush()
            os._exit(3)
        if request["do"] == "hang":
            time.sleep(600)
        return {"torch": "torch" in sys.modules}

    return handle


def make_broken() -> Handler:
    """Fail to start."""
    raise UncnnError("the weights are missing: put them there")


def make_decoder() -> Handler:
    """Decode files on a machine with so much memory as the request says."""
    from pathlib import Path

    from uncnn.daemon.photos import decode, needs

    def handle(request: Message, _report: Report) -> Message:
        needs.process_limit = lambda: request["limit"]
        if request["file"] is not None:
            decode(Path(request["file"]).read_bytes(), "photo")
        return {}

    return handle

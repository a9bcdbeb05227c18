"""What the worker sees in a photo before anything is changed: its faces, and which picture it is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Look, Looked
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.plugins.api import Rotated


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is in a photo, and when work on it began."""

    looked: Looked
    began: float  # monotonic


def see(crew: ProcessEngine, photo: Content, name: str, report: Report, rotated: Rotated) -> Seen:
    """Return what the worker sees in a photo, which a person knows as `name`.

    `rotated`: whether faces at any in-plane angle are looked for.

    Raises:
        RequestError: it is no photo. ProcessDied: the worker died of it.
    """
    began = time.monotonic()
    report(Stage("looking for faces"))
    return Seen(crew.look(Look(photo, name, rotated)), began)

"""Telemetry of the libraries that uncnn stands on: switched off before the first of them can be imported.

ONNX Runtime sends usage events: importing it makes a device id and a queue of events, with the interpreter's path,
under the user's cache folder, and some ten seconds later it looks its collector's name up. It reads its switch once, at
its import; `disable_telemetry_events` comes too late. So the three packages of uncnn call this before all else,
whatever the user's environment says, and processes that are spawned inherit it.
"""

from __future__ import annotations

import os
from typing import Final

SWITCHES: Final = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, which timm brings
    "DO_NOT_TRACK": "1",  # whatever heeds the convention
}
"""Environment variables that switch telemetry off, and nothing else."""


def switch_off() -> None:
    """Set every switch for this process and those that it starts."""
    os.environ.update(SWITCHES)

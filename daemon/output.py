"""What every command answers with: its exit status, and JSON for programs. Nothing heavy is imported here."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_RUNNING: Final = 3
DEGRADED: Final = 4
NO_FACE: Final = 5
UNCERTAIN: Final = 6  # all were published, one with something in doubt as it was
BAD_CONFIGURATION: Final = 78
INTERRUPTED: Final = 130  # by Ctrl-C

quiet: bool = False  # --quiet: only what is wrong is said
talkative: bool = False  # --verbose: all of a fault of uncnn's own is shown

SCHEMA_VERSION: Final = 2
"""Of all JSON that the commands print: its names are a contract."""


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2) + "\n")

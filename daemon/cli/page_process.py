"""The page in place of the command that asks for it: what reads a command line stays in no process that runs for days.

That is 4 MB of the 60 that the page may take.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from uncnn.daemon.cli.ending import Interrupts

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def become_page(config: Path | None, port: int, origins: Sequence[str], device: str | None, lan: bool) -> NoReturn:
    """Go on as the process that serves the page; a signal on the way there is heard once it is."""
    file = str(config) if config else None
    given = {"config": file, "port": port, "origins": list(origins), "device": device, "lan": lan}
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    os.execv(sys.executable, [sys.executable, "-P", "-m", __name__, json.dumps(given)])


def main() -> NoReturn:
    """Serve the page that the command asked for."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    from uncnn.daemon.cli.ending import end

    end(_serve)


def _serve(interrupts: Interrupts) -> None:
    from uncnn.daemon.web.server import serve

    given = json.loads(sys.argv[1])
    interrupts.listen()
    config = Path(given["config"]) if given["config"] else None
    raise SystemExit(serve(config, given["port"], given["origins"], given["device"], given["lan"]))


if __name__ == "__main__":
    main()

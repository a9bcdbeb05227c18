"""The program's first lines: whatever ends it before its command is read ends it in silence.

Nothing is imported that takes a moment: `status` answers without typer, which takes 0.2 s to be imported.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from uncnn.daemon.cli.ending import Interrupts


def main() -> NoReturn:
    """Run the command line."""
    if sys.platform == "win32":
        sys.exit(
            "uncnn-daemon: the commands need Linux or macOS; on Windows photos are cloaked from Python: import uncnn"
        )
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["run"]:
        from uncnn.daemon.service.wakeup import catch_early

        catch_early(once="--once" in sys.argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait do not spin: others use this machine too
    if not os.path.isabs(os.environ.get("HOME", "/")):  # noqa: PTH117
        del os.environ["HOME"]  # an empty one would put files beside the root of all folders
    from uncnn.daemon.cli.ending import end

    end(_command)


def _command(interrupts: Interrupts) -> None:
    if sys.argv[1:] in (["status"], ["status", "--json"]):
        from uncnn.daemon.commands.status import print_status

        raise SystemExit(print_status(as_json="--json" in sys.argv))
    from uncnn.daemon.cli.main import app

    interrupts.listen()
    app()

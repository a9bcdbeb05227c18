"""What a command asks of the service at work: to read its configuration again, to look at its folders.

It is asked over its control socket, which answers, where it has one, otherwise by a signal.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import Final

from uncnn.daemon.control.messages import Reload, Scan, Scanned
from uncnn.daemon.control.service_engine import ServiceLost, ask_service
from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.workspace import signal_run
from uncnn.daemon.ledger import Ledger
from uncnn.daemon.output import BAD_CONFIGURATION, DEGRADED, NOT_RUNNING, OK
from uncnn.daemon.text import photos, printable

RELOAD_SECONDS: Final = 40.0
SCAN_SECONDS: Final = 130.0
"""So long an answer is waited for: the service itself gives up before."""


def reload() -> int:
    """Let the service read its configuration again, and return the exit status."""
    with suppress(ServiceLost):  # it has no socket
        if problem := ask_service(Reload(), RELOAD_SECONDS).problem:
            sys.stderr.write(f"{problem}\n")
            return BAD_CONFIGURATION
        sys.stdout.write("the service has reloaded its configuration\n")
        return OK
    if signal_run(signal.SIGHUP):
        sys.stdout.write(
            "told the service to reload its configuration: uncnn-daemon status shows whether it was accepted\n"
        )
        return OK
    sys.stdout.write("no service is running: it will read the configuration when it starts\n")
    return NOT_RUNNING


def scan(again: bool) -> int:
    """Let the service look at every folder now, say what there is to do, and return the exit status.

    With `again`, the photos that were done under another policy than they have by now are done again.

    Raises LedgerError.
    """
    if again:
        with Ledger(ledger_file()) as ledger:
            ledger.folders.reprocess()
    with suppress(ServiceLost):  # it has no socket
        return _say_scanned(ask_service(Scan(), SCAN_SECONDS))
    if signal_run(signal.SIGUSR1):
        sys.stdout.write("told the service to scan its folders\n")
        return OK
    sys.stdout.write("no service is running: start it, or use uncnn-daemon run --once\n")
    return NOT_RUNNING


def _say_scanned(scanned: Scanned) -> int:
    if not scanned.folders:
        sys.stdout.write("the service watches no folder: add folders to config.yaml, then run uncnn-daemon reload\n")
    for each in scanned.folders:
        if each.problem:
            sys.stderr.write(f"{printable(each.folder)}: not scanned, it is blocked: {each.problem}\n")
        else:
            sys.stdout.write(f"{printable(each.folder)}: {photos(each.waiting)} to cloak\n")
    return DEGRADED if any(each.problem for each in scanned.folders) else OK

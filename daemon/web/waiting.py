"""How many photos wait for a person: it stands beside the page of held photos, wherever one is."""

from __future__ import annotations

from uncnn.daemon.files.folders import FolderError, ledger_file
from uncnn.daemon.ledger.file import LedgerError
from uncnn.daemon.ledger.view import concerns_in_all


def waiting() -> int:
    """Return how many photos wait for a person; where that cannot be read, the pages that show them say why."""
    try:
        return concerns_in_all(ledger_file())
    except (LedgerError, FolderError):
        return 0

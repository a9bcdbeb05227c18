"""The ledger: what became of every photo, in one durable SQLite file.

`jobs` holds the photos, `states` their path, `verdicts` what each was published or held on, `runs` the daemon's own
runs, `file` the file, `view` what a reader sees.
"""

from __future__ import annotations

from uncnn.daemon.ledger.file import LedgerError
from uncnn.daemon.ledger.jobs import Kept, Ledger
from uncnn.daemon.ledger.rows import Job
from uncnn.daemon.ledger.runs import Run
from uncnn.daemon.ledger.states import State, TransitionError
from uncnn.daemon.ledger.verdicts import Proof

__all__ = ["Job", "Kept", "Ledger", "LedgerError", "Proof", "Run", "State", "TransitionError"]

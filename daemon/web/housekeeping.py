"""What is done now and then while the page is served."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.web.site import Site

EVERY_SECONDS: Final = 2.0
_LOG: Final = logging.getLogger(__name__)


async def keep_house(site: Site) -> None:
    """Forget old photos, end what is idle, and notice when the ledger changes; until it is cancelled."""
    before = _ledger_state(ledger_file())  # also while nobody listens: what changes once somebody does is missed else
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await asyncio.to_thread(site.photos.forget_old)
            await asyncio.to_thread(site.previews.close_idle)
            now = _ledger_state(ledger_file())
            if now != before:
                site.changes.tell()
            before = now
        except Exception:
            _LOG.exception("keeping house failed; it is tried again")


def _ledger_state(file: Path) -> tuple[tuple[int, int], ...]:
    """Return what is another once somebody wrote into the ledger."""
    found = []
    for each in (file, file.with_name(f"{file.name}-wal")):
        try:
            state = each.stat()
            found.append((state.st_mtime_ns, state.st_size))
        except FileNotFoundError:
            found.append((0, 0))
    return tuple(found)

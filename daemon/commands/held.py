"""`held show`: a held photo before and after, as a page that is opened where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.kept import kept_dir
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.jobs.actions import find, pair_of
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.output import OK
from uncnn.daemon.text import ago, printable
from uncnn.plugins.api import UncnnError

_OPENER: Final = "xdg-open"


class NoComparison(UncnnError):
    """A held file that no comparison is made of."""


def show(text: str, config: Path | None, device: str | None, output: Path | None, as_json: bool) -> int:
    """Write a comparison of a held photo with its judged copy, open it where there is a desktop; return the status.

    Raises AskedError, HeldError, LedgerError, and what `compare_photos` raises.
    """
    from uncnn.daemon.commands.compare import compare_photos
    from uncnn.daemon.settings import settings_for  # what it needs takes longer to import than the ledger

    with Ledger(ledger_file()) as ledger:
        pair = pair_of(ledger, find(ledger, text, {State.HELD}))
    if not as_json:
        sys.stdout.write(f"{pair.job.id} {printable(pair.original)}: held {ago(pair.job.changed, datetime.now(UTC))}\n")
        sys.stdout.write(
            f"  {pair.job.reason}\n  before: {printable(pair.original)}\n  after:  {printable(pair.copy)}\n"
        )
    if is_video_name(pair.original.name):
        return _show_no_video(pair.job.id, as_json)
    page = output or page_of(pair.job)
    settings = settings_for(config, None, None, None, None, None, device)
    status = compare_photos(settings, pair.original, pair.copy, page, as_json)
    if output is None:
        page.chmod(0o600)
        if not as_json:
            open_page(page)
    if not as_json:
        _say_what_next(pair.job.id)
    return status


def _show_no_video(number: int, as_json: bool) -> int:
    """Say that two videos are compared by playing them. Raises NoComparison: the answer was to be JSON."""
    if as_json:
        raise NoComparison(f"number {number} is a video: play both files, held show has no figures of videos")
    sys.stdout.write("this is a video: play both files to compare them\n")
    _say_what_next(number)
    return OK


def _say_what_next(number: int) -> None:
    sys.stdout.write(
        f"to publish this copy: uncnn-daemon held release {number}; not to: uncnn-daemon held drop {number}\n"
    )


def page_of(job: Job) -> Path:
    """Return where the comparison of a held photo is written where a person names no other place."""
    return kept_dir() / f"{job.id}.comparison.html"


def open_page(page: Path) -> bool:
    """Open a page in the person's own browser, where there is a desktop; return whether there is."""
    if not sys.stdout.isatty() or not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return False
    program = shutil.which(_OPENER)
    if program is None:
        return False
    try:
        quiet = subprocess.DEVNULL
        subprocess.Popen([program, str(page)], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError:
        return False
    return True

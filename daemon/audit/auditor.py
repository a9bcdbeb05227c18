"""Looks at published photos, one after another: whether each stands as it was, and would be published today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uncnn.daemon.audit.findings import BY_DECISION, VIDEO, Finding, Kind
from uncnn.daemon.audit.progress import Progress
from uncnn.daemon.audit.released import Library, Released
from uncnn.daemon.audit.today import (
    NO_VERDICT,
    NotJudgedError,
    Today,
    judge_again,
    new_judges,
    policy_then,
    read_kept,
)
from uncnn.daemon.config import Config
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.files.standing import elsewhere, standing
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import ProcessDied
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.terminal.progress import Bar
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

_OTHERWISE: Final = "verified by other models or under another policy than today's"

DIED: Final = 3
"""Where the verifier died over so many photos in a row, the audit ends; it goes on with the next call."""


@dataclass(slots=True)
class Auditor:
    """Looks at one photo after another."""

    config: Config
    engine: ProcessEngine
    today: Today
    spool: Path
    judge: bool
    died: int = 0  # so often in a row did the verifier die over a photo
    names: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)  # what a publish folder has, once looked for

    def work(self, library: Library, progress: Progress, bar: Bar, number: int) -> None:
        """Look at so many photos from where the progress is on."""
        for _, photo in zip(range(number), library.photos(progress.audit.last), strict=False):
            bar.begin(str(photo.relative))
            progress.done(photo.job.id, list(self.look(photo, progress, bar)))

    def look(self, photo: Released, progress: Progress, bar: Bar) -> Iterator[Finding]:
        """Yield what is not as it was with a photo."""
        bar.report(Stage("reading"))
        assert photo.job.released_sha256 is not None
        if not photo.publish.is_dir():
            gone = f"the publish folder {printable(photo.publish)} is not there"
            progress.count(f"not checked: {gone}")
            if photo.publish not in self.names:  # said once, not for each of its photos
                self.names[photo.publish] = {}
                yield _finding(photo, "unreadable", f"{gone}, so none of its photos could be checked")
            return
        found = standing(photo.publish, photo.relative, photo.job.released_sha256, photo.job.placed)
        if found.kind == "there":
            yield from self._passes(photo, progress, bar)
            return
        names = self.names.setdefault(photo.publish, {})
        moved = (
            elsewhere(photo.publish, photo.relative.name, photo.job.released_sha256, names)
            if found.kind == "missing"
            else None
        )
        if moved is None:
            yield _finding(photo, found.kind, found.words)
        else:
            yield _finding(photo, "moved", f"the same file is now {printable(moved)}")

    def _passes(self, photo: Released, progress: Progress, bar: Bar) -> Iterator[Finding]:
        """Yield where a photo that stands as it was published would not be published any more."""
        if photo.job.anyway:
            progress.count(BY_DECISION)
            return
        if is_video_name(photo.relative.name):  # its views are no photo's
            progress.count(VIDEO)
            return
        configured = self.today.configured(photo)
        if self.today.is_same(photo, configured):
            return
        kept = read_kept(photo)
        policy = configured or policy_then(kept)
        linked = self.today.linked_by_figures(kept, policy) if kept is not None else ""
        if linked:
            yield _finding(photo, "not-passed", linked)
        elif not self.judge:
            progress.count(NO_VERDICT if kept is None else _OTHERWISE)
            for name in new_judges(kept, self.today.roster) if kept is not None else ():
                progress.count(f"not verified by the judge {name}")
        else:
            bar.report(Stage("judging"))
            try:
                reason = judge_again(self.engine, photo, policy, self.spool)
            except ProcessDied as error:
                self.died += 1
                if self.died == DIED:  # it is no fault of the photos
                    raise
                yield _finding(photo, "unreadable", str(error))
                return
            except (NotJudgedError, UncnnError, OSError) as error:
                words = system_words(error)[1] if isinstance(error, OSError) else str(error)
                yield _finding(photo, "not-judged" if isinstance(error, NotJudgedError) else "unreadable", words)
                return
            self.died = 0
            progress.count("judged again")
            if reason:
                yield _finding(photo, "not-passed", reason)


def _finding(photo: Released, kind: Kind, words: str) -> Finding:
    original, published = photo.watch / photo.job.relative, photo.publish / photo.relative
    return Finding(photo.job.id, kind, str(original), str(published), words)

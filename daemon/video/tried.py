"""Which strengths a clip's faces were found to need, kept beside it lot by lot: after a kill those are not tried again.

It says no more than where to go on: the copy is judged as a whole all the same. The sandboxed processes may write to
the folder too, so no link of theirs is followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.files.opening import READ
from uncnn.daemon.protect.messages import AttackChoice
from uncnn.daemon.video.messages import Followed

TRIED: Final = "tried"
"""Ending of the file."""

LARGEST_BYTES: Final = 64_000_000

Place = tuple[int, int]
"""A track and a window."""


@dataclass(frozen=True, slots=True)
class TriedStrengths:
    """The file of one clip; what was tried of it under other terms counts for nothing."""

    file: Path
    terms: str
    levels: tuple[str, ...]

    @classmethod
    def beside(
        cls, clip: Path, followed: Followed, spared: tuple[int, ...], attack: AttackChoice, levels: tuple[str, ...]
    ) -> TriedStrengths:
        """Return the file that lies beside a clip."""
        terms = json.dumps([followed.spans, followed.lots, spared, asdict(attack), levels], sort_keys=True, default=str)
        return cls(clip.with_suffix(f".{TRIED}"), hashlib.sha256(terms.encode()).hexdigest(), levels)

    def write(self, lots: int, paths: Mapping[Place, tuple[str, ...]]) -> None:
        """Note the strengths that so many lots came to, whole or not at all. Raises OSError."""
        rows = [[*place, path] for place, path in sorted(paths.items())]
        with tempfile.NamedTemporaryFile("w", dir=self.file.parent, prefix=".tried-", delete=False) as writer:  # 0600
            json.dump({"terms": self.terms, "lots": lots, "paths": rows}, writer)
        Path(writer.name).replace(self.file)

    def read(self) -> tuple[int, dict[Place, tuple[str, ...]]]:
        """Return how many lots are done and the strengths that they came to: none where nothing is known."""
        try:
            opened = os.open(self.file, READ)
        except OSError:
            return 0, {}
        with os.fdopen(opened, "rb") as reader:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return 0, {}
            content = reader.read(LARGEST_BYTES)
        try:
            known: dict[str, Any] = json.loads(content)
            paths = {(int(track), int(window)): tuple(path) for track, window, path in known["paths"]}
            sound = known["terms"] == self.terms and all(
                path and set(path) <= set(self.levels) for path in paths.values()
            )
            return (int(known["lots"]), paths) if sound else (0, {})
        except (ValueError, KeyError, TypeError):
            return 0, {}

"""Who is known by a mask of their own, and whether the mask holds: asked about once a second, beside the frames.

A change is drawn for one frame, in the frame of the face, where it stays while the face moves; each frame only puts it
in its place. It is handed out once judges looked at a frame with it and did not know the person. Where they do, the
face is hidden from then on; where nobody has answered for a while, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

from uncnn.daemon.live.following import LiveFace
from uncnn.daemon.people.matching import matches
from uncnn.daemon.people.store import Person
from uncnn.daemon.verify.places import nearby
from uncnn.plugins.api import Budget, Change, Face, Faces, Pixels
from uncnn.plugins.engine.aligned import face_in_frame, placed
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FAR: Final = 1e-3
EVERY_SECONDS: Final = 1.0
HOLDS_SECONDS: Final = 4.0
"""So long after it was judged a change is put on frames."""

_REMEMBERED: Final = 5  # looks whose embeddings are averaged

Embeddings = npt.NDArray[np.float32]


class LiveChange(Protocol):
    """Draws a change on faces at once (`uncnn.plugins.person_mask.PersonMask`)."""

    def change(self, faces: Faces) -> Change:
        """Return what it draws on each face, (N, 3, P, P) grey levels, inside the faces' budget."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """A change that judges did not see through."""

    change: torch.Tensor  # (3, P, P) of the aligned frame, grey levels
    met: int  # of the face when it was looked at
    seconds: float


@dataclass(slots=True)
class Memory:
    """What judges saw of one face: unit embeddings, of the original and of what went on, of the latest looks."""

    clean: dict[str, list[Embeddings]] = field(default_factory=dict)
    seen: dict[str, list[Embeddings]] = field(default_factory=dict)

    def means(self, judge: OnnxRecogniser, clean: Embeddings, seen: Embeddings) -> tuple[Embeddings, Embeddings]:
        """Take in a look, (D,) each, and return the means of the latest ones, (1, D)."""
        both = []
        for kept, one in ((self.clean, clean), (self.seen, seen)):
            own = kept.setdefault(judge.card.name, [])
            own.append(one / max(float(np.linalg.norm(one)), 1e-9) if judge.card.metric == "cosine" else one)
            del own[:-_REMEMBERED]
            both.append(np.stack(own).mean(axis=0, keepdims=True).astype(np.float32))
        return both[0], both[1]


@dataclass(slots=True)
class Masking:
    """The people with masks, and the judges."""

    known: Sequence[tuple[Person, LiveChange]]
    judges: Sequence[OnnxRecogniser]
    budget: Budget
    clock: Callable[[], float] = time.monotonic
    linked: set[int] = field(default_factory=set)  # faces that a judge knew in spite of the mask
    _judged: dict[int, Judged] = field(default_factory=dict)
    _memories: dict[int, Memory] = field(default_factory=dict)
    _asked: float = -EVERY_SECONDS
    _busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_busy(self) -> bool:
        """Return whether a frame is being looked at."""
        return self._busy.locked()

    def change_of(self, face: LiveFace) -> torch.Tensor | None:
        """Return what is put on a face, or None where it is hidden."""
        judged = self._judged.get(face.number)
        if judged is None or face.number in self.linked or judged.met != face.met:
            return None
        return judged.change if self.clock() - judged.seconds <= HOLDS_SECONDS else None

    def offer(self, picture: Pixels, faces: Sequence[tuple[LiveFace, Face]]) -> None:
        """Let a frame be looked at in a thread, if it is time and the one before is done; it is not changed."""
        if not faces or self.clock() - self._asked < EVERY_SECONDS or not self._busy.acquire(blocking=False):
            return
        self._asked = self.clock()
        asked = [(face.number, face.met, seen) for face, seen in faces]
        threading.Thread(target=self._look_at, args=(picture.copy(), asked), name="judge", daemon=True).start()

    def _look_at(self, picture: Pixels, asked: Sequence[tuple[int, int, Face]]) -> None:
        try:
            self.look(picture, asked)
        finally:  # an error leaves all as it was: changes are too old soon, and faces hidden
            self._busy.release()

    def look(self, picture: Pixels, asked: Sequence[tuple[int, int, Face]]) -> None:
        """Find out who the faces of a frame are, each by its number and how often it met another, and judge masks."""
        there = {number for number, _, _ in asked}
        for forgotten in set(self._judged) - there:
            self._judged.pop(forgotten), self._memories.pop(forgotten, None)
        for number, met, face in asked:
            if number in self.linked:
                continue
            landmarks = np.array(face.landmarks)
            clean = {judge.card.name: judge.embed(picture, landmarks[None]) for judge in self.judges}
            mask = self._mask_of(clean)
            if mask is None:
                self._judged.pop(number, None)
                continue
            memory = self._memories.setdefault(number, Memory())
            before = self._judged.get(number)
            drawn = self._drawn(mask, picture, landmarks)
            changes = [drawn] if before is None or before.met != met else [before.change, drawn]
            if any(self._is_linked(picture, landmarks, clean, each, memory) for each in changes):
                self.linked.add(number)
            else:
                self._judged[number] = Judged(drawn, met, self.clock())

    def _mask_of(self, clean: Mapping[str, Embeddings]) -> LiveChange | None:
        """Return the mask of the person whom all judges take a face for."""
        for person, mask in self.known:
            if self.judges and all(matches(person, judge, clean[judge.card.name][0], FAR) for judge in self.judges):
                return mask
        return None

    def _drawn(self, mask: LiveChange, picture: Pixels, landmarks: npt.NDArray[np.float64]) -> torch.Tensor:
        """Return what a mask draws on a face, (3, P, P) of its aligned frame."""
        with torch.no_grad():  # not inference mode: what is cached of a size may be derived from later
            return mask.change(face_in_frame(picture, landmarks, self.budget, 0, "cpu")).pixels[0]

    def _is_linked(
        self,
        picture: Pixels,
        landmarks: npt.NDArray[np.float64],
        clean: Mapping[str, Embeddings],
        change: torch.Tensor,
        memory: Memory,
    ) -> bool:
        """Return whether a judge knows the person in a frame that is changed, or in the mean of the latest ones."""
        changed = picture.copy()
        put(changed, change, landmarks)
        where = np.concatenate([landmarks[None], *nearby(landmarks[None])])
        for judge in self.judges:
            own = clean[judge.card.name]
            seen = judge.embed(changed, where)
            values = [*compare(judge.card, np.tile(own, (len(where), 1)), seen)]
            values += [*compare(judge.card, *memory.means(judge, own[0], seen[0]))]
            if any(judge.card.matches(float(value), FAR) for value in values):
                return True
        return False


def put(picture: Pixels, change: torch.Tensor, landmarks: npt.NDArray[np.float64]) -> None:
    """Add a change, (3, P, P) of the aligned frame, to the face at `landmarks` of a picture, in place."""
    with torch.no_grad():
        region, pixels = placed(change, landmarks)
    rows, columns = region.clipped(*picture.shape[:2])
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    own: Any = pixels.permute(1, 2, 0).numpy()[region.local(rows, columns)]
    changed = np.rint(picture[rows, columns].astype(np.float32) + own)
    picture[rows, columns] = np.clip(changed, 0, 255).astype(np.uint8)

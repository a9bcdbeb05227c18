"""What `import uncnn` offers: `cloak` and `verify` as functions of photos, in the calling process.

There is no sandbox, no folder and no ledger: what `uncnn-daemon` does for a service is its own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from uncnn.daemon.config import Models
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.inline_engine import InlineEngine
from uncnn.daemon.protect.messages import Judge
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, people_for, protect, terms_of
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.verify.verdict import Verdict
from uncnn.plugins.api import UncnnError

if TYPE_CHECKING:
    from PIL.Image import Image

    from uncnn.plugins.api import Pixels

Photo: TypeAlias = "str | Path | bytes | Image | Pixels"
"""A path, the bytes of a file, a PIL image, or an array (H, W, 3) uint8 RGB."""

_one_at_a_time = Lock()


@dataclass(frozen=True, slots=True, repr=False)
class Cloaked:
    """The copy of a photo, and the verdict on exactly its bytes."""

    data: bytes  # in the format of the photo; PNG where that was no file
    outcome: Outcome

    def __repr__(self) -> str:
        """Return what a notebook shows: what is to become of it, and why."""
        return f"<Cloaked, {self.outcome.photo_format}, {self.outcome.decision}: {self.reason}>"

    @property
    def verdict(self) -> Verdict:
        """Return every recogniser's judgement of each face."""
        return self.outcome.verdict

    @property
    def released(self) -> bool:
        """Return whether the policy would publish the copy."""
        return self.outcome.decision == "publish"

    @property
    def reason(self) -> str:
        """Return why, in one line."""
        return self.outcome.reason

    def save(self, path: str | Path, anyway: bool = False) -> None:
        """Write the copy.

        Raises:
            UncnnError: the policy would not publish it, and it is not to be written `anyway`. OSError.
        """
        if not self.released and not anyway:
            raise UncnnError(f"{path} is not written: {self.reason}; save(..., anyway=True) writes it all the same")
        Path(path).write_bytes(self.data)


def cloak(photo: Photo, policy: Policy | None = None, device: str = "auto") -> Cloaked:
    """Return a copy of `photo` on which recognisers do not link its faces, as far as the verdict says.

    `device` is auto, cpu, cuda or cuda:N. One photo is done at a time, whichever thread asks.

    Raises:
        UncnnError: it is no photo that can be taken, a model is missing, or a plugin failed. OSError: it is not there.
    """
    data, name = _read(photo)
    chosen = policy or Policy()
    job = PhotoJob(Content(data=data), name, chosen, people_for(chosen))
    with _one_at_a_time:
        outcome = protect(_engine(device), job, silent)
    return Cloaked(outcome.candidate.read(), outcome)


def verify(original: Photo, copy: Photo, policy: Policy | None = None, device: str = "auto") -> Verdict:
    """Return the verdict on `copy` as a cloaked copy of `original`.

    Raises:
        UncnnError: one is no photo that can be taken, they have different sizes, or a model is missing. OSError.
    """
    first, second = (Content(data=_read(photo)[0]) for photo in (original, copy))
    with _one_at_a_time:
        chosen = policy or Policy()
        return _engine(device).judge(Judge(first, second, terms_of(chosen, people_for(chosen))))


@cache
def _engine(device: str) -> InlineEngine:
    return InlineEngine.load(Models(), device, data_dir())


def _read(photo: Photo) -> tuple[bytes, str]:
    """Return a photo as the bytes of a file, and what a person calls it."""
    if isinstance(photo, bytes):
        return photo, "photo"
    if isinstance(photo, str | Path):
        return Path(photo).read_bytes(), Path(photo).name
    from PIL import Image
    from PIL.Image import fromarray

    if not isinstance(photo, Image.Image):
        if photo.dtype != "uint8" or photo.ndim != 3 or photo.shape[2] != 3:
            found = f"{photo.dtype} {photo.shape}"
            raise UncnnError(f"a photo of {found} cannot be taken: give an array (H, W, 3) of uint8, RGB")
        photo = fromarray(photo)
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue(), "photo"

"""The methods that `peers.py` puts side by side: each from its published description, with the numbers it names.

Departures that all of them share: the recognisers that come with uncnn are attacked in place of the papers' own, the
feature distance is the cosine of unit embeddings, and who is moved toward somebody is moved toward a synthetic identity
that nobody has, not toward a stranger. What else differs is said at each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from onepass import Portrait
from peers_faces import Person, away, composed, portraits_in, seed_of, squares_of
from peers_fawkes import Fawkes1, Fawkes2
from peers_mask import UniversalMask
from PIL import Image, ImageFilter

from uncnn.plugins.api import Attack, Budget, Change, Face, Faces, Loss, Pixels
from uncnn.plugins.attacks.lowkey import LowKey
from uncnn.plugins.attacks.pgd import Pgd
from uncnn.plugins.attacks.tip_im import TipIm
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine.host import perturb_all
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.engine.steps import lengths
from uncnn.plugins.perception.similarity import ms_ssim
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_budget


class Work(Protocol):
    """How photos are cloaked: a frozen dataclass of numbers, whose text says what was done."""

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the cloaked photos, person by person."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table."""

    name: str
    work: Work
    kind: str  # what its colour in the picture means
    jpeg: int = 92  # quality of the file that is published


@dataclass(frozen=True, slots=True)
class Ours:
    """`veil` at a strength, without escalation."""

    strength: str
    steps: int = 32

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the cloaked photos, person by person."""
        portraits = portraits_in(people)
        faces = [FaceInPhoto(each.photo, each.face, seed_of(each.photo)) for each in portraits]
        patches = perturb_all(faces, Veil(), attacked, make_budget(self.strength, {"steps": self.steps}))
        return [compose(each.photo, [patch])[0] for each, patch in zip(portraits, patches, strict=True)]


@dataclass(frozen=True, slots=True)
class Registered:
    """An attack that is registered, with its paper's numbers, in the papers' bound and without views."""

    attack: Attack
    steps: int
    epsilon_255: float
    target: str = "none"
    start: float = 1.0  # the random start, shares of the bound

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the cloaked photos, person by person."""
        portraits = portraits_in(people)
        regions, faces = squares_of(portraits, self.epsilon_255, self.start)
        loss = away(attacked, faces, self.target)
        change = self.attack.perturb(faces, loss, Budget(self.steps, self.epsilon_255))
        return list(composed(portraits, regions, faces, change.pixels))


@dataclass(frozen=True, slots=True)
class Unsmoothed:
    """LowKey without its second term, that of the blurred face; the price is MS-SSIM."""

    naturalness: float = 0.05
    step_size: float = 2.5  # bounds a run

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return the change of each face after `budget.steps` signed steps, (N, 3, P, P) grey levels."""
        step_size = lengths(faces, budget, self.step_size)
        pixels = faces.valid(faces.noise(0) * faces.luma_limits)
        for step in range(budget.steps):
            inputs = (faces.patches + pixels).requires_grad_()
            with torch.enable_grad():
                price = self.naturalness * (1 - ms_ssim(faces.patches, inputs))
                (priced,) = torch.autograd.grad(price.sum(), inputs)
            gradient = loss.gradient(inputs.detach(), step) + priced
            pixels = faces.valid(pixels - step_size * gradient.sign())
        return Change(pixels)


@dataclass(frozen=True, slots=True)
class Trivial:
    """What people do by hand: to the box of the face, to its eyes, or to the file alone."""

    what: str  # nothing | pixelation | blur | bar

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the changed photos, person by person."""
        del attacked
        return [self._changed(portrait) for portrait in portraits_in(people)]

    def _changed(self, portrait: Portrait) -> Pixels:
        photo, face = portrait.photo.copy(), portrait.face
        rows, columns = _eyes(face, photo) if self.what == "bar" else _box(face, photo)
        inside = Image.fromarray(photo[rows, columns])
        if self.what == "bar":
            photo[rows, columns] = 0
        elif self.what == "blur":
            photo[rows, columns] = inside.filter(ImageFilter.GaussianBlur(BLUR * face.size_px))
        elif self.what == "pixelation":
            small = inside.resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
            photo[rows, columns] = small.resize(inside.size, Image.Resampling.NEAREST)
        return photo


BLOCKS = 12  # across the box of a face
BLUR = 0.06  # sigma, shares of the longer side of the box
BAR = 0.35  # half the height of the bar and how far it reaches beyond the eyes, shares of the distance between them

_LOWKEY_BLUR = 3.3  # patch pixels: LowKey's 7 x 7 kernel of sigma 3, where 1.8 of them are one of the aligned crop
_LOWKEY_START = 0.1  # its noise of 0.005, of its epsilon of 0.05

METHODS = (
    Method("no cloak", Trivial("nothing"), "none"),
    Method("pixelation", Trivial("pixelation"), "by hand"),
    Method("blur", Trivial("blur"), "by hand"),
    Method("black bar", Trivial("bar"), "by hand"),
    Method("JPEG 30", Trivial("nothing"), "by hand", jpeg=30),
    Method("`veil`, balanced", Ours("balanced"), "ours"),
    Method("PGD 8/255", Registered(Pgd(), 40, 8.0), "published"),
    Method("universal mask", UniversalMask(), "published"),
    Method("Fawkes 2", Fawkes2(), "published"),
    Method("Fawkes 2, one target", Fawkes2(target="a person"), "published"),
    Method("LowKey", Registered(LowKey(smoothing_px=_LOWKEY_BLUR), 50, 12.75, start=_LOWKEY_START), "published"),
    Method("Fawkes 1.0, low", Fawkes1(0.004, 40, 25.0), "published"),
    *(Method(f"`veil`, {strength}", Ours(strength), "ours") for strength in ("strong", "subtle", "utmost")),
    Method("LowKey, no smoothing", Registered(Unsmoothed(), 50, 12.75, start=_LOWKEY_START), "published"),
    Method("Fawkes 1.0, mid", Fawkes1(0.012, 75, 20.0), "published"),
    Method("Fawkes 1.0, high", Fawkes1(0.017, 150, 15.0), "published"),
    Method("TIP-IM", Registered(TipIm(candidates=10), 100, 12.0, "synthetic", start=0.0), "published"),
)
"""The cheaper ones first: a run that is stopped has more of them."""


def _box(face: Face, photo: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of a face's box."""
    return _rectangle(face.box, photo)


def _eyes(face: Face, photo: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of a bar over the eyes."""
    (left, one), (right, other) = face.landmarks[:2]
    reach = BAR * abs(right - left)
    return _rectangle(
        (left - 1.5 * reach, min(one, other) - reach, right + 1.5 * reach, max(one, other) + reach), photo
    )


def _rectangle(ends: tuple[float, float, float, float], photo: Pixels) -> tuple[slice, slice]:
    left, top, right, bottom = (max(round(end), 0) for end in ends)
    return slice(top, min(bottom, photo.shape[0])), slice(left, min(right, photo.shape[1]))

"""HopSkipJump: decisions alone, no gradients: for recognisers that cannot be differentiated.

Chen, Jordan, Wainwright, "HopSkipJumpAttack: a query-efficient decision-based attack", IEEE Symposium on Security and
Privacy 2020, its attack in L-infinity. The paper's distance is the largest change of a pixel; here it is the largest in
units of each pixel's own bound, so that a distance of 1 or less is what the host allows. Departures: random directions
are smooth (Guo, Frank, Weinberger, "Low frequency adversarial perturbation", UAI 2019), which a few hundred decisions
need; probes are wide, because recognisers are asked with whole grey levels; the binary search is geometric; and a
change that has room left in the bound is enlarged, where that is not linked either: on the boundary itself nothing is
protected from the next compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine.steps import each
from uncnn.plugins.parameters import check

FAR, NEAR = 64.0, 0.25  # bounds: where the search starts, and where a change is no longer seen
GRAINS_PX = (32, 16, 8, 4, 2, 1)  # of the noise that is put over a face to begin with
BISECTIONS = 6
HALVINGS = 4
PROBE = 0.5  # share of the distance that a probe moves, at least PROBE bounds
FEWEST = len(GRAINS_PX) + BISECTIONS + 1  # queries without a single estimate


@dataclass(frozen=True, slots=True)
class HopSkipJump:
    """Walk along the boundary of what is linked toward the clean face."""

    queries: int = parameter(1000, "decisions a face, at most", least=FEWEST)
    probes: int = parameter(
        16, "B0: decisions for the first estimate of a direction; the estimate t has sqrt(t) times as many", least=2
    )
    grain_px: int = parameter(
        2, "from one random number of a direction to the next; 1 is the paper's", "patch pixels", least=1
    )
    enlarge: bool = parameter(
        True, "whether the room that is left in the bound is used; false: the smallest change, as in the paper"
    )

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return for each face the nearest change found that is not linked, (N, 3, P, P) grey levels.

        Where every start is linked, or the nearest is beyond the bound, it is what the bound leaves of it.
        """
        asked = _Asked(faces, loss, self.queries)
        spare = int(self.enlarge)
        best = here = _toward_clean(asked, _start(asked))
        for number in range(1, budget.steps + 1):
            affordable = asked.left - HALVINGS - BISECTIONS - spare
            probes = min(ceil(self.probes * sqrt(number)), affordable)
            if probes < 2:
                break
            direction = self._direction(asked, here, probes)
            here = _toward_clean(asked, _step(asked, here, direction, number))
            best = _nearer(here, best)
        return Change(_enlarged(asked, best) if self.enlarge else faces.valid(best.pixels))

    def _direction(self, asked: _Asked, here: _Point, probes: int) -> Tensor:
        """Return the signs of the estimated gradient, (N, 3, P, P): where a face is linked less."""
        reach = PROBE * here.distance.clamp(min=1)
        total, weighted, answers = torch.zeros_like(here.pixels), torch.zeros_like(here.pixels), []
        for _ in range(probes):
            noise = _smooth(asked.noise(), self.grain_px)
            unlinked = asked.unlinked(here.pixels + each(reach) * noise * asked.faces.luma_limits)
            answer = 2.0 * unlinked - 1  # phi
            total, weighted = total + noise, weighted + each(answer) * noise
            answers.append(answer)
        mean = each(torch.stack(answers).mean(dim=0))
        # The Monte Carlo estimate, its baseline subtracted where the answers differ (section III-C).
        return torch.where(mean.abs() == 1, mean * total, weighted - mean * total).sign()


@dataclass(frozen=True, slots=True)
class _Point:
    """A change of each face, and how far it is from the clean one."""

    pixels: Tensor  # (N, 3, P, P) grey levels
    distance: Tensor  # (N,) bounds
    found: Tensor  # (N,) bool: not linked


@dataclass(slots=True)
class _Asked:
    """The oracle, and the decisions that are left. Every face is asked as often, so that none depends on another."""

    faces: Faces
    loss: Loss
    left: int
    drawn: int = 0

    def unlinked(self, pixels: Tensor) -> Tensor:
        """Return which faces are not linked with the change `pixels`, (N,) bool: one query of each."""
        self.left -= 1
        return ~self.loss.linked(self.faces.patches + self.inside(pixels))

    def noise(self) -> Tensor:
        """Return new noise of each face's own, (N, 3, P, P) in -1..1."""
        self.drawn += 1
        return self.faces.noise(self.drawn)

    def ball(self, pixels: Tensor, distance: Tensor) -> Tensor:
        """Return the change nearest to `pixels` that is within `distance` (N,) bounds of none: a projection."""
        size = each(distance)
        return self.inside(size * self.faces.valid(pixels / size))

    def inside(self, pixels: Tensor) -> Tensor:
        """Return the change nearest to `pixels` that keeps the patches within 0..255."""
        return torch.minimum(torch.maximum(pixels, -self.faces.patches), 255 - self.faces.patches)


def _start(asked: _Asked) -> _Point:
    """Return noise of each face that is not linked, the first of several grains."""
    far = torch.full_like(asked.faces.patches[:, 0, 0, 0], FAR)
    pixels, found = torch.zeros_like(asked.faces.patches), torch.zeros_like(far, dtype=torch.bool)
    for grain in GRAINS_PX:
        noise = _smooth(asked.noise(), grain).sign() * FAR * asked.faces.luma_limits
        pixels = torch.where(each(found), pixels, asked.ball(noise, far))
        found = found | asked.unlinked(pixels)
    return _Point(pixels, far, found)


def _toward_clean(asked: _Asked, start: _Point) -> _Point:
    """Return where the way from `start` to the clean face meets the boundary: algorithm 1, on a geometric scale."""
    near, far, found = torch.full_like(start.distance, NEAR), start.distance, start.found
    for _ in range(BISECTIONS):
        middle = (near * far).sqrt()
        unlinked = asked.unlinked(asked.ball(start.pixels, middle))
        near, far = torch.where(unlinked, near, middle), torch.where(unlinked, middle, far)
        found = found | unlinked
    return _Point(asked.ball(start.pixels, far), far, found)


def _step(asked: _Asked, here: _Point, direction: Tensor, number: int) -> _Point:
    """Return `here`, moved in `direction` as far as it stays unlinked: the geometric progression of algorithm 2."""
    size = here.distance / sqrt(number)
    reached = _Point(here.pixels, here.distance, torch.zeros_like(here.found))
    for _ in range(HALVINGS):
        pixels = here.pixels + each(size) * direction * asked.faces.luma_limits
        tried = asked.ball(pixels, here.distance + size)
        unlinked = asked.unlinked(tried)
        reached = _take(unlinked & ~reached.found, _Point(tried, here.distance + size, unlinked), reached)
        size = size / 2
    return _Point(reached.pixels, reached.distance, reached.found | here.found)


def _nearer(here: _Point, best: _Point) -> _Point:
    return _take(here.found & (~best.found | (here.distance < best.distance)), here, best)


def _take(where: Tensor, first: _Point, second: _Point) -> _Point:
    """Return the faces of `first` where `where` (N,) says so, and those of `second` elsewhere."""
    pixels = torch.where(each(where), first.pixels, second.pixels)
    distance = torch.where(where, first.distance, second.distance)
    return _Point(pixels, distance, torch.where(where, first.found, second.found))


def _enlarged(asked: _Asked, best: _Point) -> Tensor:
    """Return the best changes inside the bound, enlarged to it where they are smaller and stay unlinked."""
    larger = asked.ball(best.pixels / each(best.distance), torch.ones_like(best.distance))
    taken = asked.unlinked(larger) & (best.distance < 1)
    return torch.where(each(taken), larger, asked.faces.valid(best.pixels))


def _smooth(noise: Tensor, grain_px: int) -> Tensor:
    """Return `noise` (N, 3, P, P) at every `grain_px` pixels, and what lies between by interpolation."""
    coarse = noise[:, :, ::grain_px, ::grain_px]
    return functional.interpolate(coarse, noise.shape[2:], mode="bilinear", align_corners=False)

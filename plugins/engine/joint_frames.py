"""One change for several pictures of one face, in the aligned frame: what a clip's key frames are attacked with.

An attack is given one patch a track and the loss of all of its key frames, one of them at each step, so that any
registered attack works on clips; the bounds are those that hold in every key frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from uncnn.plugins.api import Attack, Budget, Loss
from uncnn.plugins.engine.aligned import softened, template_of
from uncnn.plugins.engine.batch import FaceBatch, bounded_batch, together
from uncnn.plugins.engine.host import UNTARGETED, held
from uncnn.plugins.engine.patches import is_colourless
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.recognisers.torch_recogniser import Recogniser


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Some pictures of one face, each in its aligned frame."""

    patches: Tensor  # (K, 3, P, P) in 0..255
    inside: Tensor  # (K, 1, P, P) how much of each pixel lies in the picture
    scales: tuple[float, ...]  # pixels of the picture to one of the frame
    size: tuple[int, int]  # height and width of the picture
    seed: int
    start: Tensor | None = None  # (3, P, P): a change that is continued
    zoom: float = 1.0  # how large the face lies in its frame (`aligned.zoom_of`)


@dataclass(frozen=True, slots=True)
class KeyFrameLoss:
    """The loss of a change over the key frames: each step sees one of each face (`uncnn.plugins.api.Loss`)."""

    shown: FaceBatch  # what the attack was given
    frames: Sequence[FaceBatch]  # the same faces in each key frame
    by_frame: Sequence[Loss]  # the loss of each key frame
    scales: Sequence[Sequence[float]]  # by key frame and face

    @property
    def targets(self) -> int:
        """Return how many identities are on offer to move to."""
        return self.by_frame[0].targets

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,), in the key frame of this step."""
        return self.losses(inputs, step, 0)[0]

    def losses(self, inputs: Tensor, step: int, targets: int) -> Sequence[Tensor]:
        """Return the loss of each face, (N,), and after it that toward each of the first `targets`."""
        number = step % len(self.frames)
        return self.by_frame[number].losses(self._inputs(inputs, number), step, targets)

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        """Return each face's own gradient, (N, 3, P, P), in the key frame of this step."""
        return self.gradients(inputs, step, 0)[0]

    def gradients(self, inputs: Tensor, step: int, targets: int) -> list[Tensor]:
        """Return those gradients, and after them the ones toward each of the first `targets`."""
        number = step % len(self.frames)
        found = self.by_frame[number].gradients(self._inputs(inputs, number), step, targets)
        return [self._softened(each, number) for each in found]  # a blur's matrix is nearly its own transpose

    def toward(self, target: int | Tensor) -> KeyFrameLoss:
        """Return the loss that is low where the faces are taken for the target of this number."""
        return replace(self, by_frame=[loss.toward(target) for loss in self.by_frame])

    def linked(self, inputs: Tensor) -> Tensor:
        """Return whether a surrogate links each face to its person in a key frame, (N,) bool."""
        asked = [loss.linked(self._inputs(inputs, number)) for number, loss in enumerate(self.by_frame)]
        return torch.stack(asked).any(dim=0)

    def _inputs(self, inputs: Tensor, number: int) -> Tensor:
        change = self._softened(inputs - self.shown.patches, number)
        return (self.frames[number].patches + change).clamp(0, 255)

    def _softened(self, pixels: Tensor, number: int) -> Tensor:
        pairs = zip(pixels, self.scales[number], strict=True)
        return torch.cat([softened(one[None], scale) for one, scale in pairs])


def perturb_tracks(
    tracks: Sequence[KeyFrames],
    attack: Attack,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    runs: Sequence[int],
    target: AttackTarget = UNTARGETED,
) -> list[Tensor]:
    """Return the change of each face, (3, P, P) grey levels, held inside `budget` in three of its key frames.

    All have as many key frames. The attack is run once for each of `runs`, with so many steps, and goes on from what it
    came to before: a change that has to hold in many pictures goes further than one step length for a photo takes it.
    A face's pixels are not moved: what moves from frame to frame is seen at once.

    Raises:
        PluginError: the attack returned a wrong type, a wrong shape or values that are not finite.
        TargetError: the target or the objective is not to be had.
    """
    device = str(surrogates[0].mean.device)
    own = replace(budget, flow=0.0)
    frames, shown = _batches(tracks, own, device)
    losses = [target.loss(surrogates, frame) for frame in frames]
    scales = [[track.scales[number] for track in tracks] for number in range(len(frames))]
    change = _started(shown, tracks)
    for steps in runs:
        moved = [replace(frame, patches=(frame.patches + change).clamp(0, 255)) for frame in frames]
        given = replace(shown, patches=(shown.patches + change).clamp(0, 255))
        loss = KeyFrameLoss(given, moved, losses, scales)
        found = attack.perturb(replace(given, patches=given.patches.clone()), loss, replace(own, steps=steps))
        change = shown.valid(change + held(found, given, type(attack).__name__).pixels)
    return list(change)


def _batches(tracks: Sequence[KeyFrames], budget: Budget, device: str) -> tuple[list[FaceBatch], FaceBatch]:
    """Return each key frame of the faces as a batch, and the middle one with the least bounds that some of them give.

    Bounds hardly differ from one to the next, and take longer than a step: the first, the middle and the last count.
    """
    last = len(tracks[0].patches) - 1
    bounded = {
        number: together([_alone(track, number, budget, device) for track in tracks]) for number in {0, last // 2, last}
    }
    middle = bounded[last // 2]
    frames = [
        bounded.get(number)
        or replace(middle, patches=torch.cat([track.patches[number : number + 1] for track in tracks]).to(device))
        for number in range(last + 1)
    ]
    return frames, _least(list(bounded.values()), middle)


def _alone(track: KeyFrames, number: int, budget: Budget, device: str) -> FaceBatch:
    patch, inside = (each[number : number + 1].to(device) for each in (track.patches, track.inside))
    grey = is_colourless(patch[0].permute(1, 2, 0).byte().cpu().numpy())
    own = replace(budget, chroma=0.0, colour=0.0) if grey else budget
    return bounded_batch(
        patch, inside, template_of(track.zoom)[None], [track.scales[number]], track.size, own, [track.seed]
    )


def _least(frames: Sequence[FaceBatch], middle: FaceBatch) -> FaceBatch:
    """Return `middle` with the least bounds that any of `frames` gives."""
    luma, chroma = (
        torch.stack([getattr(frame, name) for frame in frames]).amin(dim=0) for name in ("luma_limits", "chroma_limits")
    )
    rms = [frame.rms_limits for frame in frames if frame.rms_limits is not None]
    bands = [frame.bands for frame in frames if frame.bands is not None]
    least = middle.bands
    if least is not None:
        bounds = tuple(torch.stack(each).amin(dim=0) for each in zip(*(each.bounds for each in bands), strict=True))
        least = replace(least, bounds=bounds)
    return replace(
        middle,
        luma_limits=luma,
        chroma_limits=chroma,
        rms_limits=torch.stack(rms).amin(dim=0) if rms else None,
        bands=least,
    )


def _started(shown: FaceBatch, tracks: Sequence[KeyFrames]) -> Tensor:
    """Return what each face's change begins with, (N, 3, P, P), inside today's bounds."""
    nothing = torch.zeros_like(shown.patches[0])
    return shown.valid(torch.stack([nothing if track.start is None else track.start.to(nothing) for track in tracks]))

"""How robust a hardened recogniser is, and what its likeness makes of what people hardly see.

    python benchmarks/robust.py FOLDER [FOLDER ...]     the teacher, and each of these beside it (minutes on one core)
    python benchmarks/robust.py --smoke                 the teacher alone on a few people: only shows that it runs

Three photos of each of up to 120 people of LFW, whom nothing was trained on; every ninth photo is attacked.

`TAR`: the share of pairs of one person that are linked at FAR 1e-3 of these photos. `clean`: the cosine to the
teacher's embedding of the same photo, mean and least. `FGSM`, `PGD-5`: the cosine of the altered crop to itself after
one step of 5/4 epsilon or five of 1/2 epsilon down it, from a random start (L-infinity, grey levels); `carried`: what
the teacher is left with of the crop that PGD-5 altered for the recogniser. `gradient`: that of the cosine to another
photo of the person, by the pixels: how much of it is coarser than single pixels.

Likeness is that cosine to itself under what is not aimed at it: JPEG 50 and a blur of 1 pixel of the crop, noise, FGSM
of 4 grey levels against the teacher, and a smooth flow of 1.5 % of the distance between the eyes, away from the teacher
(ten steps) or at random; then that of other photos of the person, and of other people. Mean, and the fifth percentile
(the 95th of other people).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from common import CPU, EMBEDDED, is_missing, options_of, set_torch_up
from torch import Tensor
from torch.nn import functional

from uncnn.exporters.calibration.faces import look_with
from uncnn.plugins import geometry
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.engine.flow import displaced
from uncnn.plugins.engine.views import compressed
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.resampling import gaussian

EACH = 3
PEOPLE = 120
ATTACKED = 9
EPSILONS = (2, 4, 8)
STEPS = 5
COARSE = 1 / 8
FLOW_PX = 0.015 * 35.2  # of the distance between the eyes of a crop
FLOW_SIGMA_PX = 2.0
DETECTOR = EMBEDDED / "retinaface-mobilenet0.25" / "retinaface-mobilenet0.25.onnx"


def main() -> None:
    """Print what the teacher and each hardened recogniser are, line by line."""
    parser = options_of(__doc__)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--teacher", type=Path, default=EMBEDDED / "esp-mfn")
    options = parser.parse_args()
    identities = options.data / "lfw" / "identities"
    if is_missing(identities, options.teacher):
        return
    set_torch_up()
    teacher = load_recogniser(options.teacher)
    crops, people = _crops(identities, 4 if options.smoke else PEOPLE, teacher)
    print(f"{len(crops)} photos of {len(set(people))} people, {len(crops[::ATTACKED])} attacked")
    for folder in [options.teacher, *options.folders]:
        print(f"\n{folder.name}", *_lines(load_recogniser(folder), teacher, crops, people), sep="\n  ")


def _crops(identities: Path, people: int, recogniser: Recogniser) -> tuple[Tensor, list[str]]:
    """Return three photos of each person as the recogniser is shown them, (N, 3, H, W), and whose they are."""
    folders = [folder for folder in sorted(identities.iterdir()) if len(list(folder.iterdir())) >= EACH][:people]
    template, height, width = recogniser.frame
    detect, crops, names = look_with(load_onnx(DETECTOR, CPU, 1)), [], []
    for folder in folders:
        for file in sorted(folder.iterdir())[:EACH]:
            found = detect(file.read_bytes())
            if isinstance(found, str):
                continue
            (matrix,) = geometry.similarities(found[1][None], np.array(template))
            crops.append(crop(found[0], matrix, (width, height)))
            names.append(folder.name)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float(), names


def _lines(model: Recogniser, teacher: Recogniser, crops: Tensor, people: list[str]) -> Iterator[str]:
    """Return what is printed of a recogniser."""
    own, taught = _embed(model, crops), _embed(teacher, crops)
    same, other = _pairs(own, people)
    limit = np.quantile(other, 0.999)
    cosines = (own * taught).sum(1)
    yield f"TAR {(same >= limit).mean():.4f} at {limit:.3f}; clean {cosines.mean():.3f}, least {cosines.min():.3f}"
    some, mine, its = crops[::ATTACKED], own[::ATTACKED], taught[::ATTACKED]
    for epsilon in EPSILONS:
        once, often = (_altered(model, some, mine, epsilon, steps) for steps in (1, STEPS))
        left = [_mean(_embed(model, once), mine), _mean(_embed(model, often), mine), _mean(_embed(teacher, often), its)]
        yield f"epsilon {epsilon}: FGSM {left[0]:.3f}, PGD-{STEPS} {left[1]:.3f}, carried {left[2]:.3f}"
    share = _coarse(model, some, _embed(model, crops[1::ATTACKED]))
    yield f"gradient: {share:.2f} of its energy below {COARSE} cycles a pixel"
    for name, pictures in _views(teacher, some, its):
        yield f"likeness, {name}: {_told((_embed(model, pictures) * mine).sum(1).numpy(), 0.05)}"
    yield f"likeness, other photos: {_told(same, 0.05)}"
    yield f"likeness, other people: {_told(other, 0.95)}"


def _coarse(model: Recogniser, crops: Tensor, others: Tensor) -> float:
    """Return how much of the energy of the cosine's gradient by the pixels lies in what is larger than a few pixels."""
    inputs = crops.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((_unit(model, inputs) * others[: len(crops)]).sum(), inputs)
    across = torch.fft.fftfreq(crops.shape[3])
    energy = torch.fft.fft2(gradient).abs().square().sum(1)
    low = energy[:, torch.hypot(across[:, None], across[None]) < COARSE].sum(1)
    return float((low / energy.sum((1, 2))).mean())


def _views(teacher: Recogniser, crops: Tensor, taught: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Return what crops may come to look like without looking like another person."""
    blur = gaussian(crops.shape[3], torch.ones(1))[0]
    noise = torch.rand(crops.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    yield "JPEG 50", compressed(crops, [50] * len(crops))
    yield "blur of 1 px", blur @ crops @ blur.T
    yield "noise of 8", (crops + 8 * noise).clamp(0, 255)
    yield "FGSM 4 of the teacher's", _altered(teacher, crops, taught, 4, 1)
    yield "flow 1.5 %, random", _flowed(None, crops, taught)
    yield "flow 1.5 %, of the teacher's", _flowed(teacher, crops, taught)


def _altered(model: Recogniser, crops: Tensor, own: Tensor, epsilon: float, steps: int) -> Tensor:
    """Return crops that were altered, by `epsilon` grey levels at most, so that the recogniser takes leave of `own`."""
    length = 1.25 * epsilon if steps == 1 else 2.5 * epsilon / steps
    change = epsilon * (2 * torch.rand(crops.shape, generator=torch.Generator().manual_seed(0)) - 1)
    for _ in range(steps):
        inputs = (crops + change).clamp(0, 255).requires_grad_()
        (gradient,) = torch.autograd.grad((_unit(model, inputs) * own).sum(), inputs)
        change = (change - length * gradient.sign()).clamp(-epsilon, epsilon)
    return (crops + change).clamp(0, 255)


def _flowed(model: Recogniser | None, crops: Tensor, own: Tensor) -> Tensor:
    """Return crops whose pixels moved smoothly: at random, or so that `model` takes leave of `own`."""
    blur = gaussian(crops.shape[3], torch.tensor([FLOW_SIGMA_PX]))[0]
    arrows = torch.randn(len(crops), 2, *crops.shape[2:], generator=torch.Generator().manual_seed(0))
    for _ in range(10 if model else 0):
        arrows.requires_grad_()
        moved = displaced(crops, _limited(blur @ arrows @ blur.T))
        (gradient,) = torch.autograd.grad((_unit(model, moved) * own).sum(), arrows)
        spread = gradient.std(dim=(1, 2, 3), keepdim=True)
        arrows = (arrows - gradient / spread).detach()
    return displaced(crops, _limited(blur @ arrows @ blur.T)).detach()


def _limited(flow: Tensor) -> Tensor:
    """Return a flow no arrow of which is longer than `FLOW_PX`, and the longest as long."""
    lengths = torch.linalg.vector_norm(flow, dim=1, keepdim=True)
    return flow * FLOW_PX / lengths.amax(dim=(2, 3), keepdim=True)


def _pairs(embeddings: Tensor, people: list[str]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the cosines of all pairs of one person and of all of two."""
    cosines, names = (embeddings @ embeddings.T).numpy(), np.array(people)
    upper = np.triu(np.ones(cosines.shape, bool), 1)
    same = names[:, None] == names
    return cosines[same & upper], cosines[~same & upper]


def _unit(model: Recogniser, crops: Tensor) -> Tensor:
    return functional.normalize(model.outputs(crops), dim=1)


@torch.no_grad()
def _embed(model: Recogniser, crops: Tensor) -> Tensor:
    return torch.cat([_unit(model, part) for part in crops.split(32)])


def _mean(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum(1).mean())


def _told(values: npt.NDArray[np.float32], share: float) -> str:
    return f"{values.mean():.3f} ({np.quantile(values, share):.3f})"


if __name__ == "__main__":
    main()

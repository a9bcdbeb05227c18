"""The rows of P-FGVM's table and of face encryption, ours beside the papers'."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from founding_attacks import Named, attacked, batch_of, result_of, settings
from founding_faces import Faces, aims
from peers_faces import Square
from torch import Tensor, nn

from uncnn.daemon.evaluate.intervals import rate
from uncnn.plugins.api import Attack, Budget
from uncnn.plugins.attacks.pgd import Pgd

ENDS: Final = ("all steps", "stopped")
PAPER: Final[Mapping[tuple[str, str], tuple[float, float, float]]] = {
    ("A", "P-FGVM"): (3.38, 0.986, 0.996),
    ("A", "I-FGVM"): (5.31, 0.963, 0.994),
    ("A", "I-FGSM"): (5.68, 0.962, 0.989),
    ("B", "P-FGVM"): (2.11, 0.995, 0.960),
    ("B", "I-FGVM"): (2.67, 0.993, 0.932),
    ("B", "I-FGSM"): (5.74, 0.968, 0.944),
}
"""L2, mean SSIM, misclassified, by model and method: Chatzikyriakidis and others, ICIP 2019."""
HEAD: Final = (
    "| model | method | ends | chosen | L2 | mean SSIM | misclassified | in whole grey levels | the paper's |\n"
    + "|---" * 9
    + "|"
)
EPSILONS: Final = (1.0, 2.0, 4.0, 8.0)  # grey levels
PGD_STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting of a method, and what it came to on the faces that settings are chosen on."""

    method: str
    attack: Attack
    length: float  # mean L2
    missed: float  # 0..1


def penalised(
    model: str, network: nn.Module, choosing: Faces, judged: Faces, keep: Path, smoke: bool, spare: int = 0
) -> Iterator[str]:
    """Yield the rows of a model: each method with the setting that reaches the paper's rate at the least L2.

    With something to `spare`, it is the setting so many places after that one.
    """
    file = keep / f"tried-{model}.json"
    right = judged_rightly(network, choosing)  # what is misnamed already would flatter every setting
    if len(right.people):
        choosing = right
    else:
        yield f"{model} names none of the {len(choosing.people)} photos rightly that choose settings: all of them do"
    yield HEAD
    every = list(settings())[: 3 if smoke else None]
    tried: dict[str, list[Tried]] = {end: [] for end in ENDS}
    for method, attack in every:
        name = f"{attack!r} on {len(choosing.people)} faces"
        found = _kept(file, name, lambda own=attack: _tried(network, own, choosing, judged.count))
        for end in ENDS:
            tried[end].append(Tried(method, attack, *found[end]))
    right = judged_rightly(network, judged)
    aim = aims(right.people, judged.count, seed=1)
    for method in dict.fromkeys(name for name, _ in every):
        for end in ENDS:
            best = chosen([each for each in tried[end] if each.method == method], _wanted(model, method), spare)
            ends = _kept(
                keep / f"judged-{model}.json",
                repr(best.attack),
                lambda own=best.attack: _cells(network, own, right, aim),
            )
            paper = PAPER.get((model, method))
            words = "-" if paper is None else f"{paper[0]:.2f}, {paper[1]:.3f}, {paper[2]:.1%}"
            yield f"| {model} | {method} | {end} | {_brief(best.attack)} | {' | '.join(ends[end])} | {words} |"


def _cells(network: nn.Module, attack: Attack, faces: Faces, aim: Tensor) -> dict[str, list[str]]:
    """Return what an attack comes to, as cells of the table, by where it ends."""
    cells = {}
    for end, result in attacked(network, attack, faces.pictures, faces.people, aim).items():
        lengths = f"{result.lengths.mean():.2f}", f"{result.likeness.mean():.4f}"
        cells[end] = [*lengths, _share(result.missed, faces.people), _share(result.missed_rounded, faces.people)]
    return cells


def judged_rightly(network: nn.Module, faces: Faces) -> Faces:
    """Return the faces that a network names rightly: the others need no attack."""
    with torch.no_grad():
        named = torch.cat([network(part.float()).argmax(dim=1) for part in faces.pictures.split(16)])
    return Faces(faces.pictures[named == faces.people], faces.people[named == faces.people])


def chosen(tried: list[Tried], wanted: float, spare: int = 0) -> Tried:
    """Return the setting of the least L2 among those that reach a rate; where none does, that of the highest rate.

    With something to `spare`, the one so many places after it, or the last.
    """
    enough = sorted((each for each in tried if each.missed >= wanted), key=lambda each: each.length)
    if enough:
        return enough[min(spare, len(enough) - 1)]
    return max(tried, key=lambda each: (each.missed, -each.length))


def _wanted(model: str, method: str) -> float:
    return PAPER[model, method.split(",", maxsplit=1)[0]][2]


def _tried(network: nn.Module, attack: Attack, faces: Faces, people: int) -> dict[str, tuple[float, float]]:
    """Return the mean L2 and the share that is misclassified, by where the attack ends."""
    aim = aims(faces.people, people)
    results = attacked(network, attack, faces.pictures, faces.people, aim)
    return {end: (float(own.lengths.mean()), float(own.missed.double().mean())) for end, own in results.items()}


def _kept(file: Path, name: str, make: Any) -> Any:
    """Return what a file keeps under a name; made and written into it where it has nothing."""
    known = json.loads(file.read_text()) if file.exists() else {}
    if name not in known:
        known[name] = make()
        file.write_text(json.dumps(known, indent=1))
    return known[name]


def _brief(attack: Attack) -> str:
    """Return the numbers of an attack."""
    fields = {name: getattr(attack, name) for name in attack.__dataclass_fields__}  # type: ignore[attr-defined]
    return ", ".join(f"{name} {value:g}" for name, value in fields.items() if not isinstance(value, bool))


def encryption(network: nn.Module, judged: Faces, smoke: bool) -> Iterator[str]:
    """Yield how many photos a network still names under PGD, at each bound."""
    yield "| PGD | named rightly | in whole grey levels | mean SSIM |\n|---|---|---|---|"
    for epsilon in EPSILONS[-1:] if smoke else EPSILONS:
        batch = batch_of(Square, judged.pictures, epsilon)
        loss = Named(network, judged.people, torch.full_like(batch.patches, torch.nan))
        change = Pgd().perturb(batch, loss, Budget(2 if smoke else PGD_STEPS, epsilon)).pixels
        result = result_of(network, batch.patches, batch.patches + change, judged.people)
        cells = [_share(~own, judged.people) for own in (result.missed, result.missed_rounded)]
        yield f"| {epsilon:g}/255 | {' | '.join(cells)} | {result.likeness.mean():.3f} |"


def _share(right: Tensor, people: Tensor) -> str:
    return str(rate(right.double().numpy(), people.numpy()))

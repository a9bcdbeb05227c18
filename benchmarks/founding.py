"""What the founding papers claim, in their own settings, with the attacks that are registered here: docs/founding.md.

    python benchmarks/founding.py --keep DIR                  all of it; goes on where it stopped
    python benchmarks/founding.py --keep DIR --part model-a   P-FGVM's table: L2, SSIM, misclassification; model-b, too
    python benchmarks/founding.py --keep DIR --part pgd       face encryption by PGD: accuracy of a ResNet-18
    python benchmarks/founding.py --keep DIR --part lowkey    LowKey: rank 1 and rank 50
    python benchmarks/founding.py --keep DIR --part model-a --spare 1     one setting beyond the least that does
    python benchmarks/founding.py --smoke                     a few people, networks that have hardly learnt

Closed sets: 30 people of LFW with 12 photos each. Eight train a classifier, one chooses an attack's parameters, two are
judged. The networks begin with other people (../shared/data/faces-144). They are the papers' white boxes and
ship nowhere. DIR keeps them, and pictures of faces: keep it as you keep the photos.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common import REFERENCE, is_missing, options_of, set_torch_up, surrogates
from founding_classifiers import Training, headed, learnt, named, residual, small
from founding_faces import Faces, closed_set, others
from founding_lowkey import lowkey
from founding_tables import encryption, penalised
from torch import Tensor, nn

from uncnn.daemon.evaluate.intervals import rate
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

PARTS: Final = ("model-a", "model-b", "pgd", "lowkey")
PEOPLE: Final = 30  # of a closed set
CLOAKED: Final = 20  # by LowKey
TRAINED, CHOSEN, JUDGED = slice(0, 8), slice(8, 9), slice(9, 11)  # of each person's photos
CHOOSING: Final = 12  # people
STAND_IN: Final = "mobilefacenet-foamliu"  # whose embeddings Model B's stand-in has, and what others learn first
OTHERS: Final = 3000  # faces that a network begins with
PLANS: Final = {
    "model-a": (Training(epochs=10), Training(epochs=40, rate=1e-3)),
    "resnet-18": (Training(epochs=5), Training(epochs=25, rate=1e-3)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The closed set, and where what was made of it is kept."""

    known: Faces
    before: Tensor  # (N, 3, 112, 112) uint8: faces of other people
    recogniser: Recogniser
    keep: Path
    plans: Mapping[str, tuple[Training, Training]] = field(default_factory=lambda: PLANS)

    @property
    def trained(self) -> Faces:
        """Return the faces that classifiers learn."""
        return self.known.part(TRAINED)

    @property
    def choosing(self) -> Faces:
        """Return the faces that an attack's parameters are chosen on, of some of the people."""
        faces = self.known.part(CHOSEN)
        return Faces(faces.pictures[:CHOOSING], faces.people[:CHOOSING])

    def model_a(self) -> nn.Module:
        """Return the small network."""
        return self._learnt(small, "model-a")

    def model_b(self) -> nn.Module:
        """Return the head on a published recogniser."""
        return headed(self.recogniser, self.trained)

    def resnet(self) -> nn.Module:
        """Return the ResNet-18."""
        return self._learnt(residual, "resnet-18")

    def _learnt(self, make: Callable[[int], nn.Sequential], name: str) -> nn.Module:
        return learnt(make, self.keep / f"{name}.pt", self.trained, self.before, self.recogniser, self.plans[name])


def main() -> None:
    """Print the tables."""
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for faces, networks and cloaked photos")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--spare", type=int, default=0, help="take settings so many places beyond the least that do")
    options = parser.parse_args()
    lfw, aligned = options.data / "lfw", options.data / "faces-144"
    if is_missing(lfw, aligned, REFERENCE):
        return
    set_torch_up()
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        for part in options.part or PARTS:
            print(f"\n{part}", flush=True)
            for line in lines_of(part, lfw, aligned, keep, options.smoke, options.spare):
                print(line, flush=True)


def lines_of(part: str, lfw: Path, aligned: Path, keep: Path, smoke: bool, spare: int) -> Iterator[str]:
    """Yield what one part says."""
    if part == "lowkey":
        yield from lowkey(lfw, keep, *((2, 4) if smoke else (CLOAKED, 1000)), smoke)
        return
    setting = _setting(lfw, aligned, keep, smoke)
    if part == "pgd":
        network = setting.resnet()
        yield said("ResNet-18", network, setting.known.part(JUDGED))
        yield from encryption(network, setting.known.part(JUDGED), smoke)
        return
    name, network = ("A", setting.model_a()) if part == "model-a" else ("B", setting.model_b())
    yield said(f"Model {name}", network, setting.known.part(JUDGED))
    yield from penalised(name, network, setting.choosing, setting.known.part(JUDGED), keep, smoke, spare)


def _setting(lfw: Path, aligned: Path, keep: Path, smoke: bool) -> Setting:
    known = closed_set(lfw / "identities", 3 if smoke else PEOPLE, keep)
    recogniser = next(each for each in surrogates() if each.card.name == STAND_IN)
    plans = dict.fromkeys(PLANS, (Training(epochs=1), Training(epochs=1))) if smoke else PLANS
    return Setting(known, others(aligned, 64 if smoke else OTHERS), recogniser, keep, plans)


def said(name: str, network: nn.Module, faces: Faces) -> str:
    """Return how many of the faces a network names rightly."""
    right = (named(network, faces.pictures) == faces.people).double().numpy()
    return f"{name}: names {rate(right, faces.people.numpy())} of {len(right)} clean photos"


if __name__ == "__main__":
    main()

"""How far a face must be averaged until recognisers do not know it any more: links and searches by size of cell.

Each recogniser of ../shared/models compares the hidden face with the photo itself, with another photo of the person,
and, as one would who is taught with such pictures, with another photo that is hidden too. `strangers` is how often it
links two different people's pictures of that kind: what is linked beyond that is the person. `found first` is how often
the person comes first among all the people of the gallery; chance is one of them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import CPU, REFERENCE, is_missing, options_of
from PIL import Image

from uncnn.daemon.live import hiding
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FAR = 1e-3
Array = Any


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of a person, and where the face is in it."""

    pixels: Array
    box: Array
    landmarks: Array

    def hidden(self, cells: float) -> Array:
        """Return the photo with the face averaged over so many cells across; a detector's jitter included."""
        picture = self.pixels.copy()
        box = hiding.around([self.box])
        hiding.hide(picture, box, max(float((self.box[2:] - self.box[:2]).max()) / cells, 1.0))
        return picture


def pairs_of(folder: Path, people: int) -> list[tuple[Shown, Shown]]:
    """Return two photos each of so many people, in which one face is found."""
    detector = load_onnx(EMBEDDED / OWN_ONNX, CPU, 2)
    found: list[tuple[Shown, Shown]] = []
    for person in sorted(folder.iterdir()):
        both = []
        for file in sorted(person.glob("*.jpg"))[:2]:
            pixels = np.asarray(Image.open(file).convert("RGB"))
            faces = detector.detect(pixels)
            if faces:
                middle = np.array([pixels.shape[1], pixels.shape[0]]) / 2
                face = min(faces, key=lambda one: float(np.abs(np.mean(one.landmarks, axis=0) - middle).sum()))
                both.append(Shown(pixels, np.array(face.box), np.array(face.landmarks)))
        if len(both) == 2:
            found.append((both[0], both[1]))
        if len(found) == people:
            break
    return found


def embedded(recogniser: OnnxRecogniser, pictures: list[Array], shown: list[Shown]) -> Array:
    """Return the embeddings, (N, D), of the faces where they are known to be."""
    return np.concatenate(
        [recogniser.embed(each, own.landmarks[None]) for each, own in zip(pictures, shown, strict=True)]
    )


def rates(recogniser: OnnxRecogniser, probes: Array, gallery: Array) -> tuple[float, float, float]:
    """Return the shares of the people who are linked, of the pairs of strangers who are, and of those found first."""
    number = len(probes)
    alike = np.stack([compare(recogniser.card, np.repeat(one[None], number, axis=0), gallery) for one in probes])
    links = np.vectorize(lambda value: recogniser.card.matches(float(value), FAR))(alike)
    own = np.eye(number, dtype=bool)
    order = alike if recogniser.card.metric == "cosine" else -alike
    return (
        float(links[own].mean()),
        float(links[~own].mean()),
        float((order.argmax(axis=1) == np.arange(number)).mean()),
    )


def main() -> int:
    """Print a table; return 1 where faces that are hidden as they are now are still linked."""
    parser = options_of(__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--cells", type=float, nargs="*", default=[16, 8, 6, 5, 4, 3, 2])
    options = parser.parse_args()
    folder = options.data / "lfw" / "identities"
    if is_missing(folder, REFERENCE):
        return 0
    people, cells = (8, [float(hiding.CELLS)]) if options.smoke else (options.people, options.cells)
    pairs = pairs_of(folder, people)
    one, other = [first for first, _ in pairs], [second for _, second in pairs]
    names = sorted(each.parent.name for each in REFERENCE.glob("*/card.yaml"))
    recognisers = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in (names[:2] if options.smoke else names)]
    print(f"{len(pairs)} people; linked / strangers linked / found first of {len(pairs)}, in per cent, FAR {FAR:g}")
    clear = {
        each.card.name: [embedded(each, [o.pixels for o in own], own) for own in (one, other)] for each in recognisers
    }
    for recogniser in recognisers:
        own = clear[recogniser.card.name]
        print(f"not hidden  {recogniser.card.name:24}{_words(rates(recogniser, own[0], own[1]))}", flush=True)
    worst = 0.0
    for count in cells:
        print(f"{count:g} cells", flush=True)
        first, second = ([each.hidden(count) for each in own] for own in (one, other))
        for recogniser in recognisers:
            own = clear[recogniser.card.name]
            probes, both = embedded(recogniser, first, one), embedded(recogniser, second, other)
            kinds = [(own[0], "itself"), (own[1], "another"), (both, "hidden")]
            said = [(kind, rates(recogniser, probes, gallery)) for gallery, kind in kinds]
            print(
                f"  {recogniser.card.name:24}" + "   ".join(f"{kind} {_words(each)}" for kind, each in said), flush=True
            )
            if count <= hiding.CELLS:
                worst = max(worst, *(each[0] for kind, each in said if kind != "hidden"))
    print(f"as hidden now ({hiding.CELLS} cells): at most {100 * worst:.1f} % linked to a picture that is not hidden")
    return int(worst > 0.02)


def _words(found: tuple[float, float, float]) -> str:
    return "/".join(f"{100 * each:5.1f}" for each in found)


if __name__ == "__main__":
    sys.exit(main())

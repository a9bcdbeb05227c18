"""What each strength does to faces of every size, up to those that fill a screen: how it shows, and what it protects.

    python benchmarks/portraits.py                        the largest face of each photo of ../shared/data/people
    python benchmarks/portraits.py --folder DIR           your own photos, in folders too
    python benchmarks/portraits.py pgd steps=20           another attack, with parameters
    python benchmarks/portraits.py --smoke                two photos, two steps, what comes with uncnn: it runs

SSIMULACRA2 and Butteraugli are those of the face's square, at 512 px at most, against the original with its pixels
**moved** as the copy's are: neither is made for other proportions. How far they were moved stands beside it, in percent
of the distance between the eyes. Likeness is the mean over the judges, which were not attacked, of the cosine of the
copy (JPEG 90) to its original; links are at FAR 1e-3, of the judge that links most.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import common
import numpy as np
import torch
import yaml
from common import JUDGES, REFERENCE, SHARED, is_missing, set_torch_up
from PIL import Image, ImageOps

from uncnn.daemon.config.policies import Attack as Policy
from uncnn.daemon.verify.visibility import LARGEST_PX, as_shown, butteraugli, face_square, ssimulacra2
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS, make_attack, make_budget

SIZES = ((0, 120), (120, 240), (240, 10_000))  # px, the longer side of the face
HEAD = f"{'':10}  {'face':>12}  faces  SSIMULACRA2 (worst)  Butteraugli  moved  likeness  links  s/face"


@dataclass(frozen=True, slots=True)
class Found:
    """What a strength came to on one face."""

    side: float  # of the face, photo pixels
    ssimulacra2: float
    butteraugli: float | None
    moved: float  # share of the distance between the eyes
    likeness: float
    linked: tuple[bool, ...]  # a judge each
    seconds: float


def main() -> None:
    """Print a row a strength and size of face."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attack", nargs="*", default=[Policy().name], help="its name, and parameters after it")
    parser.add_argument("--folder", type=Path, default=SHARED / "data" / "people")
    parser.add_argument("--strength", action="append", choices=STRENGTHS, help="again for more; default: all")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if is_missing(options.folder, REFERENCE):
        return
    set_torch_up()
    name, *settings = options.attack
    parameters = {key: yaml.safe_load(value) for key, value in (setting.split("=", 1) for setting in settings)}
    if options.smoke:
        parameters["steps"] = 2
    surrogates = common.surrogates(EMBEDDED if options.smoke else REFERENCE)
    judges = [load_recogniser(REFERENCE / judge) for judge in JUDGES]
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    portraits = portraits_of(files[:2] if options.smoke else files)
    print(f"{name}, {len(portraits)} faces, {len(surrogates)} surrogates\n{HEAD}")
    for strength in options.strength or STRENGTHS:
        attack, budget = make_attack(name, parameters), make_budget(strength, parameters)
        found = []
        for photo, face in portraits:
            begun = time.perf_counter()
            (patch,) = host.perturb(photo, [face], attack, surrogates, budget, seed=1)
            found.append(judged(photo, face, patch, judges, time.perf_counter() - begun))
        for least, most in SIZES:
            of_size = [one for one in found if least <= one.side < most]
            if of_size:
                sizes = f"from {least} px" if most == SIZES[-1][1] else f"{least} to {most}"
                print(row(strength, sizes, of_size), flush=True)


def portraits_of(files: Sequence[Path]) -> list[tuple[Pixels, Face]]:
    """Return the photos and the largest face of each; those without one are left out."""
    detector = load_torch(EMBEDDED / OWN_DETECTOR)
    portraits = []
    for file in files:
        with Image.open(file) as image:
            photo = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        if faces := detector.detect(photo):
            portraits.append((photo, max(faces, key=lambda face: face.size_px)))
    return portraits


def judged(photo: Pixels, face: Face, patch: Patch, judges: Sequence[Recogniser], seconds: float) -> Found:
    """Return what became of one face, in so many seconds."""
    moved = rendering.moved(photo, [patch])
    result, (norms,) = rendering.add(moved, [patch])
    released = as_jpeg(result)
    square = face_square(face, photo.shape)
    assert square is not None, "the face is large enough for the metrics"
    clean, cloaked = (as_shown(pixels[square], LARGEST_PX) for pixels in (moved, released))
    differences = butteraugli(clean, cloaked)
    likenesses, linked = [], []
    for judge in judges:
        before, after = (embedding(judge, pixels, face) for pixels in (photo, released))
        likenesses.append(float(torch.nn.functional.cosine_similarity(before, after, dim=0)))
        (found,) = compare(judge.card, before[None].numpy(), after[None].numpy())
        linked.append(judge.card.matches(float(found), 1e-3))
    return Found(
        face.size_px,
        ssimulacra2(clean, cloaked),
        None if differences is None else differences[0],
        norms.flow,
        statistics.mean(likenesses),
        tuple(linked),
        seconds,
    )


def embedding(judge: Recogniser, photo: Pixels, face: Face) -> torch.Tensor:
    """Return a judge's embedding of a face, (D,), as its threshold has it."""
    with torch.no_grad():
        pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float()
        return judge.outputs(judge.crops(pixels, np.array([face.landmarks])))[0]


def as_jpeg(photo: Pixels) -> Pixels:
    """Return the photo as it is after JPEG at quality 90."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer))


def row(strength: str, sizes: str, found: Sequence[Found]) -> str:
    """Return one line of the table."""
    seen = [one.ssimulacra2 for one in found]
    differences = [one.butteraugli for one in found if one.butteraugli is not None]
    looks = f"{statistics.mean(seen):.1f} ({min(seen):.0f})"
    shown = f"{statistics.mean(differences):.2f}" if differences else "-"
    links = max(statistics.mean(column) for column in zip(*(one.linked for one in found), strict=True))
    return (
        f"{strength:10}  {sizes:>12}  {len(found):5}  {looks:>19}  {shown:>11}"
        f"  {statistics.mean(one.moved for one in found):5.1%}  {statistics.mean(one.likeness for one in found):8.2f}"
        f"  {links:5.0%}  {statistics.mean(one.seconds for one in found):6.1f}"
    )


if __name__ == "__main__":
    main()

"""What a cloak does to plain walls, skies and smooth hair around faces, and what leaving them alone costs.

    python benchmarks/backdrops.py                  22 LFW photos, one a person, and portraits of ../shared/data/people
    python benchmarks/backdrops.py --strength subtle
    python benchmarks/backdrops.py --smoke          two photos, two steps, what comes with uncnn: it runs

Each face is cloaked twice: with bounds in the whole oval of the face, as it was, and as it is. *Plain* is found here in
another way than by the host: pixels above the chin around which the photo's luma varies by less than 3 grey levels
(standard deviation, sigma 2 patch pixels), connected with what is beyond the oval and not with the face's middle. The
change there is the root mean square of luma inside the oval's reach, before JPEG, and the share of all plain pixels of
the face's square that changed. The other columns are those of benchmarks/portraits.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from unittest import mock

import common
import cv2
import numpy as np
import numpy.typing as npt
import torch
from common import JUDGES, REFERENCE, SHARED, is_missing, set_torch_up
from portraits import Found, judged, portraits_of

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.engine import batch, host, rendering
from uncnn.plugins.engine.batch import bounded
from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, Patch, cut_faces
from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.perception.pixel_bounds import OVAL_FEATHER, luma_of, oval
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser
from uncnn.plugins.registry import STRENGTHS, make_attack, make_budget
from uncnn.plugins.resampling import gaussian

PLAIN_255, SIGMA_PX, MIDDLE, LOW_112 = 3.0, 2.0, 0.6, 95.0
LEAST_PX = 30  # of plain pixels: fewer say nothing
PORTRAIT_PX = 150  # of a face of ../shared/data/people, at least
HEAD = f"{'':16} {'':8} faces  plain, change  changed  SSIMULACRA2  Butteraugli  likeness  links  s/face"

Mask = npt.NDArray[np.bool_]
Row = tuple[Found, float, float]  # what became of the face, and the change and the share of what is plain, or NaN


def main() -> None:
    """Print two rows for the LFW photos and two for the portraits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strength", default="balanced", choices=STRENGTHS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    data = SHARED / "data"
    if is_missing(REFERENCE, data / "people"):
        return
    set_torch_up()
    surrogates = common.surrogates(EMBEDDED if options.smoke else REFERENCE)
    judges = [load_recogniser(REFERENCE / judge) for judge in JUDGES]
    budget = make_budget(options.strength, {"steps": 2} if options.smoke else {})
    people = sorted((data / "lfw" / "identities").iterdir())[20::8][:22]  # none of those of the bar
    files = {
        "LFW": [sorted(person.iterdir())[0] for person in people],
        "portraits": sorted(path for path in (data / "people").rglob("*") if path.is_file()),
    }
    print(f"{options.strength}, {len(surrogates)} surrogates\n{HEAD}")
    for kind, paths in files.items():
        faces = portraits_of(paths[:1] if options.smoke else paths)
        chosen = [(photo, face) for photo, face in faces if kind == "LFW" or face.size_px >= PORTRAIT_PX]
        for name, known in (("whole oval", _nothing), ("as it is", batch.backdrop)):
            rows = []
            for photo, face in chosen:
                begun = time.perf_counter()
                with mock.patch.object(batch, "backdrop", known):
                    (patch,) = host.perturb(photo, [face], make_attack("veil", {}), surrogates, budget, seed=1)
                found = judged(photo, face, patch, judges, time.perf_counter() - begun)
                rows.append((found, *changed(photo, face, patch)))
            print(row(kind, name, rows), flush=True)


def _nothing(patches: torch.Tensor, *_: object) -> torch.Tensor:
    """Return that nothing is backdrop, (N, 1, P, P)."""
    return torch.zeros_like(patches[:, :1])


def changed(photo: Pixels, face: Face, patch: Patch) -> tuple[float, float]:
    """Return the root mean square of luma where it is plain within the oval's reach, and the share that changed."""
    result, _ = rendering.compose(photo, [patch])
    rows, columns = patch.region.clipped(*photo.shape[:2])
    inside = patch.region.local(rows, columns)
    difference = (result[rows, columns].astype(float) - photo[rows, columns]) @ (0.299, 0.587, 0.114)
    plain, reach = (_enlarged(mask, patch.region.side)[inside] for mask in _plain(photo, face, patch))
    if (plain & reach).sum() < LEAST_PX:
        return np.nan, np.nan
    return float(np.sqrt((difference[plain & reach] ** 2).mean())), float((np.abs(difference[plain]) > 0.5).mean())


def _plain(photo: Pixels, face: Face, patch: Patch) -> tuple[Mask, Mask]:
    """Return what of a patch is plain background, and what the oval reaches, (P, P) each."""
    (own,) = cut_faces([FaceInPhoto(photo, face, 1)])
    cut_out = bounded(own, make_budget("balanced", {}), "cpu")
    luma = luma_of(cut_out.patches)
    blur = gaussian(PATCH_PX, luma.new_tensor([SIGMA_PX]))[0]
    variance = (blur @ (luma - blur @ luma @ blur.T) ** 2 @ blur.T)[0, 0].numpy()
    _, down, distance = oval(similarities(cut_out.points, ARCFACE_112)[0], PATCH_PX)
    _, labels = cv2.connectedComponents(((variance < PLAIN_255**2) & (down < LOW_112)).astype(np.uint8), connectivity=4)
    beyond = set(labels[distance > OVAL_FEATHER].tolist())
    kept = beyond - set(labels[distance < MIDDLE].tolist()) - {0}
    return np.isin(labels, list(kept)), distance < OVAL_FEATHER


def _enlarged(mask: Mask, side: int) -> Mask:
    return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0


def row(kind: str, name: str, rows: Sequence[Row]) -> str:
    """Return one line of the table."""
    found = [one for one, _, _ in rows]
    differences = [one.butteraugli for one in found if one.butteraugli is not None]
    shown = f"{statistics.mean(differences):.2f}" if differences else "-"
    links = max(statistics.mean(column) for column in zip(*(one.linked for one in found), strict=True))
    change, share = (np.nanmean([each[place] for each in rows]) for place in (1, 2))
    return (
        f"{kind:16} {name:10} {len(found):3}  {change:13.2f}  {share:7.1%}"
        f"  {statistics.mean(one.ssimulacra2 for one in found):11.1f}  {shown:>11}"
        f"  {statistics.mean(one.likeness for one in found):8.3f}  {links:5.0%}"
        f"  {statistics.mean(one.seconds for one in found):6.1f}"
    )


if __name__ == "__main__":
    main()

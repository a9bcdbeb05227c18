"""Pairs of faces for people to judge: which is the copy, and is it the same person, of the same age.

    python benchmarks/blind.py -o FOLDER                 20 faces by seed: five a size, of `people`, `groups` and LFW
    python benchmarks/blind.py -o FOLDER --copy jpeg-50  the control: nothing is cloaked, the copy is a plain JPEG
    python benchmarks/blind.py -o FOLDER --smoke         one face, two steps: only shows that it runs

Each picture shows a face and its copy at `balanced`, side by side in an order that `key.json` alone tells: at the
size at which a desktop shows them, and twice as large. `--copy` names another strength, or `jpeg-50`: what is said of
that is the judge. Whoever judges writes for each: the copy (left or right), same person, same age, what gives it
away, whether they would post it. docs/looks.md has what came out. The pictures show people's faces: nothing of it is
for the repository.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from common import detector, is_missing, options_of
from margin_cloaks import load_attacked, spread
from PIL import Image

from uncnn.daemon.photos import decode, encode, reencode
from uncnn.daemon.photos.fingerprint import seed
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.engine.host import perturb
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.perception.displays import DESKTOP
from uncnn.plugins.registry import STRENGTHS, make_attack, make_budget

SIZES = ((24.0, 60.0), (60.0, 120.0), (120.0, 240.0), (240.0, 1e6))  # of the longer side of a face, pixels
EACH = 5
AROUND = 0.75  # of a face's size, from its middle
LARGEST_PX = 620  # of one face in a picture


def main() -> None:
    """Write the pictures and the key, in which the place of the copy differs from `--copy` to `--copy`."""
    parser = options_of(__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--copy", choices=[*STRENGTHS, "jpeg-50"], default="balanced")
    options = parser.parse_args()
    if is_missing(options.data):
        return
    options.output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    sides = np.random.default_rng([options.seed, *options.copy.encode()])
    attacked, key = load_attacked(), {}
    chosen = chosen_faces(options.data, random, 1 if options.smoke else EACH)[: 1 if options.smoke else None]
    for number, (file, face) in enumerate(chosen, 1):
        photo = decode(file.read_bytes(), "photo")
        if options.copy == "jpeg-50":
            copy = reencode(photo.pixels, options.copy)
        else:
            budget = make_budget(options.copy, {"steps": 2} if options.smoke else {})
            patches = perturb(photo.pixels, [face], make_attack("veil", {}), attacked, budget, seed(photo), photo.grey)
            changed, _ = compose(photo.pixels, patches)
            copy = decode(encode(photo, changed).data, "copy", written_here=True).pixels
        left = bool(sides.integers(2))
        pair = (copy, photo.pixels) if left else (photo.pixels, copy)
        pair_picture(pair, face).save(options.output / f"{number:02}.png")
        key[f"{number:02}"] = {"copy": "left" if left else "right", "face_px": round(face.size_px)}
        print(f"{number:02}: a face of {face.size_px:.0f} px", flush=True)
    (options.output / "key.json").write_text(json.dumps(key, indent=1))


def chosen_faces(data: Path, random: np.random.Generator, each: int) -> list[tuple[Path, Face]]:
    """Return `each` faces a size, by chance, of different photos."""
    find = detector()
    lfw = [sorted(folder.iterdir())[0] for folder in sorted((data / "lfw" / "identities").iterdir())[1::2]]
    files = [*sorted((data / "people").rglob("*.jpg")), *spread(sorted((data / "groups").iterdir()), 16), *lfw[::6]]
    wanted = dict.fromkeys(SIZES, each)
    found = []
    for number in random.permutation(len(files)):
        faces = find.detect(decode(files[number].read_bytes(), "photo").pixels)
        for face in faces[:1]:
            size = next((size for size in SIZES if size[0] <= face.size_px < size[1]), None)
            if size is not None and wanted[size] and face.score > 0.9:
                wanted[size] -= 1
                found.append((files[number], face))
        if not any(wanted.values()):
            break
    return found


def pair_picture(pair: tuple[Pixels, Pixels], face: Face) -> Image.Image:
    """Return both faces beside each other, as large as a desktop shows them and, below, twice as large."""
    scale = DESKTOP.scale(*pair[0].shape[:2])
    rows = [[_cut(pixels, face, scale * zoom) for pixels in pair] for zoom in (1, 2)]
    wide = max(row[0].width for row in rows)
    result = Image.new("RGB", (2 * wide + 20, sum(row[0].height for row in rows) + 20), "white")
    top = 0
    for row in rows:
        for place, picture in enumerate(row):
            result.paste(picture, (place * (wide + 20), top))
        top += row[0].height + 20
    return result


def _cut(pixels: Pixels, face: Face, scale: float) -> Image.Image:
    middle = np.array(face.box).reshape(2, 2).mean(axis=0)
    around = AROUND * face.size_px
    box = [round(float(edge)) for edge in (*(middle - around), *(middle + around))]
    picture = Image.fromarray(pixels).crop(tuple(box))  # type: ignore[arg-type]
    side = min(round(picture.width * scale), LARGEST_PX)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()

"""Faces that overlap: what it is worth that they share their bounds, and that each is seen with the other's change.

    python benchmarks/overlap.py                 pairs out of ../shared/data, cheek to cheek or nearer, and groups
    python benchmarks/overlap.py --smoke         one pair of each, two steps: only shows that it runs

Two faces of different people, 40 px between the eyes, are put beside each other in one picture; and faces of
../shared/data/groups of 40 px and more that overlap. `veil` at `balanced`, what comes with uncnn attacked, JPEG 90;
the judges were not attacked. *apart*: each face by itself with all of its bounds, the sum cut off at the wider of both
(as it was before). *shared*: bounds are shared. *joint*: and the faces are seen together (as it is).
Likeness is the cosine of `openvino-0095` to the original; links are at FAR 1e-3, of either judge.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unittest import mock

import common
import numpy as np
from common import REFERENCE, is_missing, set_torch_up
from PIL import Image, ImageOps

from uncnn.daemon.verify.visibility import face_square, ssimulacra2
from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Attack, Budget, Detector, Face, Pixels
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine.overlap import share
from uncnn.plugins.engine.patches import FaceInPhoto
from uncnn.plugins.engine.rendering import enlarged
from uncnn.plugins.geometry import beside
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_attack, make_budget

EYES_PX, SIZE = 40, (340, 260)
APART = {"cheek to cheek": 1.0, "a quarter before": 0.75}  # in widths of a face, from middle to middle
MOST_GROUPS = 8


@dataclass(frozen=True, slots=True)
class Scene:
    """A photo and those of its faces that overlap."""

    kind: str
    photo: Pixels
    faces: list[Face]


Way = Callable[[Scene, Attack, Sequence[Recogniser], Budget], Pixels]


def main() -> None:
    """Print a row for each kind of scene and way."""
    options = common.options_of(__doc__).parse_args()
    if is_missing(options.data, REFERENCE):
        return
    set_torch_up()
    detector = load_torch(EMBEDDED / OWN_DETECTOR)
    surrogates, judges = common.surrogates(), common.judges()
    scenes = [*_pairs(detector, options.data, 4 if options.smoke else 24)]
    scenes += [] if options.smoke else _groups(detector, options.data / "groups")
    settings = {"steps": 2} if options.smoke else {}
    attack, budget = make_attack("veil", settings), make_budget("balanced", settings)
    print(f"{'':18}{'':8}  faces  likeness  links  SSIMULACRA2")
    for kind in dict.fromkeys(scene.kind for scene in scenes):
        for name, way in WAYS.items():
            of_kind = [scene for scene in scenes if scene.kind == kind]
            found = [one for scene in of_kind for one in _judged(scene, way(scene, attack, surrogates, budget), judges)]
            likeness, links, looks = (statistics.mean(column) for column in zip(*found, strict=True))
            print(f"{kind:18}{name:8}  {len(found):5}  {likeness:8.3f}  {links:5.0%}  {looks:11.1f}", flush=True)


def _apart(scene: Scene, attack: Attack, surrogates: Sequence[Recogniser], budget: Budget) -> Pixels:
    faces_in_photos = [FaceInPhoto(scene.photo, face, 1) for face in scene.faces]
    patches = host.perturb_all(faces_in_photos, attack, surrogates, budget)
    base = rendering.moved(scene.photo, patches).astype(np.float32)
    total, widest = np.zeros_like(base), np.zeros_like(base)
    for patch in patches:
        place = patch.region.clipped(*base.shape[:2])
        inside = patch.region.local(*place)
        bound = enlarged(patch.limits, patch.region)[0][inside][..., None]
        widest[place] = np.maximum(bound, np.abs(total[place]))
        wanted = enlarged(patch.change, patch.region)[:, *inside].transpose(1, 2, 0)
        total[place] = np.clip(total[place] + wanted, -widest[place], widest[place])
    return np.clip(np.rint(base + total), 0, 255).astype(np.uint8)


def _shared(scene: Scene, attack: Attack, surrogates: Sequence[Recogniser], budget: Budget) -> Pixels:
    with mock.patch.object(host, "joint", lambda loss, *_: loss):
        return _joint(scene, attack, surrogates, budget)


def _joint(scene: Scene, attack: Attack, surrogates: Sequence[Recogniser], budget: Budget) -> Pixels:
    return rendering.compose(scene.photo, host.perturb(scene.photo, scene.faces, attack, surrogates, budget, 1))[0]


WAYS: dict[str, Way] = {"apart": _apart, "shared": _shared, "joint": _joint}


def _judged(scene: Scene, result: Pixels, judges: Sequence[OnnxRecogniser]) -> list[tuple[float, bool, float]]:
    """Return for each face its likeness to the first judge, whether any links it, and how it shows."""
    buffer = io.BytesIO()
    Image.fromarray(result).save(buffer, "JPEG", quality=90)
    released = np.asarray(Image.open(buffer))
    points = np.array([face.landmarks for face in scene.faces])
    judged = [
        (judge, compare(judge.card, *(judge.embed(each, points) for each in (scene.photo, released))))
        for judge in judges
    ]
    found = []
    for number, face in enumerate(scene.faces):
        square = face_square(face, scene.photo.shape)
        assert square is not None, "the face is large enough for the metric"
        linked = any(judge.card.matches(float(values[number]), 1e-3) for judge, values in judged)
        found.append((float(judged[0][1][number]), linked, ssimulacra2(scene.photo[square], released[square])))
    return found


def _pairs(detector: Detector, data: Path, people: int) -> Iterator[Scene]:
    """Give pictures of two people each, at both distances."""
    folders = [*sorted((data / "people").iterdir()), *sorted((data / "lfw" / "identities").iterdir())[:200:4]]
    every = (_head(detector, sorted(folder.glob("*.jpg"))[0]) for folder in folders)
    heads = list(islice((head for head in every if head is not None), people))
    for kind, apart in APART.items():
        for one, other in zip(heads[::2], heads[1::2], strict=False):
            photo = _put_together(one, other, apart)
            faces = sorted(detector.detect(photo), key=lambda face: -face.size_px)[:2]
            if len(faces) == 2 and beside(faces)[0] and faces[1].size_px > EYES_PX:
                yield Scene(kind, photo, faces)


def _head(detector: Detector, file: Path) -> tuple[Image.Image, Face] | None:
    """Return the photo at the scale at which its face has `EYES_PX` between the eyes, and the face."""
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    image.thumbnail((900, 900))
    faces = detector.detect(np.asarray(image))
    if not faces:
        return None
    face = max(faces, key=lambda face: face.size_px)
    scale = EYES_PX / float(np.linalg.norm(np.subtract(*face.landmarks[:2])))
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    box, *points = (tuple(value * scale for value in values) for values in (face.box, *face.landmarks))
    return image, Face(box, tuple(points), face.score)  # type: ignore[arg-type]


def _put_together(one: tuple[Image.Image, Face], other: tuple[Image.Image, Face], apart: float) -> Pixels:
    """Return a picture in which the second head, cut off at its cheek, lies over the first."""
    picture = Image.new("RGB", SIZE, (110, 110, 110))
    distance = apart * statistics.mean(face.box[2] - face.box[0] for _, face in (one, other))
    for (image, face), side in ((one, -1), (other, 1)):
        x, y = np.mean(face.landmarks, axis=0)
        cut = max(round(face.box[0]), 0) if side == 1 else 0
        left = round(SIZE[0] / 2 + side * distance / 2 - x) + cut
        picture.paste(image.crop((cut, 0, image.width, image.height)), (left, round(SIZE[1] / 2 + 5 * side - y)))
    return np.asarray(picture)


def _groups(detector: Detector, folder: Path) -> Iterator[Scene]:
    """Give group photos with the faces that overlap for more than a hundredth of a patch."""
    given = 0
    for file in sorted(folder.rglob("*.jpg")):
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        image.thumbnail((900, 900))
        photo = np.asarray(image)
        faces = [face for face in detector.detect(photo) if face.size_px > EYES_PX]
        near = [face for face, others in zip(faces, beside(faces), strict=True) if _overlaps(face, others)]
        if near and given < MOST_GROUPS:
            given += 1
            yield Scene("groups", photo, near[:6])


def _overlaps(face: Face, others: Sequence[Face]) -> bool:
    side = host.PATCH_PX
    part = share(face, others, host.region_of(np.array(face.landmarks), side), side, "cpu")
    return part is not None and float(((part > 0) & (part < 0.9)).float().mean()) > 0.01


if __name__ == "__main__":
    main()

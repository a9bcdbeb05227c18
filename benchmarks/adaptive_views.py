"""What a collector can do to a published copy without learning anything: encode, resize, blur, denoise, align anew.

A view takes a photo, (H, W, 3) uint8 RGB, and the landmarks of its face, (5, 2) photo pixels, and gives both back. A
ladder is one or several views of a copy: of several, the collector averages the embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np
from adaptive_pairs import decoded, encoded
from common import CPU, THREADS, detector
from peers_faces import seed_of
from PIL import Image, ImageFilter, ImageOps

from uncnn.exporters.registry.detectors import second_onnx
from uncnn.plugins.api import Detector, Pixels
from uncnn.plugins.detectors import centerface
from uncnn.plugins.geometry import Floats

JITTER: Final = 0.04  # standard deviation of a landmark, shares of the distance between the eyes
SEVERAL: Final = 4  # alignments that are averaged
BOX: Final = Image.Resampling.BOX
SMALLER: Final = {"half": 0.5, "quarter": 0.25}

VARIED: Final = (
    *("as published", "JPEG 40", "half size and back", "blur, sigma 1", "median 3 x 3"),
    *("non-local means 5", "noise of 10", "gamma 0.6"),
)
"""What a collector may average of everything."""
STRONGEST: Final = ("WebP 30", "quarter size", "blur, sigma 2", "non-local means 10", "denoised and enlarged")
"""What took most of the cloak off, chosen by what it did to the copies that are judged here."""

View = Callable[[Pixels, Floats], tuple[Pixels, Floats]]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is asked about a copy: the names of the views whose embeddings are averaged."""

    name: str
    views: tuple[str, ...]


def as_file(photo: Pixels, points: Floats, form: str, quality: int) -> tuple[Pixels, Floats]:
    """Encode the copy once more."""
    return decoded(encoded(photo, quality, form)), points


def resized(
    photo: Pixels, points: Floats, scale: float, kernel: int = Image.Resampling.BICUBIC
) -> tuple[Pixels, Floats]:
    """Resize the copy, which stays so: what a screenshot at another scale is, whose PNG loses nothing."""
    height, width = photo.shape[:2]
    size = (round(width * scale), round(height * scale))
    factors = np.array([size[0] / width, size[1] / height])
    return np.asarray(Image.fromarray(photo).resize(size, kernel)), (points + 0.5) * factors - 0.5


def there_and_back(photo: Pixels, points: Floats, scale: float) -> tuple[Pixels, Floats]:
    """Resize the copy, and resize it to what it was."""
    image = Image.fromarray(photo)
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(small.resize(image.size, Image.Resampling.LANCZOS)), points


def filtered(photo: Pixels, points: Floats, kernel: ImageFilter.Filter) -> tuple[Pixels, Floats]:
    """Blur the copy, or take medians."""
    return np.asarray(Image.fromarray(photo).filter(kernel)), points


def bilateral(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Smooth within 25 grey levels and 3 pixels (Tomasi and Manduchi, ICCV 1998)."""
    return cv2.bilateralFilter(photo, 9, 25, 3), points


def non_local(photo: Pixels, points: Floats, strength: float) -> tuple[Pixels, Floats]:
    """Average like patches (Buades, Coll and Morel, CVPR 2005), at a filter strength in grey levels."""
    return cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(photo), None, strength, strength, 5, 15), points


def denoised_and_enlarged(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Denoise, take half the pixels, denoise, and enlarge to twice the first size."""
    small, moved = resized(*non_local(photo, points, 6), 0.5, Image.Resampling.BOX)
    return resized(*non_local(small, moved, 4), 4.0, Image.Resampling.LANCZOS)


def noisy(photo: Pixels, points: Floats, deviation: float) -> tuple[Pixels, Floats]:
    """Add Gaussian noise of that many grey levels; the same to the same photo."""
    noise = np.random.default_rng(seed_of(photo)).normal(0, deviation, photo.shape)
    return np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8), points


def toned(
    photo: Pixels, points: Floats, gain: float = 1.0, contrast: float = 1.0, gamma: float = 1.0
) -> tuple[Pixels, Floats]:
    """Brighten, stretch about the mean, or bend the tones."""
    bent = 255 * (photo / 255.0) ** gamma * gain
    mean = bent.mean()
    return np.clip(np.rint((bent - mean) * contrast + mean), 0, 255).astype(np.uint8), points


def grey(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Take the colours away."""
    return np.asarray(Image.fromarray(photo).convert("L").convert("RGB")), points


def mirrored(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Mirror the copy: left and right change places in the landmarks, too."""
    flipped = points[[1, 0, 2, 4, 3]] * [-1, 1] + [photo.shape[1] - 1, 0]
    return np.asarray(ImageOps.mirror(Image.fromarray(photo))), flipped


def jittered(photo: Pixels, points: Floats, number: int) -> tuple[Pixels, Floats]:
    """Align by landmarks that are a little elsewhere."""
    eyes = float(np.linalg.norm(points[0] - points[1]))
    random = np.random.default_rng((number, seed_of(photo)))
    return photo, points + random.normal(0, JITTER * eyes, points.shape)


def found_anew(photo: Pixels, points: Floats, finder: Detector) -> tuple[Pixels, Floats]:
    """Align by what a detector finds in the copy; by the original's landmarks where it finds no face there."""
    faces = [np.array(face.landmarks) for face in finder.detect(photo)]
    near = min(faces, key=lambda found: float(np.abs(found - points).mean()), default=points)
    eyes = float(np.linalg.norm(points[0] - points[1]))
    return photo, near if np.abs(near - points).mean() < eyes else points


def unchanged(photo: Pixels, points: Floats) -> tuple[Pixels, Floats]:
    """Take the copy as it is."""
    return photo, points


def views() -> dict[str, View]:
    """Return all of them by name."""
    path, sha256 = second_onnx()
    finders = {"RetinaFace": detector(), "CenterFace": centerface.load_onnx(path, CPU, THREADS, sha256=sha256)}
    return {
        "as published": unchanged,
        **{f"JPEG {quality}": partial(as_file, form="JPEG", quality=quality) for quality in (80, 60, 40, 20)},
        **{f"WebP {quality}": partial(as_file, form="WEBP", quality=quality) for quality in (90, 60, 30)},
        **{f"screenshot at {scale:g}": partial(resized, scale=scale) for scale in (1.25, 0.8)},
        **{f"{name} size": partial(resized, scale=scale, kernel=BOX) for name, scale in SMALLER.items()},
        **{f"{name} size and back": partial(there_and_back, scale=scale) for name, scale in SMALLER.items()},
        **{f"blur, sigma {sigma}": partial(filtered, kernel=ImageFilter.GaussianBlur(sigma)) for sigma in (1, 2)},
        **{f"median {size} x {size}": partial(filtered, kernel=ImageFilter.MedianFilter(size)) for size in (3, 5)},
        "bilateral": bilateral,
        **{f"non-local means {strength}": partial(non_local, strength=strength) for strength in (5, 10)},
        "denoised and enlarged": denoised_and_enlarged,
        **{f"noise of {deviation}": partial(noisy, deviation=deviation) for deviation in (5, 10)},
        "brighter by 1.3": partial(toned, gain=1.3),
        "darker by 0.7": partial(toned, gain=0.7),
        "contrast 1.4": partial(toned, contrast=1.4),
        "contrast 0.6": partial(toned, contrast=0.6),
        "gamma 0.6": partial(toned, gamma=0.6),
        "gamma 1.6": partial(toned, gamma=1.6),
        "grey": grey,
        **{f"found anew by {name}": partial(found_anew, finder=finder) for name, finder in finders.items()},
        **{f"landmarks off, {number}": partial(jittered, number=number) for number in range(SEVERAL)},
        "mirrored": mirrored,
    }


def ladders(names: Iterable[str]) -> list[Ladder]:
    """Return what is asked about, where those are the names of all views: each by itself, then several together."""
    jitters = tuple(f"landmarks off, {number}" for number in range(SEVERAL))
    one = [Ladder(name, (name,)) for name in names if name not in {*jitters, "mirrored"}]
    return [
        *one,
        Ladder("landmarks 4 % off", jitters[:1]),
        Ladder("mean with the mirrored", ("as published", "mirrored")),
        Ladder(f"mean of {SEVERAL} alignments", jitters),
        Ladder(f"mean of {len(VARIED)} of these", VARIED),
        Ladder(f"mean of the {len(STRONGEST)} strongest", STRONGEST),
    ]

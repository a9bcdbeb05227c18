"""A judge from outside: Intel's face-reidentification-retail-0095 in OpenVINO's own runtime.

    pip install openvino dlib-bin face_recognition_models numpy pillow
    uncnn-daemon evaluate people/ --distractors strangers/ \
      --judge-command "python openvino_judge.py face-reidentification-retail-0095.xml"

The detector and the points are dlib's, as in dlib_judge.py beside this file, by its 68 points: Intel's own
(face-detection-retail-0004, landmarks-regression-retail-0009) are in no package. The reference points, and how
they are fitted by a similarity, are those of Intel's face recognition demo. Cosines are compared, as there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import dlib
import numpy as np
import numpy.typing as npt
import openvino
from dlib_judge import Photo, main_box, photos, weights
from PIL import Image

Points = npt.NDArray[np.float64]

SIDE: Final = 128  # pixels of the input
REFERENCE: Final = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
) * [SIDE / 96, SIDE / 112]  # the eyes, the nose and the corners of the mouth, x and y


def main(network: str, output: str, *folders: str) -> None:
    """Write {path: {"openvino": [256 numbers]}}, a row a photo."""
    core = openvino.Core()
    ask = core.compile_model(core.read_model(network), "CPU")
    detectors = [
        dlib.get_frontal_face_detector(),
        dlib.cnn_face_detection_model_v1(weights("mmod_human_face_detector")),
    ]
    points = dlib.shape_predictor(weights("shape_predictor_68_face_landmarks"))
    rows: dict[str, dict[str, Any]] = {}
    for file, photo in photos(folders):
        box = main_box(photo, detectors)
        if box is None:
            rows[str(file)] = {}
            continue
        crop = aligned(photo, five(points(photo, box)))
        found = ask(crop[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32))  # BGR, NCHW, 0 to 255
        rows[str(file)] = {"openvino": found[0].ravel().tolist()}
    Path(output).write_text(json.dumps(rows))


def five(shape: Any) -> Points:
    """Return the eyes, the nose and the corners of the mouth, (5, 2), of dlib's 68 points."""
    all_points = np.array([[shape.part(number).x, shape.part(number).y] for number in range(68)], dtype=np.float64)
    eyes = [all_points[36:42].mean(axis=0), all_points[42:48].mean(axis=0)]
    return np.array([*eyes, all_points[30], all_points[48], all_points[54]])


def aligned(photo: Photo, points: Points) -> Photo:
    """Return the face, (128, 128, 3), turned and scaled so that its points lie nearest to the reference."""
    x, y = REFERENCE.T
    one, zero = np.ones(5), np.zeros(5)
    system = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, right, down = np.linalg.lstsq(system, points.T.ravel(), rcond=None)[0]  # from the input to the photo
    back = (a, -b, right, b, a, down)
    crop = Image.fromarray(photo).transform((SIDE, SIDE), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.asarray(crop)


if __name__ == "__main__":
    main(*sys.argv[1:])

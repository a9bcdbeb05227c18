"""A verdict on a photo of one face, as two judges and an attacked recogniser give it."""

from __future__ import annotations

from uncnn.daemon.verify.jod import Jod
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.plugins.api import Face

FACE = Face((10, 10, 90, 110), ((30, 40), (70, 40), (50, 60), (35, 80), (65, 80)), 0.9)
JUDGEMENTS = (
    Judgement("dlib-resnet", "judge", "euclidean", "as-is", 0.0, 0.8, 0.539, False, 0.02, "resnet-29"),
    Judgement("dlib-resnet", "judge", "euclidean", "half-size", 0.1, 0.636, 0.539, False, 0.02, "resnet-29"),
    Judgement("openvino-0095", "judge", "cosine", "half-size", 0.98, -0.4, 0.342, False, 0.04, "mobilenetv2"),
    Judgement(
        "mobilefacenet-casia-tf2", "surrogate", "cosine", "blur-1", 0.98, -0.6, 0.414, False, 0.02, "mobilefacenet"
    ),
)
VERDICT_OF_ONE = Verdict(
    "0" * 64,
    1e-3,
    ("as-is", "jpeg-75", "half-size", "blur-1"),
    (FaceVerdict(FACE, True, True, JUDGEMENTS, moved=0.015, zoom=9.2),),
    jod=Jod(9.98, 9.53, 9.2),
)

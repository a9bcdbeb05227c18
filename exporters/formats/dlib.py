"""dlib's face recogniser, from the file that the package face_recognition_models ships: the one that is always there.

Davis E. King, `dlib_face_recognition_resnet_model_v1.dat` (public domain, https://github.com/davisking/dlib-models).
torch and onnx are imported by an export alone: to find what is cached takes neither.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from uncnn.exporters.formats.dlib_file import LENGTH, PACKAGE, SIDE, DlibError, Weights, read_dlib
from uncnn.exporters.installation import sound_card
from uncnn.plugins.cards import TEMPLATES, Card, Input, Licence, Source, sha256_of

NAME = "dlib-resnet"
SOURCE_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


def find_dlib() -> Path:
    """Return the path of dlib's recogniser in face_recognition_models.

    The package is not imported: its `__init__` needs pkg_resources, which setuptools no longer has.

    Raises:
        DlibError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DlibError(f"{PACKAGE} is not installed, and dlib's recogniser comes with it: install it with pip or uv")
    return Path(spec.origin).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"


def ensure_dlib(destination: Path) -> Path:
    """Return `<destination>/dlib-resnet`, exported first where it is missing, half there or damaged.

    Raises:
        DlibError: the package is not installed, or its file is not the known one.
        BuildError: it did not survive the conversion.
        OSError: `destination` cannot be written or is full.
    """
    folder = destination / NAME
    return folder if sound_card(folder, SOURCE_SHA256) else export_dlib(destination)


def export_dlib(destination: Path, source: Path | None = None) -> Path:
    """Write `<destination>/dlib-resnet` with its model and card, and return that folder.

    It is built beside its place and renamed, so that no half of it is ever seen; of several processes that export at
    once, one puts its folder there.

    Args:
        destination: the folder of models; it is made where it is missing.
        source: dlib's file; by default the one in face_recognition_models.

    Raises:
        DlibError: the file is missing or is not the known one.
        BuildError: it did not survive the conversion.
        OSError: `destination` cannot be written or is full.
    """
    source = source or find_dlib()
    _check_source(source)
    from uncnn.exporters.build import build
    from uncnn.exporters.formats.dlib_network import DlibResnet, onnx_model

    weights = read_dlib(source)
    return build(onnx_model(weights), _card(weights), destination, network=DlibResnet(weights))


def _check_source(path: Path) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise DlibError(f"{path}: cannot be read ({error.strerror}); install {PACKAGE} again") from error
    if found != SOURCE_SHA256:
        raise DlibError(
            f"{path}: its sha256 is {found}, but dlib's recogniser has {SOURCE_SHA256}: the file is damaged or another "
            f"one; install {PACKAGE} again"
        )


def _card(weights: Weights) -> Card:
    red, green, blue = (round(value, 3) for value in weights.mean)
    return Card(
        name=NAME,
        family="ResNet-29 (dlib, affine layers folded)",
        role="judge",
        input=Input(height=SIDE, width=SIDE, order="RGB", mean=(red, green, blue), std=(256.0, 256.0, 256.0)),
        template=TEMPLATES["dlib-150"],
        embedding=LENGTH,
        metric="euclidean",
        thresholds={1e-2: 0.615, 1e-3: 0.539},
        calibrated_on="LFW deepfunneled, 3,000 images, 4.5 million cross-identity pairs",
        accuracy={"lfw_6000_pairs": 0.99},
        source=Source(
            url="https://github.com/davisking/dlib-models",
            repository="davisking/dlib-models",
            commit="fd81b6308a6a73d4ce08859eb2f4b628a21e27a2",
            file="dlib_face_recognition_resnet_model_v1.dat",
            sha256=SOURCE_SHA256,
        ),
        sha256="0" * 64,  # until it is built
        training_data="about 3 million faces of 7,485 people: FaceScrub, VGG and photos scraped from the web",
        licence=Licence(name="CC0-1.0 (davisking/dlib-models: public domain)", use="permissive"),
        reference="http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html",
    )

"""dlib's face recogniser, from the file that the package face_recognition_models ships: the one that is always there.

Davis E. King, `dlib_face_recognition_resnet_model_v1.dat` (public domain, https://github.com/davisking/dlib-models).
torch and onnx are imported by an export alone: to find what is cached takes neither.
"""

from __future__ import annotations

import errno
import importlib.util
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from uncnn.exporters.dlib_file import LENGTH, PACKAGE, SIDE, DlibError, Weights, read_dlib
from uncnn.plugins.cards import (
    MODEL_FILE,
    TEMPLATES,
    Card,
    CardError,
    Input,
    Licence,
    Source,
    check_model,
    read_card,
    sha256_of,
    write_card,
)

NAME = "dlib-resnet"
SOURCE_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
PARITY_LIMIT = 1e-4
ABANDONED_SECONDS = 3600  # a build takes seconds, so an older one was killed


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
        OSError: `destination` cannot be written or is full.
    """
    folder = destination / NAME
    return folder if _sound_card(folder) else export_dlib(destination)


def export_dlib(destination: Path, source: Path | None = None) -> Path:
    """Write `<destination>/dlib-resnet` with its model and card, and return that folder.

    It is built beside its place and renamed, so that no half of it is ever seen; of several processes that export at
    once, one puts its folder there.

    Args:
        destination: the folder of models; it is made where it is missing.
        source: dlib's file; by default the one in face_recognition_models.

    Raises:
        DlibError: the file is missing, is not the known one, or did not survive the conversion.
        OSError: `destination` cannot be written or is full.
    """
    source = source or find_dlib()
    _check_source(source)
    import onnx

    from uncnn.exporters.dlib_network import onnx_model

    weights = read_dlib(source)
    with _workshop(destination) as workshop:
        built = workshop / NAME
        built.mkdir()
        onnx.save(onnx_model(weights), built / MODEL_FILE)
        parity = _parity(weights, built / MODEL_FILE)
        write_card(_card(weights, sha256_of(built / MODEL_FILE), parity), built)
        _install(built, destination / NAME)
    return destination / NAME


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


def _parity(weights: Weights, model: Path) -> float:
    """Return the largest |torch - onnxruntime| of an embedding over three fixed random pictures."""
    import onnxruntime
    import torch

    from uncnn.exporters.dlib_network import DlibResnet

    pixels = np.random.default_rng(0).uniform(0, 255, (3, 3, SIDE, SIDE))
    pictures = ((pixels - np.array(weights.mean)[:, None, None]) / 256).astype(np.float32)
    with torch.inference_mode():
        expected = DlibResnet(weights)(torch.from_numpy(pictures)).numpy()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run(["embedding"], {"input": pictures})[0] - expected).max())
    if not difference <= PARITY_LIMIT:
        raise DlibError(
            f"{model.name} of {NAME}: onnxruntime {onnxruntime.__version__} and torch {torch.__version__} differ by "
            f"{difference:.1e}, more than {PARITY_LIMIT:.0e}; install another version of one of them"
        )
    return difference


def _card(weights: Weights, sha256: str, parity: float) -> Card:
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
        parity=parity,
        source=Source(
            url="https://github.com/davisking/dlib-models",
            repository="davisking/dlib-models",
            commit="fd81b6308a6a73d4ce08859eb2f4b628a21e27a2",
            file="dlib_face_recognition_resnet_model_v1.dat",
            sha256=SOURCE_SHA256,
        ),
        sha256=sha256,
        training_data="about 3 million faces of 7,485 people: FaceScrub, VGG and photos scraped from the web",
        licence=Licence(name="CC0-1.0 (davisking/dlib-models: public domain)", use="permissive"),
        reference="http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html",
    )


def _sound_card(folder: Path) -> Card | None:
    """Return the card in `folder` where its model and its source have the right hashes."""
    try:
        card = read_card(folder)
        check_model(folder, card)
    except CardError:
        return None
    return card if card.source and card.source.sha256 == SOURCE_SHA256 else None


@contextmanager
def _workshop(destination: Path) -> Iterator[Path]:
    """Give an empty hidden folder inside `destination`, so that a rename out of it is atomic; clear it away after."""
    destination.mkdir(parents=True, exist_ok=True)
    for abandoned in destination.glob(f".{NAME}-*"):
        with suppress(FileNotFoundError):
            if time.time() - abandoned.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(abandoned, ignore_errors=True)
    workshop = destination / f".{NAME}-{uuid4().hex}"
    workshop.mkdir()
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _install(built: Path, folder: Path) -> None:
    """Rename `built` to `folder`; an equal folder stays, another one moves into the workshop, to be cleared away."""
    card = read_card(built)
    while True:
        try:
            built.rename(folder)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        else:
            return
        present = _sound_card(folder)
        if present and present.model_copy(update={"parity": card.parity}) == card:
            return
        with suppress(FileNotFoundError):  # another process moved it first
            folder.rename(built.with_name(uuid4().hex))

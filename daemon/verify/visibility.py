"""How far a change shows, by metrics that no attack optimises."""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.daemon.verify.jod import Visibility
from uncnn.daemon.verify.programs import BUTTERAUGLI
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.geometry import region_of

LARGEST_PX: Final = 512  # a larger face is scaled down first: as large as people see it on a screen
LEAST_PX: Final = 16  # of a square's side: the metrics say nothing of less

_BUTTERAUGLI_SECONDS: Final = 120.0
_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601

Square = tuple[slice, slice]


def face_square(face: Face, shape: tuple[int, ...]) -> Square | None:
    """Return the rows and columns of a face's square in a photo of `shape`; None where it is too small to compare."""
    rows, columns = region_of(np.array(face.landmarks), 0).clipped(*shape[:2])
    if rows.stop - rows.start < LEAST_PX or columns.stop - columns.start < LEAST_PX:
        return None
    return rows, columns


def visibility(original: Pixels, changed: Pixels) -> Visibility:
    """Return how far `changed` shows against `original`, both (H, W, 3) uint8, without scaling them.

    Raises UncnnError where Butteraugli is installed and fails.
    """
    largest, norm = butteraugli(original, changed) or (None, None)
    difference = np.abs(original.astype(np.float64) - changed)
    error = float((difference**2).mean())
    return Visibility(
        ssimulacra2(original, changed, largest_px=None) if find_spec("ssimulacra2") is not None else None,
        largest,
        norm,
        10 * math.log10(255**2 / error) if error else None,
        ssim(original, changed),
        float(difference.mean()),
        float(np.percentile(difference, 99)),
    )


def ssimulacra2(original: Pixels, changed: Pixels, largest_px: int | None = LARGEST_PX) -> float:
    """Return SSIMULACRA2 of two pictures (H, W, 3) uint8: 100 identical, 90 not seen, 70 good, 50 seen.

    Larger ones than `largest_px` are scaled down first; None: none is.

    Sneyers, "SSIMULACRA 2: Structural SIMilarity Unveiling Local And Compression Related Artifacts", 2022.
    """
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(_png(original, largest_px), _png(changed, largest_px)))


def butteraugli(original: Pixels, changed: Pixels) -> tuple[float, float] | None:
    """Return Butteraugli's largest difference and its 3-norm, or None where the program is not installed.

    Raises UncnnError where it fails.
    """
    program = shutil.which(BUTTERAUGLI)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("original.png", "changed.png")]
        for file, pixels in zip(files, (original, changed), strict=True):
            file.write_bytes(_png(pixels, None).getbuffer())
        try:
            done = subprocess.run(
                [program, *map(str, files)], capture_output=True, text=True, timeout=_BUTTERAUGLI_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _butteraugli_failed(program, str(error)) from error
    found = re.fullmatch(r"\s*([0-9.e+-]+)\s+3-norm: ([0-9.e+-]+)\s*", done.stdout)
    if done.returncode or found is None:
        raise _butteraugli_failed(program, f"exit status {done.returncode}: {(done.stderr or done.stdout)[-200:]}")
    return float(found[1]), float(found[2])


def _butteraugli_failed(program: str, found: str) -> UncnnError:
    reason = " ".join(found.split())
    return UncnnError(f"{program} failed ({reason}): install libjxl-devtools again, or remove it to go without")


def ssim(original: Pixels, changed: Pixels) -> float:
    """Return the mean structural similarity of the luma of two pictures (H, W, 3) uint8; 1 identical.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 2004: a Gaussian window of 11 pixels, sigma 1.5, and equation 13.
    """
    one, other = (pixels.astype(np.float64) @ np.array(_LUMA) for pixels in (original, changed))
    mean_one, mean_other = _blurred(one), _blurred(other)
    variances = _blurred(one**2) - mean_one**2 + _blurred(other**2) - mean_other**2
    covariance = _blurred(one * other) - mean_one * mean_other
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_one * mean_other + small) * (2 * covariance + smaller)
    return float((alike / ((mean_one**2 + mean_other**2 + small) * (variances + smaller))).mean())


def _blurred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return `values`, (H, W), under the Gaussian window where it fits, (H - 10, W - 10)."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    for axis in (0, 1):
        values = np.lib.stride_tricks.sliding_window_view(values, len(window), axis=axis) @ window
    return values


def as_shown(pixels: Pixels, largest_px: int) -> Pixels:
    """Return a picture, (H, W, 3), scaled down so that its longer side is `largest_px` at most."""
    image = Image.fromarray(pixels)
    image.thumbnail((largest_px, largest_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def check_sizes(first: Pixels, second: Pixels, remedy: str) -> None:
    """Raise UncnnError, which ends in the `remedy`, where two photos are not of one size."""
    if first.shape != second.shape:
        sizes = " and ".join(f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (first, second))
        raise UncnnError(f"the photos have different sizes ({sizes}): {remedy}")


def _png(pixels: Pixels, largest_px: int | None) -> io.BytesIO:
    image = Image.fromarray(pixels if largest_px is None else as_shown(pixels, largest_px))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    buffer.seek(0)
    return buffer

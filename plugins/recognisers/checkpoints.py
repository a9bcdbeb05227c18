"""Weights that torch saved, read without running what is in the file and without growing beyond it."""

from __future__ import annotations

import io
import warnings
import zipfile

from uncnn.plugins.api import UncnnError

LARGEST_CHECKPOINT = 2**32
"""Bytes: four times the largest that the catalog knows."""

ZIP = b"PK\x03\x04"


class CheckpointError(UncnnError):
    """A file of weights that would take far more memory than it has bytes."""


def load_checkpoint(content: bytes) -> object:
    """Return what ``torch.save`` wrote into a file of these bytes; `weights_only`, so that nothing of it is run.

    Raises:
        CheckpointError: its records are compressed. Exception: whatever torch's parts raise at a damaged file.
    """
    import torch

    if content.startswith(ZIP):
        refuse_compression(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantised tensors are on their way out of torch
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def refuse_compression(content: bytes) -> None:
    """Refuse a zip that grows when it is read: torch and NumPy store, and a bomb is compressed.

    Raises:
        CheckpointError: a record is compressed, or all of them claim more bytes than the file has.
        BadZipFile: it is no zip.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = archive.infolist()
    compressed = [record.filename for record in records if record.compress_type != zipfile.ZIP_STORED]
    if compressed:
        raise CheckpointError(f"its record {compressed[0]!r} is compressed, and weights are stored as they are")
    claimed = sum(record.file_size for record in records)
    if claimed > len(content):
        raise CheckpointError(f"its records claim {claimed:,} bytes in a file of {len(content):,}")

"""Files of weights that are small and would take much memory: refused before they are taken in."""

from __future__ import annotations

import io
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.moved import read_moved
from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.checkpoint import convert
from uncnn.plugins.detectors.retinaface_forward import DetectorError
from uncnn.plugins.detectors.retinaface_network import load_network
from uncnn.plugins.recognisers.checkpoints import CheckpointError, load_checkpoint

BOMB = 2**30  # bytes of zeros: a thousandth of that when compressed
ALLOWED_KB = 200_000


@contextmanager
def little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED_KB


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what torch.save writes, its tensor swelled to a gigabyte of zeros and compressed."""
    whole = io.BytesIO()
    torch.save({"weight": torch.zeros(2**20)}, whole)
    path = tmp_path_factory.mktemp("bomb") / "bomb.pt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in source.namelist():
            if not name.endswith("/data/0"):
                target.writestr(name, source.read(name), zipfile.ZIP_STORED)
                continue
            with target.open(name, "w", force_zip64=True) as record:
                for _ in range(BOMB // 2**24):
                    record.write(bytes(2**24))
    assert path.stat().st_size < BOMB / 100
    return path


def test_a_checkpoint_that_would_grow_is_refused(bomb: Path, tmp_path: Path) -> None:
    with little_memory():
        with pytest.raises(CheckpointError, match="data/0' is compressed, and weights are stored"):
            load_checkpoint(bomb.read_bytes())
        with pytest.raises(FormatError, match="is compressed"):
            convert([bomb])
        with pytest.raises(DetectorError, match="is compressed"):
            load_network(bomb)


def test_records_that_share_their_bytes_are_refused() -> None:
    """Many names for one record: nothing is compressed, and all together are larger than the file."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("archive/data/0", bytes(100_000))
        for number in range(1, 100):
            entry = zipfile.ZipInfo(f"archive/data/{number}")
            entry.file_size = entry.compress_size = 100_000
            entry.header_offset = 0
            entry.CRC = archive.infolist()[0].CRC
            archive.filelist.append(entry)
    with pytest.raises(CheckpointError, match="claim 10,000,000 bytes"):
        load_checkpoint(whole.getvalue())


def test_a_plain_checkpoint_is_read() -> None:
    whole = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, whole)
    content = load_checkpoint(whole.getvalue())
    assert isinstance(content, dict)
    assert content["weight"].tolist() == [1, 1, 1]


def test_arrays_from_the_worker_that_would_grow_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "photo.moved"
    with file.open("wb") as stream:
        np.savez_compressed(stream, shares=np.zeros(2**24))
    with little_memory(), pytest.raises(CheckpointError, match=r"'shares\.npy' is compressed"):
        read_moved(Content(file))

"""Memory is refused before it is taken: what a photo takes is told from its first bytes."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.evaluate.machine import peak_bytes
from uncnn.daemon.photos import PhotoError, decode, needs
from uncnn.daemon.photos.needs import MODELS_BYTES, needed_bytes
from uncnn.daemon.photos.rows import BAND_PIXELS, array_of, bands
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.sandbox import memory

sys.path.insert(0, str(Path(__file__).parents[1] / "spawned"))

import spawned_handlers

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "memory.py"
MPX = 1_000_000


def plain_png(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """Return a whole PNG of one colour; it is small, however large its picture."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    packer = zlib.compressobj(9)
    line = bytes(1 + width * channels * bits // 8)
    pixels = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(each)) + name + each + struct.pack(">I", zlib.crc32(name + each)) for name, each in parts
    )


def saved(image: Image.Image, name: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name)
    return buffer.getvalue()


def with_memory(monkeypatch: pytest.MonkeyPatch, limit: int | None, free: int | None) -> None:
    monkeypatch.setattr(needs, "process_limit", lambda: limit)
    monkeypatch.setattr(needs, "available_bytes", lambda: free)


def refused(data: bytes) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        decode(data, "holiday.png")
    return caught.value


def test_a_small_file_with_a_large_picture_is_refused_and_told_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 4_000_000_000, 4_000_000_000)
    data = plain_png(14_000, 14_000)
    assert len(data) < MPX
    error = refused(data)
    assert error.kind == "too-large"
    needed = needed_bytes(data, "PNG", (14_000, 14_000), "")
    assert str(error) == (
        f"holiday.png has 14000 x 14000 pixels (196 megapixels as PNG) and needs {needed / 1e9:.1f} GB of memory; "
        f"the limit on this machine is {(4e9 - MODELS_BYTES) / 1e9:.1f} GB: make it smaller"
    )


def test_a_photo_that_others_leave_no_memory_for_is_worth_another_look(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 64_000_000_000, 100_000_000)
    error = refused(plain_png(4_000, 4_000))
    assert error.kind == "no-memory"
    assert "0.1 GB are free: close other programs" in str(error)


def test_nothing_is_refused_where_nothing_tells_how_much_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, None, None)
    assert decode(plain_png(64, 48), "photo").pixels.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (plain_png(8, 8), plain_png(8, 8, colour=6)),
        (plain_png(8, 8), plain_png(8, 8, bits=16)),
        (plain_png(8, 8, bits=16), plain_png(8, 8, bits=16, colour=6)),
        (saved(Image.new("RGB", (8, 8)), "JPEG"), saved(Image.new("CMYK", (8, 8)), "JPEG")),
    ],
)
def test_what_is_deeper_or_has_more_channels_takes_more(less: bytes, more: bytes) -> None:
    kinds = {b"\x89": "PNG", b"\xff": "JPEG"}
    each = [needed_bytes(data, kinds[data[:1]], (4000, 4000), "photo") for data in (less, more)]  # type: ignore[arg-type]
    assert each[0] < each[1]


@pytest.mark.slow
def test_the_refused_takes_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose memory is looked at from here."""
    file = tmp_path / "huge.png"
    file.write_bytes(plain_png(14_000, 14_000, bits=16, colour=6))
    child = Child("decoder", spawned_handlers.make_decoder)
    try:
        child.call(spawned_handlers.Decode(3_000_000_000, None), 300)
        before = peak_bytes(child.pid)
        with pytest.raises(RequestError, match=r"14000 x 14000 pixels .* needs") as caught:
            child.call(spawned_handlers.Decode(3_000_000_000, file), 300)
        after = peak_bytes(child.pid)
    finally:
        child.close()
    assert caught.value.kind == "too-large"
    assert before is not None
    assert after is not None
    assert after - before < 50 * MPX


def test_a_control_groups_limit_counts_where_it_is_less_than_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = tmp_path / "user.slice" / "uncnn.service"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("1000000000\n")
    (group.parent / "memory.current").write_text("700000000\n")
    (group.parent / "memory.stat").write_text("anon 5\ninactive_file 200000000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/user.slice/uncnn.service\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_MEMBERSHIP", membership)
    assert memory.total_bytes() == 1_000_000_000
    assert memory.available_bytes() == 500_000_000
    assert memory.process_limit() == 2 << 30, "below that no model loads"
    membership.write_text("0::/\n")
    assert (memory.total_bytes() or 0) > 1_000_000_000


@pytest.mark.parametrize("size", [(1, 1), (BAND_PIXELS * 2 + 3, 1), (3000, 1000)])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_picture_in_bands_is_the_picture(size: tuple[int, int], mode: str) -> None:
    channels = len(Image.new(mode, (1, 1)).getbands())
    samples = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    image = Image.fromarray(samples[..., 0] if channels == 1 else samples, mode)
    assert np.array_equal(array_of(image), samples)
    assert next(rows.stop - rows.start for rows in bands(size[1], size[0])) * size[0] <= max(BAND_PIXELS, size[0])


@pytest.mark.slow
def test_no_kind_of_file_takes_more_than_is_said() -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux says how much memory a process took at most")
    command = [sys.executable, str(BENCHMARK), "--smoke"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "MORE" not in answer.stdout

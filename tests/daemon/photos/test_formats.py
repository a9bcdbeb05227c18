"""A photo format is a module and a line: a toy one is added to a copy of uncnn, and is read, written and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from photo_samples import picture

from uncnn.daemon.files.formats import FORMATS as NAMES
from uncnn.daemon.photos import PhotoError, decode
from uncnn.daemon.photos.formats import FORMATS

ROOT = Path(__file__).resolve().parents[3]
LINE = '    FileFormat("PPM", "ppm pnm", _starts(b"P6")),\n'
MODULE = '''
"""PPM of three samples of 8 bits, and of no comment but one in its second line: Netpbm."""

from uncnn.daemon.photos.containers import image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.values import Thing
from uncnn.daemon.photos.values import Encoding


def sides(data):
    return tuple(map(int, [line for line in data.split(b"\\n", 4) if line[:1] != b"#"][1].split()))


def missing(data):
    width, height = sides(data)
    return None if len(data) > 3 * width * height else "it ends within its pixels"


def things(data):
    for line in data.split(b"\\n", 3)[1:2]:
        if line.startswith(b"#"):
            yield Thing("comment", "comment", line[1:].decode("ascii"), "words")


FORMAT = PhotoFormat(
    name="PPM",
    header=lambda data, name: sides(data),
    missing=missing,
    pixel_bytes=lambda data, name: 29,
    encoding=lambda image, data: Encoding(),
    write=lambda stored, wanted: saved(image_of(stored), "PPM", {}),
    things=things,
    opaque=True,
    profiled=False,
)
'''
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from pydantic import TypeAdapter
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.files.kinds import PHOTO, kind_of
from uncnn.daemon.files.names import is_photo_name
from uncnn.daemon.photos import decode, encode
from uncnn.daemon.photos.listing import inventory
from uncnn.daemon.files.formats import WrittenAs
import uncnn.daemon

policy = Policy.model_validate({"output": {"format": "ppm"}})
ours, png = (Path(file).read_bytes() for file in sys.argv[1:])
read, other = decode(ours, "ours"), decode(png, "other")
changed = read.pixels // 2
same, made = encode(read, changed), encode(other, other.pixels, policy.output.written_as)
asked = TypeAdapter(WrittenAs).validate_python(policy.output.written_as)  # as a message to the worker
print(json.dumps({
    "from": str(Path(uncnn.daemon.__path__[0])),
    "read": [read.format, asked, bool((read.pixels == other.pixels).all())],
    "written": [same.data[:2].decode(), bool((decode(same.data, "again").pixels == changed).all())],
    "converted": [made.data[:2].decode(), bool((decode(made.data, "made").pixels == other.pixels).all())],
    "named": [str(policy.released_name(Path("a/holiday.jpeg"))), is_photo_name("x.PNM"), kind_of(ours) == PHOTO],
    "says": [[each.name, each.value] for each in inventory(ours, read.format)],
    "kept": len(inventory(same.data, read.format)),
}))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for Python's path with a copy of uncnn in which the two files are changed."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "uncnn", root / "uncnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "daemon", root / "uncnn" / "daemon", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("plugins", "exporters"):
        (root / "uncnn" / name).symlink_to(ROOT / name)
    (root / "uncnn" / "daemon" / "photos" / "formats" / "ppm.py").write_text(MODULE)
    registry = root / "uncnn" / "daemon" / "files" / "formats.py"
    first = '    FileFormat("JPEG"'
    text = registry.read_text()
    assert text.count(first) == 1
    registry.write_text(text.replace(first, LINE + first))
    return root


def run(root: Path, *files: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, *files]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_format_is_added_by_a_module_and_a_line(toy: Path, tmp_path: Path) -> None:
    image, ppm, png = picture(), BytesIO(), BytesIO()
    image.save(ppm, "PPM")
    image.save(png, "PNG")
    with_words = ppm.getvalue().replace(b"P6\n", b"P6\n# by Ada\n", 1)
    (tmp_path / "ours").write_bytes(with_words)
    (tmp_path / "other").write_bytes(png.getvalue())
    answer = run(toy, tmp_path / "ours", tmp_path / "other")
    assert answer == {
        "from": str(toy / "uncnn" / "daemon"),
        "read": ["PPM", "PPM", True],
        "written": ["P6", True],
        "converted": ["P6", True],
        "named": ["a/holiday.ppm", True, True],
        "says": [["comment", " by Ada"]],
        "kept": 0,
    }
    with pytest.raises(PhotoError, match="is not a photo"):
        decode(with_words, "ours")


def test_each_name_has_its_object() -> None:
    assert [each.name for each in NAMES] == [each.name for each in FORMATS.values()] == list(FORMATS)


def test_what_the_configuration_needs_of_formats_loads_no_decoder() -> None:
    code = "import sys, uncnn.daemon.config; print(sorted({'PIL', 'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

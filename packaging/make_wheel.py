"""Build the wheel so that whoever builds it of the same commit gets the same bytes.

    python packaging/make_wheel.py -o dist

Needs the environment of `make setup`, git, and PyPI for setuptools, whose version is pinned. The time of the files in
the wheel is $SOURCE_DATE_EPOCH, or else that of the last commit; other files beside the sources do not matter.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from sources import ROOT, UV, copy_sources, run


def main() -> None:
    """Build it, and print its sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="the folder that it is put into")
    wheel = make_wheel(parser.parse_args().output)
    print(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel}")


def make_wheel(folder: Path) -> Path:
    """Build the wheel into `folder`, which is made, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources, made = copy_sources(Path(scratch) / "sources"), Path(scratch) / "made"
        pins = ["--build-constraints", ROOT / "requirements.txt", "--require-hashes"]
        run([UV, "build", "-q", "--wheel", *pins, "-o", made, sources])
        (wheel,) = made.glob("uncnn-*.whl")
        return Path(shutil.copyfile(wheel, folder / wheel.name))


if __name__ == "__main__":
    main()

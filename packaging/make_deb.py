"""Build the Debian package, the same bytes for the same commit.

    python packaging/make_deb.py -o dist [--with thin|cpu]

`thin` makes uncnn-thin, without PyTorch, which has faces changed by a server; `cpu` makes uncnn. For Debian 12 (its
Python 3.11), on a machine of the same kind of processor. Needs the environment of `make setup`, git, PyPI (for `cpu`
also PyTorch's index of builds for CPUs), and Debian's dpkg-dev and debhelper.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from make_tree import make_tree, normalise
from sources import ROOT, VERSION, epoch, need, run

PACKAGED: Final = ("thin", "cpu")
"""What is made a package: with PyTorch's build for GPUs it would be larger than archives of packages take."""


def main() -> None:
    """Build it, and print its sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="the folder that it is put into")
    parser.add_argument("--with", choices=PACKAGED, default="thin", dest="which")
    parser.add_argument("--tree", type=Path, metavar="ROOT", help="what make_tree.py laid, instead of laying it anew")
    options = parser.parse_args()
    need("dpkg-buildpackage", "dh", packages="dpkg-dev debhelper")
    package = make_deb(options.output, options.which, options.tree)
    print(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  {package}")


def make_deb(folder: Path, which: str, tree: Path | None = None) -> Path:
    """Build the package into `folder`, which is made, of a laid `tree` or of one that is laid for it; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "uncnn"
        shutil.copytree(ROOT / "packaging" / "debian", place / "debian")
        normalise(place)
        (place / "debian" / "changelog").write_text(_changelog())
        if tree is None:
            make_tree(place / "tree", which)
        else:
            shutil.copytree(tree, place / "tree", symlinks=True)
            normalise(place / "tree")  # it may have been laid of an earlier commit
        profile = {"DEB_BUILD_PROFILES": "pkg.uncnn.thin" if which == "thin" else "", "DH_QUIET": "1"}
        run(["dpkg-buildpackage", "--build=binary", "--no-sign", "--no-check-builddeps"], place, profile)
        (package,) = Path(scratch).glob("*.deb")
        return Path(shutil.copyfile(package, folder / package.name))


def _changelog() -> str:
    sign = f"uncnn maintainers <maintainers@uncnn.invalid>  {format_datetime(datetime.fromtimestamp(epoch(), UTC))}"
    change = "As of this commit; CHANGELOG.md of the sources says what changed."
    return f"uncnn ({VERSION}) unstable; urgency=medium\n\n  * {change}\n\n -- {sign}\n"


if __name__ == "__main__":
    main()

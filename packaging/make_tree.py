"""Lay uncnn and all that it needs into the root of a system, as the Debian package and the image have it.

    python packaging/make_tree.py -o ROOT [--with thin|cpu|cuda]

thin: no PyTorch: judges copies, has faces changed by a server, serves the page (docs/server.md). cpu: changes faces
too. cuda: the same, on an NVIDIA GPU where there is one, in 7 GB. Everything lies in /usr/lib/uncnn, an environment of
Debian 12's own Python 3.11, which need not be on this machine; manual pages, completion and units lie where Debian
looks for them. Needs the environment of `make setup`, git, and PyPI; for `cpu` also PyTorch's index of builds for CPUs,
by uv's --torch-backend cpu.

Every package is at the version that is pinned, and its file has the hash that is pinned; but for PyTorch's builds for
CPUs, of which the version alone is.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path
from typing import Final

from make_sbom import make_sbom
from make_wheel import make_wheel
from sources import ROOT, UV, VERSION, epoch, run

PYTHON: Final = "3.11"  # Debian 12's
PLATFORM: Final = f"{platform.machine()}-manylinux_2_36"  # and its C library
EXTRAS: Final = {"thin": "verify,web,notify", "cpu": "cpu,web,notify", "cuda": "cuda,web,notify"}
LIBRARY: Final = Path("usr/lib/uncnn")
PACKAGES: Final = LIBRARY / "lib" / f"python{PYTHON}" / "site-packages"
SBOM: Final = Path("usr/share/uncnn/uncnn.cdx.json")
PROGRAMS: Final = ("uncnn-daemon", "uncnn")

LAUNCHER: Final = f"""\
#!/{LIBRARY}/bin/python3
import sys

from uncnn.daemon.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
"""

COMPLETIONS: Final = {
    "bash": "usr/share/bash-completion/completions/{}",
    "zsh": "usr/share/zsh/vendor-completions/_{}",
    "fish": "usr/share/fish/vendor_completions.d/{}.fish",
}


def main() -> None:
    """Lay it, and print how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="ROOT", help="a folder that is not there")
    parser.add_argument("--with", choices=EXTRAS, default="thin", dest="which")
    options = parser.parse_args()
    make_tree(options.output, options.which)
    print(f"{options.output}: {sum(file.lstat().st_size for file in options.output.rglob('*')):,} bytes")


def make_tree(root: Path, which: str) -> None:
    """Lay uncnn into the new folder `root`; `which` is a key of EXTRAS."""
    root.mkdir(parents=True)
    _environment(root, which)
    _beside(root)
    (root / SBOM).parent.mkdir(parents=True)
    (root / SBOM).write_text(make_sbom(root / PACKAGES))
    normalise(root)


def normalise(root: Path) -> None:
    """Give all files below `root` the time of the build, and rights that say no more than whether they are programs."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch(), epoch()), follow_symlinks=False)


def _environment(root: Path, which: str) -> None:
    """Make an environment by hand: its Python is that of the system where it will lie."""
    programs = root / LIBRARY / "bin"
    programs.mkdir(parents=True)
    (root / LIBRARY / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3"):
        (programs / name).symlink_to(f"/usr/bin/python{PYTHON}")
    (root / "usr" / "bin").mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(LAUNCHER)
        (programs / name).chmod(0o755)
        (root / "usr" / "bin" / name).symlink_to(f"../lib/uncnn/bin/{name}")
    _install(root / PACKAGES, which)
    _check_pins(root / PACKAGES)


def _install(place: Path, which: str) -> None:
    """Install the wheel and what it needs, of other packages wheels alone: nothing is compiled."""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = make_wheel(Path(scratch))
        wanted = Path(scratch) / "wanted.txt"
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        wanted.write_text(f"uncnn[{EXTRAS[which]}] @ {wheel.as_uri()} --hash=sha256:{sha256}\n")
        kind = ["--python-platform", PLATFORM, "--python-version", PYTHON, "--only-binary", ":all:"]
        torch = ["--torch-backend", "cpu"] if which == "cpu" else ["--require-hashes"]
        files = ["requirements-dev.txt"] if which == "cuda" else ["requirements-cpu.txt", "requirements-dev.txt"]
        pins = [f"-c{ROOT / name}" for name in files]
        run([UV, "pip", "install", "-q", "--target", place, *kind, *torch, *pins, "-r", wanted])
    for of_others in (place / "bin", place / "share", place / ".lock"):
        if of_others.is_dir():
            shutil.rmtree(of_others)
        else:
            of_others.unlink(missing_ok=True)
    for name in ("direct_url.json", "uv_cache.json"):  # where the wheel lay while this was built, and since when
        for file in place.glob(f"*.dist-info/{name}"):
            file.unlink()
    for record in place.glob("*.dist-info/RECORD"):
        lines = [line for line in record.read_text().splitlines() if (place / line.split(",")[0]).exists()]
        record.write_text("\n".join(sorted(lines)) + "\n")


def _check_pins(place: Path) -> None:
    """End unless each package is one that is pinned."""
    text = (ROOT / "requirements-cpu.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
    pins = set(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)) | {("uncnn", VERSION)}
    found = [Distribution.at(folder) for folder in place.glob("*.dist-info")]
    plain = {(_plain(each.name), each.version.partition("+")[0]) for each in found}
    if strange := sorted(plain - pins):
        sys.exit(f"not pinned: {strange}: run make lock")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _beside(root: Path) -> None:
    """Lay manual pages, completion and units."""
    pages = root / "usr" / "share" / "man" / "man1"
    pages.mkdir(parents=True)
    for page in (ROOT / "docs").glob("*.1"):
        (pages / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))
    for shell, pattern in COMPLETIONS.items():
        for name in PROGRAMS:
            file = root / pattern.format(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_completion(name, shell))
    _units(root / "usr" / "lib" / "systemd")


def _completion(program: str, shell: str) -> str:
    """Return the script that has a shell complete the words after a program."""
    from typer.completion import get_completion_script

    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    return get_completion_script(prog_name=program, complete_var=variable, shell=shell)


def _units(systemd: Path) -> None:
    """Lay the units of a user's own manager and those of the system, as `service install` would write them."""
    for folder in (systemd / "system", systemd / "user"):
        folder.mkdir(parents=True)
    for unit in _shipped(ROOT / "systemd"):
        text = unit.read_text().replace("/usr/local/bin/", "/usr/bin/")
        text = text.replace("Made by `uncnn-daemon service install`", "As `uncnn-daemon service install` makes it")
        (systemd / ("system" if "@" in unit.name else "user") / unit.name).write_text(text)


def _shipped(folder: Path) -> Iterable[Path]:
    return (file for file in sorted(folder.iterdir()) if file.is_file())


if __name__ == "__main__":
    main()

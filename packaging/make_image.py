"""Build the image of a container, the same digest for the same commit and the same packages of Debian.

    python packaging/make_image.py -o dist/uncnn.tar [--with thin|cpu|cuda] [--format oci|docker] [--mirror URL]

thin: no PyTorch: faces are changed by a server (docs/server.md). cpu: they are changed here. cuda: here, on an NVIDIA
GPU where the container is given one. `oci` is read by podman, skopeo, containerd and Docker's image store of
containerd; `docker` by every Docker, and only there is a health check part of an image. No engine of containers is
needed: Debian 12's files come from its packages by mmdebstrap, and buildah writes the image. Needs root, the
environment of `make setup`, git, PyPI (for `cpu` also PyTorch's index of builds for CPUs), a mirror of Debian, and
Debian's buildah and mmdebstrap; for `cuda` 40 GB beside.

A mirror of one day, as snapshot.debian.org has them, gives that digest later too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from make_sbom import make_sbom
from make_tree import EXTRAS, PACKAGES, PYTHON, SBOM, make_tree
from sources import VERSION, epoch, need, output, run

SUITE: Final = "bookworm"
DEBIAN: Final = ("python3", "libstdc++6", "openssh-client", "ca-certificates")
"""Beside what every Debian has: a server is reached by ssh, models and messages by https."""

USER: Final = 10001
ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/data",
    "UNCNN_CONFIG": "/data/config.yaml",
    "UNCNN_STATE": "/data/state",
    "XDG_DATA_HOME": "/data",
    "XDG_CACHE_HOME": "/tmp/cache",
}
GPU: Final = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
"""What NVIDIA's container toolkit goes by: the driver's libraries are those of the machine."""

FOLDERS: Final = ("/photos/outgoing", "/photos/cloaked")

HEALTHY: Final = """uncnn-daemon status --json | grep -q '"state": "running"'"""
"""Not by the exit status: a photo that waits for a decision is no reason to start a container anew."""

NOT_NEEDED: Final = (
    *("usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/zoneinfo/right"),
    *("usr/lib/systemd/user", "var/cache", "var/log", "var/lib/apt", "var/lib/systemd", "etc/hostname"),
    *("etc/resolv.conf", "etc/machine-id", "etc/apt", "var/lib/dpkg/status-old", "var/lib/dpkg/available-old"),
)


def main() -> None:
    """Build it, and print its digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("dist/uncnn.tar"), metavar="FILE")
    parser.add_argument("--with", choices=EXTRAS, default="thin", dest="which")
    parser.add_argument("--format", choices=("oci", "docker"), default="oci", dest="form")
    parser.add_argument("--mirror", default="", metavar="URL", help="of Debian's packages (default: this machine's)")
    parser.add_argument(
        "--base", type=Path, metavar="TAR", help="what mmdebstrap made before, which is made if missing"
    )
    parser.add_argument("--tree", type=Path, metavar="ROOT", help="what make_tree.py laid, instead of laying it anew")
    options = parser.parse_args()
    need("mmdebstrap", "buildah", "tar", "dpkg-query", packages="mmdebstrap buildah")
    if os.geteuid() != 0:
        sys.exit("the files of an image belong to several users: run this as root")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root, place = Path(scratch) / "root", Path(scratch)
        base = options.base or place / "base.tar"
        if not base.exists():
            make_base(base, options.mirror)
        make_root(root, base, options.which, options.tree)
        print(make_image(root, options.output, options.which, options.form))


def make_base(file: Path, mirror: str = "") -> None:
    """Make an archive of Debian's files."""
    packages = f"--include={','.join(DEBIAN)}"
    run(["mmdebstrap", "-q", "--variant=essential", packages, SUITE, file, *([mirror] if mirror else [])])


def make_root(root: Path, base: Path, which: str, tree: Path | None) -> None:
    """Make all files of the image in the new folder `root`, of Debian's and of those of a laid `tree`."""
    root.mkdir()
    run(["tar", "--numeric-owner", "-xf", base, "-C", root])
    if tree is None:
        tree = root.with_name("tree")
        make_tree(tree, which)
    run(["cp", "-a", f"{tree}/.", root])
    _leave_out(root)
    _add_user(root)
    _compile(root)
    (root / SBOM).write_text(make_sbom(root / PACKAGES, root / "var" / "lib" / "dpkg"))


def make_image(root: Path, file: Path, which: str, form: str) -> str:
    """Write the image that has the files below `root`, in `form`, and return its digest.

    That is the digest of the manifest; of `docker`, whose manifest has none of its own, that of the configuration.
    """
    layer, store = root.with_name("layer.tar"), root.with_name("store")
    time = ["--sort=name", "--numeric-owner", f"--mtime=@{epoch()}", "--format=gnu"]
    run(["tar", *time, "-cf", layer, "-C", root, "."])
    shutil.rmtree(root)
    buildah = ["buildah", "--storage-driver", "vfs", "--root", str(store / "root"), "--runroot", str(store / "run")]
    container = output([*buildah, "from", "--format", form, "scratch"]).strip()
    run([*buildah, "add", "-q", container, layer, "/"])
    layer.unlink()
    run([*buildah, "config", *_settings(form, which), container])
    written, name = store / "written", f"uncnn:{VERSION}-{which}"
    place = f"oci:{written}:{name}" if form == "oci" else f"docker-archive:{file.resolve()}:{name}"
    own = ["--format", form, "--timestamp", str(epoch()), "--iidfile", str(store / "id")]
    file.unlink(missing_ok=True)
    run([*buildah, "commit", "-q", "--rm", *own, container, place])
    if form == "docker":
        return (store / "id").read_text().strip()
    run(["tar", *time, "--owner=0", "--group=0", "--mode=u=rwX,go=rX", "-cf", file, "-C", written, "."])
    return str(json.loads((written / "index.json").read_text())["manifests"][0]["digest"])


def _settings(form: str, which: str) -> Sequence[str]:
    own = {**ENVIRONMENT, **(GPU if which == "cuda" else {})}
    settings = [
        "--user",
        f"{USER}:{USER}",
        "--workingdir",
        "/photos",
        "--entrypoint",
        '["uncnn-daemon"]',
        "--cmd",
        "run",
    ]
    settings += [word for name, value in own.items() for word in ("--env", f"{name}={value}")]
    settings += ["--volume", "/photos", "--volume", "/data", "--stop-signal", "SIGTERM"]
    settings += ["--label", "org.opencontainers.image.title=uncnn", "--label", "org.opencontainers.image.licenses=MIT"]
    settings += ["--label", f"org.opencontainers.image.version={VERSION}"]
    if form == "docker":  # the other form has none: packaging/compose.yaml says it
        settings += ["--healthcheck", f"CMD-SHELL {HEALTHY}", "--healthcheck-interval", "30s"]
        settings += ["--healthcheck-start-period", "60s", "--healthcheck-timeout", "10s"]
    return settings


def _leave_out(root: Path) -> None:
    """Take away what a container does not use, and what differs from one machine to another; not the licences."""
    for name in NOT_NEEDED:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for file in (root / "usr" / "share" / "doc").rglob("*"):
        if file.is_file() and file.name != "copyright":
            file.unlink()
    for name in ("var/cache", "var/log"):
        (root / name).mkdir()


def _add_user(root: Path) -> None:
    """Add the user `uncnn`, and the folders that are his, with a configuration."""
    for name, line in (
        ("passwd", f"uncnn:x:{USER}:{USER}:uncnn:/data:/usr/sbin/nologin"),
        ("group", f"uncnn:x:{USER}:"),
    ):
        with (root / "etc" / name).open("a") as file:
            file.write(f"{line}\n")
    for name in ("data", "photos"):
        (root / name).mkdir(mode=0o700)
        os.chown(root / name, USER, USER)
    own = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    asked = ["/usr/bin/uncnn-daemon", "config", "init", "-q", *FOLDERS, "--config", "/data/config.yaml"]
    run(["chroot", f"--userspec={USER}:{USER}", root, "/usr/bin/env", "-i", *own, *asked])


def _compile(root: Path) -> None:
    """Compile all modules, in a form that does not look at the time of a file."""
    for folder in (root / "usr" / "lib").rglob("__pycache__"):
        shutil.rmtree(folder)
    folders = [f"/usr/lib/python{PYTHON}", "/usr/lib/python3", f"/{PACKAGES}"]
    words = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *folders]
    run(["chroot", root, "/usr/bin/env", "-i", "PYTHONHASHSEED=0", f"/usr/bin/python{PYTHON}", *words])


if __name__ == "__main__":
    main()

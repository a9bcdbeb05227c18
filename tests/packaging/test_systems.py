"""The Debian package and the image, used in a fresh Debian and by a runtime of containers.

What they are made of is laid twice; with `UNCNN_FULL=1` they are built twice too, from the sources on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "docs" / "examples" / "astronaut.png"
NEEDED = ("buildah", "dh", "dpkg-buildpackage", "mmdebstrap", "runc", "skopeo", "umoci")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
NAME = "uncnn-thin"
USER = 10001
PATIENCE = 300  # seconds: a busy machine
FULL = bool(os.environ.get("UNCNN_FULL"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs Debian's packages that bring {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a Debian is laid and entered"),
]


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a build, and what came of another one."""

    trees: tuple[str, ...]  # the sha256 of all files, with their times and rights, of each time they were laid
    base: Path
    package: Path
    packages: tuple[str, ...]  # the sha256 of each build
    image: Path
    images: tuple[str, ...]  # the digest of each build


def made(script: str, *given: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / script, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1].split()[0]


def sum_of(tree: Path) -> str:
    packed = ["tar", "--sort=name", "--numeric-owner", "-cf", "-", "-C", tree, "."]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        found = hashlib.file_digest(tar.stdout, "sha256").hexdigest()
    assert tar.returncode == 0
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Yield the package and the image without PyTorch."""
    folder = tmp_path_factory.mktemp("built")
    base, tree, trees, packages, images = folder / "base.tar", folder / "tree", [], [], []
    for name in ("other", "one"):
        made("make_tree.py", "-o", tree)
        trees.append(sum_of(tree))
        if name == "other" and not FULL:
            shutil.rmtree(tree)
            continue
        packages.append(made("make_deb.py", "-o", folder / name, "--tree", tree))
        image = folder / name / "image.tar"
        images.append(made("make_image.py", "-o", image, "--tree", tree, "--base", base))
        shutil.rmtree(tree)
        if name == "other":
            shutil.rmtree(folder / name)
    (package,) = (folder / "one").glob("*.deb")
    yield Built(tuple(trees), base, package, tuple(packages), image, tuple(images))
    shutil.rmtree(folder)


@pytest.fixture
def debian(built: Built, tmp_path: Path) -> Iterator[Path]:
    """Yield the root of a fresh Debian with Python, and its /proc."""
    root = tmp_path / "debian"
    root.mkdir()
    subprocess.run(["tar", "--numeric-owner", "-xf", built.base, "-C", root], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    yield root
    subprocess.run(["umount", "-l", root / "proc"], check=True)
    shutil.rmtree(root)


@pytest.fixture
def bundle(built: Built, tmp_path: Path) -> Iterator[Path]:
    """Yield the image, unpacked for a runtime."""
    place, layout = tmp_path / "bundle", tmp_path / "layout"
    subprocess.run(["skopeo", "copy", "-q", f"oci-archive:{built.image}", f"oci:{layout}:it"], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:it", place], check=True, capture_output=True)
    shutil.rmtree(layout)
    yield place
    shutil.rmtree(place)


def inside(root: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    own = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **more}
    entered = ["chroot", root, "/usr/bin/env", "-i", *(f"{name}={value}" for name, value in own.items()), *command]
    return subprocess.run(entered, capture_output=True, text=True, check=False)


def files(root: Path) -> set[str]:
    listed = subprocess.run(["find", root, "-xdev"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name.removeprefix(str(root)) for name in listed}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_two_builds_are_the_same_bytes(built: Built) -> None:
    assert len(built.trees) == 2
    assert len(set(built.trees)) == len(set(built.packages)) == len(set(built.images)) == 1


def test_the_package_is_used_where_it_is_installed_and_leaves_nothing_where_it_is_removed(
    built: Built, debian: Path
) -> None:
    before = files(debian)
    shutil.copy(built.package, debian / "tmp")
    shutil.copy(PORTRAIT, debian / "tmp")
    done = inside(debian, "dpkg", "-i", f"/tmp/{built.package.name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert inside(debian, "uncnn-daemon", "--version").stdout.startswith("uncnn-daemon 0.")
    answer = inside(debian, "uncnn-daemon", "verify", "/tmp/astronaut.png", "/tmp/astronaut.png")
    assert (answer.returncode, answer.stderr) == (4, ""), "a photo is linked to itself"
    typed = {"COMP_WORDS": "uncnn-daemon he", "COMP_CWORD": "1", "_UNCNN_DAEMON_COMPLETE": "complete_bash"}
    assert inside(debian, "uncnn-daemon", **typed).stdout.split() == ["help", "held"]
    for name in (
        *("usr/share/man/man1/uncnn-daemon.1.gz", "usr/share/bash-completion/completions/uncnn-daemon"),
        *("usr/share/zsh/vendor-completions/_uncnn", "usr/share/fish/vendor_completions.d/uncnn-daemon.fish"),
        *("usr/lib/systemd/system/uncnn@.service", "usr/share/uncnn/uncnn.cdx.json"),
        f"usr/share/doc/{NAME}/copyright",
    ):
        assert (debian / name).is_file(), name
    assert "ExecStart=/usr/bin/uncnn-daemon run\n" in (debian / "usr/lib/systemd/user/uncnn.service").read_text()
    assert not list((debian / "etc" / "systemd").rglob("uncnn*")), "nothing is started before a person asks for it"
    done = inside(debian, "dpkg", "--purge", NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    own = ("/tmp", "/root", "/var/log", "/var/lib/dpkg", "/usr/share/info/dir", "/var/cache")  # not of the package
    left = {name for name in files(debian) - before if not name.startswith(own)}
    assert not left, left


def contained(bundle: Path, photos: Path, data: Path) -> None:
    """Have the container's root be read-only, as `compose.yaml` has it, and its folders be those of this machine."""
    settings: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    settings["root"]["readonly"] = True
    settings["process"]["terminal"] = False
    settings["process"]["noNewPrivileges"] = True
    settings["process"]["capabilities"] = {}
    kept = [each for each in settings["mounts"] if each["destination"] not in ("/photos", "/data", "/sys/fs/cgroup")]
    places = ((photos, "/photos"), (data, "/data"))
    bound = [{"source": str(own), "destination": at, "type": "bind", "options": ["bind", "rw"]} for own, at in places]
    scratch = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777", "size=1g"]}
    settings["mounts"] = [*kept, *bound, scratch]
    (bundle / "config.json").write_text(json.dumps(settings))


def test_the_container_serves_on_a_read_only_root_without_rights(bundle: Path, tmp_path: Path) -> None:
    for name in ("photos", "data"):
        shutil.copytree(bundle / "rootfs" / name, tmp_path / name)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", tmp_path / name], check=True)
    tmp_path.chmod(0o755)
    contained(bundle, tmp_path / "photos", tmp_path / "data")
    runtime = ["runc", "--root", str(tmp_path / "state")]
    with (tmp_path / "said").open("w") as said:
        service = subprocess.Popen([*runtime, "run", "-b", bundle, "uncnn"], stdout=said, stderr=said)

    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*runtime, "exec", "uncnn", *command], capture_output=True, text=True, check=False)

    def well() -> bool:
        assert service.poll() is None, (tmp_path / "said").read_text()
        healthy = """uncnn-daemon status --json | grep -q '"state": "running"'"""
        assert healthy in (ROOT / "packaging" / "compose.yaml").read_text().replace('\\"', '"')
        return ask("/bin/sh", "-c", healthy).returncode == 0

    try:
        wait_until(well, "the service is not healthy")
        assert ask("/usr/bin/id", "-u").stdout == f"{USER}\n"
        assert ask("/bin/sh", "-c", "touch /usr/mine").returncode != 0, "its root is read-only"
        shutil.copy(PORTRAIT, tmp_path / "photos" / "outgoing" / "one.png")
        (tmp_path / "photos" / "outgoing" / "one.png").chmod(0o644)
        wait_until(lambda: "one.png" in ask("uncnn-daemon", "jobs").stdout, "the photo is not taken")
        assert not list((tmp_path / "photos" / "cloaked").iterdir()), "without PyTorch and a server nothing is released"
        answer = ask("uncnn-daemon", "verify", "/photos/outgoing/one.png", "/photos/outgoing/one.png")
        assert answer.returncode == 4, answer.stderr
        bill = json.loads((bundle / "rootfs" / "usr" / "share" / "uncnn" / "uncnn.cdx.json").read_text())
        named = {each["name"] for each in bill["components"]}
        assert {"python3.11", "starlette", "dlib-resnet", "onnxruntime-web"} <= named
        assert not {"pip", "gcc", "torch"} & named
    finally:
        subprocess.run([*runtime, "kill", "uncnn", "TERM"], check=False)
        service.wait(PATIENCE)
        subprocess.run([*runtime, "delete", "--force", "uncnn"], check=False)

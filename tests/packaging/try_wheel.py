"""Install the wheel of a folder into a fresh environment, with the pinned versions, and use it there.

Usage: python tests/packaging/try_wheel.py dist
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "docs" / "examples" / "astronaut.png"
LARGEST_BYTES = 60_000_000  # of the wheel, with all models in it

TRY = """
import importlib.metadata, pathlib, uncnn.daemon, uncnn.exporters, uncnn.plugins
from uncnn.plugins.engine.targets import CROWD
from uncnn.plugins.registry import attack_names
assert CROWD.is_file(), "the mean of many faces does not ship"
assert attack_names(), "no attack is registered"
from uncnn.exporters.registry.store import EMBEDDED
folders = [card.parent for card in EMBEDDED.glob("*/card.yaml")]
assert len(folders) >= 5, folders
for folder in folders:
    assert {"model.onnx", "LICENSE", "NOTICE"} <= {file.name for file in folder.iterdir()}, folder
for package in (uncnn.daemon, uncnn.exporters, uncnn.plugins):
    folder = pathlib.Path(package.__file__).parent
    assert "site-packages" in folder.parts, folder
    assert (folder / "py.typed").is_file(), folder
print(importlib.metadata.version("uncnn"), attack_names())
"""


def main() -> None:
    """Install, import, run the command, and cloak a photo with what the wheel brings."""
    (wheel,) = Path(sys.argv[1]).glob("uncnn-*.whl")
    size = wheel.stat().st_size
    if size > LARGEST_BYTES:
        sys.exit(f"{wheel.name} has {size:,} bytes, more than {LARGEST_BYTES:,}: which model grew?")
    with tempfile.TemporaryDirectory() as scratch:
        environment = Path(scratch) / "venv"
        uv = Path(sys.executable).with_name("uv")
        clean = {
            key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV", "UNCNN_MODELS"}
        }
        clean |= {"HOME": scratch, "VIRTUAL_ENV": str(environment), "UV_CACHE_DIR": _cache(uv)}

        def run(*command: object, quiet: bool = False) -> None:
            output = subprocess.DEVNULL if quiet else None
            subprocess.run(list(map(str, command)), check=True, env=clean, cwd=scratch, stdout=output)

        run(uv, "venv", "-q", "--python", sys.executable, environment)
        run(uv, "pip", "install", "-q", "-r", ROOT / "requirements.txt")
        run(uv, "pip", "install", "-q", "--no-deps", wheel.resolve())
        run(environment / "bin" / "python", "-c", TRY)
        run(environment / "bin" / "uncnn-daemon", "--help", quiet=True)
        run(environment / "bin" / "uncnn", "--version")
        run(
            environment / "bin" / "python", "-m", "uncnn", "config", "init", Path(scratch) / "in", Path(scratch) / "out"
        )
        run(environment / "bin" / "uncnn-daemon", "config", "check")
        for name in ("uncnn-daemon.1", "uncnn.1"):
            assert (environment / "share" / "man" / "man1" / name).is_file(), f"{name} does not ship"
        run(environment / "bin" / "uncnn-daemon", "cloak", PORTRAIT, "-o", Path(scratch) / "cloaked")
    print(f"{wheel.name}, {size:,} bytes, works in a fresh environment")


def _cache(uv: Path) -> str:
    return subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()

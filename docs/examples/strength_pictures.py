"""Make the pictures of the page that show what each strength looks like: the portrait of the README, its face alone.

    python docs/examples/strength_pictures.py

Nothing is escalated, and each is shown whether it is protected or not. They lie beside the page's style sheet.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from PIL import Image

import uncnn
from uncnn.plugins.registry import STRENGTHS

PORTRAIT: Final = Path(__file__).with_name("astronaut.png")
STATIC: Final = Path(__file__).resolve().parents[2] / "daemon" / "web" / "static"
FACE: Final = (150, 20, 310, 180)  # left, top, right, bottom in pixels of the portrait
QUALITY: Final = 90


def main() -> None:
    """Write one picture a strength, and one of the original."""
    portrait = Image.open(PORTRAIT).convert("RGB")
    _write(portrait, "original")
    for strength in STRENGTHS:
        policy = uncnn.Policy(attack={"strength": strength}, escalate=(), unprotected="publish-anyway")
        _write(Image.open(io.BytesIO(uncnn.cloak(PORTRAIT, policy=policy).data)).convert("RGB"), strength)


def _write(picture: Image.Image, name: str) -> None:
    written = io.BytesIO()
    picture.crop(FACE).save(written, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    file = STATIC / f"strength-{name}.jpg"
    file.write_bytes(written.getvalue())
    sys.stdout.write(f"{file.name}: {len(written.getvalue())} bytes\n")


if __name__ == "__main__":
    main()

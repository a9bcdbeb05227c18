"""What people see of a file: its pixels as Chromium shows them, turned, in sRGB."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from uncnn.plugins.api import Pixels

_SECONDS: Final = 120
_TYPES: Final = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "GIF": "gif", "BMP": "bmp"}
SHOWN: Final = frozenset(_TYPES)
"""The formats that Chromium shows."""

_SCRIPT: Final = """
onload = () => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', {willReadFrequently: true, colorSpace: 'srgb'});
  for (const image of [...document.images]) {
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    context.drawImage(image, 0, 0);
    const {data, width, height} = context.getImageData(0, 0, canvas.width || 1, canvas.height || 1);
    let text = '';
    for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2]);
    image.outerHTML = `<b>${image.id} ${width} ${height} ${btoa(text)}</b>`;
  }
};
"""


def rendered(files: Mapping[str, tuple[str, bytes]], folder: Path) -> dict[str, Pixels]:
    """Return the pixels, (H, W, 3) uint8, of files `{name: (format, bytes)}`; one browser shows them all.

    Skips the test where there is no Chromium.
    """
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs chromium: what people see is what a browser shows")
    names = dict(enumerate(files))
    images = "".join(
        f'<img id="{number}" src="data:image/{_TYPES[kind]};base64,{base64.b64encode(data).decode()}">'
        for number, (kind, data) in enumerate(files.values())
    )
    page = folder / "page.html"
    page.write_text(f"<!doctype html><script>{_SCRIPT}</script>{images}")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb", "--dump-dom")
    run = subprocess.run(
        [browser, *options, f"--user-data-dir={folder / 'browser'}", page.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    found = re.findall(r"<b>(\d+) (\d+) (\d+) ([^<]*)</b>", run.stdout)
    there = {number for number, *_ in found}
    hidden = [names[number] for number in names if str(number) not in there]
    assert not hidden, f"Chromium does not show {hidden}"
    return {
        names[int(number)]: np.frombuffer(base64.b64decode(text), np.uint8).reshape(int(height), int(width), 3)
        for number, width, height, text in found
    }

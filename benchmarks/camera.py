"""How fast the page of the camera is: pictures a second, and how far behind the camera each one is.

Debian's chromium shows the portrait of docs/examples as what its camera sees. Needs the packages of the group `dev`.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright
from web import PORTRAIT
from web import Page as Served

SIZES: Final = {"640x480": (640, 480), "1920x1080": (1920, 1080)}
FRAMES: Final = 30
PATIENCE_MS: Final = 120_000
SAID: Final = re.compile(r"([\d.]+) frames a second, each (\d+) ms")
LONG_TASKS: Final = """
globalThis.long = [];
new PerformanceObserver((list) => long.push(...list.getEntries().map((each) => each.duration)))
  .observe({type: 'longtask', buffered: true});
"""


def main() -> None:
    """Print what was measured for each size of the camera's pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each size")
    options = parser.parse_args()
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        served = Served(Path(home))
        try:
            for name, size in SIZES.items():
                own = film(Path(home) / f"{name}.mjpeg", size)
                arguments = ["--no-sandbox", "--use-fake-device-for-media-stream"]
                arguments.append(f"--use-file-for-fake-video-capture={own}")
                browser = playwright.chromium.launch(executable_path=path, args=arguments)
                print(f"{name}: {measured(browser, served, options.seconds)}", flush=True)
                browser.close()
        finally:
            served.process.terminate()
            served.process.wait()


def film(file: Path, size: tuple[int, int]) -> Path:
    """Write what the camera shows: a portrait that moves a little."""
    portrait = Image.open(PORTRAIT).convert("RGB").resize((size[1], size[1]))
    written = io.BytesIO()
    for number in range(FRAMES):
        picture = Image.new("RGB", size, (90, 120, 150))
        picture.paste(portrait, (4 * min(number, FRAMES - number), 0))
        picture.save(written, "JPEG", quality=90)
    file.write_bytes(written.getvalue())
    return file


def measured(browser: Browser, served: Served, seconds: float) -> str:
    """Return how long the start took, and how fast it went afterwards, in words."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["camera"])
    name, _, value = served.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": f"http://{served.host}/"}])
    page = context.new_page()
    page.goto(f"http://{served.host}/camera")
    began = time.monotonic()
    page.locator("#camera-start").click()
    expect(page.locator("#camera-views")).to_be_visible(timeout=PATIENCE_MS)
    start = time.monotonic() - began
    expect(page.locator("#camera-rate")).not_to_be_empty(timeout=PATIENCE_MS)
    page.evaluate(LONG_TASKS)
    rates, late = [], []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        page.wait_for_timeout(1000)
        said = SAID.search(page.locator("#camera-rate").inner_text())
        if said is not None:
            rates.append(float(said[1]))
            late.append(float(said[2]))
    longest = max(page.evaluate("[0, ...long]"))
    context.close()
    return (
        f"there after {start:.1f} s; {statistics.median(rates):.1f} pictures a second, "
        f"each {statistics.median(late):.0f} ms behind (medians of {len(rates)} seconds); "
        f"the page itself was busy for {longest:.0f} ms at most"
    )


if __name__ == "__main__":
    main()

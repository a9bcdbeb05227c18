"""What the page looks like: the pictures of docs/web.md, and how long a browser takes until it is there.

Needs Debian's chromium and the packages of the group `dev`.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from web import PORTRAIT
from web import Page as Served

DOCS: Final = PORTRAIT.parents[1]
QUALITY: Final = 78  # of JPEG: as a PNG file that is small enough, the portrait has too few colours to be judged
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "page": {"viewport": {"width": 900, "height": 1100}},
    "page-phone": {
        "viewport": {"width": 360, "height": 1000},
        "color_scheme": "dark",
        "has_touch": True,
        "is_mobile": True,
    },
}
LOADED: Final = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def main() -> None:
    """Have the portrait cloaked on the page, draw what is seen, and print the time."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        served = Served(Path(home))
        try:
            served.answered("PUT", "/photos/portrait.png", PORTRAIT.read_bytes()).read()
            served.wait()
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for name, options in LOOKS.items():
                draw(opened(browser, served, options), DOCS / f"{name}.jpg")
            print(f"a page is there after {loading(opened(browser, served, LOOKS['page'])):.0f} ms")
            browser.close()
        finally:
            served.process.terminate()
            served.process.wait()


def opened(browser: Browser, served: Served, options: dict[str, Any]) -> Page:
    """Return the page in a browser that was let in."""
    context = browser.new_context(**options)
    name, _, value = served.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": f"http://{served.host}/"}])
    page = context.new_page()
    page.goto(f"http://{served.host}/")
    page.locator("#photos > li[data-status=protected]").wait_for()
    return page


def draw(page: Page, file: Path) -> None:
    """Write the page as a small picture, with the line in the middle of the face."""
    page.locator("details.pair > summary").click()
    page.locator(".slider").fill("44")
    expect(page.locator(".after")).not_to_have_js_property("naturalWidth", 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(file, quality=QUALITY, subsampling="4:4:4", optimize=True)
    print(f"{file.name}: {file.stat().st_size:,} bytes")


def loading(page: Page, times: int = 20) -> float:
    """Return the median of how many milliseconds pass until the page can be used."""
    took = []
    for _ in range(times):
        page.reload()
        took.append(float(page.evaluate(LOADED)))
    return statistics.median(took)


if __name__ == "__main__":
    main()

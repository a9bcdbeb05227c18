"""Every screen of the page, as a new user has them after a few photos: the pictures of docs/screens.md.

The portrait of docs/examples is published, the same one smaller and out of focus is held, somebody called Ada is
enrolled with three looks at it, and a camera shows it. Needs Debian's chromium and the packages of the group `dev`.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from camera import film
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from playwright.sync_api import Browser, Page, expect, sync_playwright
from web import PORTRAIT, PROGRAM
from web import Page as Served

SCREENS: Final = PORTRAIT.parents[1] / "screens"
QUALITY: Final = 72  # of JPEG: small enough for a repository, and letters stay letters
MOST_BYTES: Final = 150_000
PATIENCE_MS: Final = 300_000
expect.set_options(timeout=PATIENCE_MS)
DESKTOP: Final = {"viewport": {"width": 960, "height": 760}}
RENAME: Final = """
(names) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    for (const [from, to] of Object.entries(names))
      texts.currentNode.data = texts.currentNode.data.replaceAll(from, to);
}
"""
CONFIGURATION: Final = """\
version: 1
folders:
  - watch: ~/Pictures/Outgoing
    publish: ~/Pictures/Cloaked
    settle_seconds: 1
policies:
  everyday: {escalate: []}
"""


def main() -> None:
    """Make what is to be seen, and draw each screen."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("needs chromium: apt-get install chromium")
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        furnish(home)
        served = Served(home)
        try:
            served.answered("PUT", "/photos/portrait.png", PORTRAIT.read_bytes()).read()
            served.wait()
            shown = film(home / "film.mjpeg", (640, 480))
            camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={shown}"]
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *camera])
            page = entered(browser, served)
            page.context.grant_permissions(["camera"])
            for name, address, ready in screens():
                page.goto(f"http://{served.host}{address}", wait_until="load")
                ready(page)
                draw(page, SCREENS / f"{name}.jpg", home)
            stranger = browser.new_context(**DESKTOP).new_page()
            stranger.goto(f"http://{served.host}/")
            draw(stranger, SCREENS / "link.jpg", home)
            browser.close()
        finally:
            served.process.terminate()
            served.process.wait()


def entered(browser: Browser, served: Served) -> Page:
    """Return the page in a browser that came by a link of its own, as a person's does."""
    answer = served.answered("POST", "/sessions/link").read().decode()
    link = re.search(r"http://[^\s\"<]+/enter\?code=[^\s\"<]+", answer)
    assert link is not None
    page = browser.new_context(**DESKTOP).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(link[0])
    return page


def screens() -> list[tuple[str, str, Callable[[Page], object]]]:
    """Return the name of each screen, its address, and what is done until all of it is to be seen."""
    return [
        ("photos", "/", open_pair),
        ("camera", "/camera", start_camera),
        ("folders", "/today", pictures_there),
        ("held", "/held", pictures_there),
        ("people", "/people", pictures_there),
        ("models", "/models", pictures_there),
        ("settings", "/settings", pictures_there),
        ("health", "/health", pictures_there),
        ("browsers", "/sessions", pictures_there),
    ]


def open_pair(page: Page) -> None:
    """Open before and after, with the line in the middle of the face."""
    page.locator("#photos > li[data-status=protected]").wait_for()
    page.locator("details.pair > summary").click()
    page.locator(".slider").fill("44")
    for picture in (*page.locator("#photos img").all(), *page.locator(".pair img").all()):
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def start_camera(page: Page) -> None:
    """Start the camera, and wait until a face is named."""
    page.locator("#camera-start").click()
    page.locator("#camera-before-faces li", has_text="Ada").wait_for()


def pictures_there(page: Page) -> None:
    """Wait until every picture is there."""
    page.wait_for_load_state("load")
    for picture in page.locator("img:visible").all():
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def draw(page: Page, file: Path, home: Path) -> None:
    """Write the screen as a small picture, its home called /home/ada, its system Linux; one too large is an error."""
    page.evaluate(RENAME, {str(home): "/home/ada", platform.platform(): "Linux"})
    assert str(home) not in page.inner_text("body"), f"{file.name} names a folder of this machine"
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(file, quality=QUALITY, optimize=True)
    size = file.stat().st_size
    assert size < MOST_BYTES, f"{file.name} has {size:,} bytes"
    print(f"{file.name}: {size:,} bytes", flush=True)


def furnish(home: Path) -> None:
    """Make the home of somebody who has used uncnn a little."""
    outgoing = home / "Pictures" / "Outgoing"
    outgoing.mkdir(parents=True)
    (home / "Pictures" / "Cloaked").mkdir()
    (home / ".config" / "uncnn").mkdir(parents=True)
    (home / ".config" / "uncnn" / "config.yaml").write_text(CONFIGURATION)
    portrait = Image.open(PORTRAIT).convert("RGB")
    portrait.save(outgoing / "portrait.jpg", quality=95)
    portrait.resize((160, 160)).filter(ImageFilter.GaussianBlur(2)).save(outgoing / "out-of-focus.png")
    looks = [portrait, ImageOps.mirror(portrait), ImageEnhance.Brightness(portrait).enhance(0.8)]
    for number, look in enumerate(looks):
        look.save(home / f"{number}.png")
    command(home, "people", "enroll", "Ada", *(str(home / f"{number}.png") for number in range(len(looks))))
    command(home, "run", "--once", status=frozenset({0, 4}))


def command(home: Path, *words: str, status: frozenset[int] = frozenset({0})) -> None:
    """Run a command in that home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "UNCNN_STATE": str(home / "state")}
    done = subprocess.run([PROGRAM, *words], env=environment, check=False)
    if done.returncode not in status:
        raise SystemExit(f"uncnn-daemon {' '.join(words)}: exit status {done.returncode}")


if __name__ == "__main__":
    main()

"""The camera in the page: a real browser, whose camera shows a portrait from a file."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PHONE, Visitor
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from served_page import ServedPage

from uncnn.daemon.live.hiding import around, cell_of, hide
from uncnn.daemon.live.sources import LOOK_PIXELS
from uncnn.daemon.people.store import People, Person, Template, people_file, write_people
from uncnn.daemon.video.faces import detector_for
from uncnn.daemon.web.camera import RECOGNISER
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.tracking import FAINT

pytestmark = pytest.mark.slow

PORTRAIT = Path(__file__).parents[4] / "docs" / "examples" / "astronaut.png"
SIZE = (640, 480)
FRAMES = 20
STRANGER = "camera.example"  # a name of this computer's without https
ON = "The camera is on."

POINTS_PX = 0.005
"""Boxes and landmarks differ by less from Python's: 0.0004 pixels were measured, of faces of 105 to 178 pixels."""

SCORES = 1e-5  # 1.1e-6 was measured
COSINE = 1e-9  # 1 less the cosine of both embeddings of a face: 4.3e-13 was measured

DESCRIBE = """
async (text) => {
  const { Looker } = await import('/static/camera-looker.js');
  if (globalThis.looker === undefined) await (globalThis.looker = new Looker()).load();
  const looker = globalThis.looker;
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]), {colorSpaceConversion: 'none'});
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  const { faces, embeddings, hidden } = await looker.ask({ describe: { data, width, height, seconds: 0 } });
  const digest = async (content) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', content))];
  return { faces, embeddings, seen: await digest(data), hidden: await digest(hidden) };
}
"""
KEEP_STREAMS = """
const take = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (take) navigator.mediaDevices.getUserMedia = async (asked) => (globalThis.taken = await take(asked));
"""
STATES = "['readyState', 'enabled'].map((name) => globalThis.taken.getTracks().map((each) => each[name]))"
FOLLOW = """
async (looks) => {
  const { Following } = await import('/static/camera-following.js');
  const following = new Following();
  return looks.map(([seconds, found]) =>
    following.look(found.map(([box, score]) => ({ box, score, landmarks: [] })), seconds)
      .map(({ number, missing }) => [number, missing]));
}
"""
NEAREST = """
async ([embedding, people, threshold]) =>
  (await import('/static/camera-recogniser.js')).nearest(embedding, people, threshold)
"""
BUSY = """
() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotReadableError'); }; }
"""
HIDE_TAB = """
(hidden) => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}
"""


@dataclass(frozen=True)
class Models:
    """The same models in Python."""

    detector: RetinaFace
    recogniser: OnnxRecogniser

    def faces(self, picture: Pixels) -> list[Face]:
        return detector_for(self.detector, LOOK_PIXELS, FAINT).detect(picture)

    def embeddings(self, picture: Pixels, landmarks: Floats) -> Floats:
        return self.recogniser.embed(picture, landmarks).astype(np.float64)


@pytest.fixture(scope="module")
def models() -> Models:
    providers = ["CPUExecutionProvider"]
    return Models(load_onnx(EMBEDDED / OWN_ONNX, providers), OnnxRecogniser.load(EMBEDDED / RECOGNISER, providers))


def frame(shift: int) -> Image.Image:
    """Return what the camera shows: a portrait that moves a little."""
    picture = Image.new("RGB", SIZE, (90, 120, 150))
    picture.paste(Image.open(PORTRAIT).convert("RGB").resize((470, 470)), (60 + shift, 5))
    return picture


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of what the camera shows: JPEG files one after another."""
    written = io.BytesIO()
    for number in range(FRAMES):
        frame(4 * min(number, FRAMES - number)).save(written, "JPEG", quality=92)
    file = tmp_path_factory.mktemp("film") / "film.mjpeg"
    file.write_bytes(written.getvalue())
    return file


@pytest.fixture(scope="module")
def playing() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def launched(playing: Playwright) -> Iterator[Callable[..., Browser]]:
    """Return what starts a browser with these options."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium: what people see is what a browser shows")
    browsers = []

    def launch(*options: str) -> Browser:
        browsers.append(playing.chromium.launch(executable_path=path, args=["--no-sandbox", *options]))
        return browsers[-1]

    yield launch
    for browser in browsers:
        browser.close()


@pytest.fixture(scope="module")
def filming(launched: Callable[..., Browser], film: Path) -> Browser:
    """Return a browser with a camera."""
    return launched("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")


@pytest.fixture
def visit(page: ServedPage) -> Iterator[Callable[..., tuple[Visitor, Page]]]:
    """Return what opens the page of the camera in a browser; the test fails if that found anything wrong."""
    visitors = []

    def opened(browser: Browser, allowed: bool = True, host: str = "", **options: Any) -> tuple[Visitor, Page]:
        visitors.append(Visitor(browser))
        seen = visitors[-1].enter(host or page.host, page.site.sessions.new_code(), **options)
        if allowed:
            seen.context.grant_permissions(["camera"], origin=f"http://{host or page.host}")
        seen.add_init_script(KEEP_STREAMS)
        seen.goto(f"http://{host or page.host}/camera")
        expect(seen.locator("#camera-start")).to_be_visible()
        return visitors[-1], seen

    yield opened
    for visitor in visitors:
        visitor.leave()
    assert [visitor.faults for visitor in visitors if visitor.faults] == []


def enroll(models: Models, name: str) -> None:
    """Enroll whom the portrait shows, with the portrait as it is published: another picture than the camera's."""
    portrait = np.asarray(Image.open(PORTRAIT).convert("RGB"))
    face = models.detector.detect(portrait)[0]
    embeddings = models.embeddings(portrait, np.array([face.landmarks])).tolist()
    card = models.recogniser.card
    write_people(
        people_file(), People(1, [Person(name, datetime.now(UTC), [Template(card.name, card.sha256, embeddings)])])
    )


def test_a_known_face_is_named_before_and_not_after(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser, models: Models, modules: Path
) -> None:
    enroll(models, "Ada")
    _, seen = visit(filming)
    seen.locator("#camera-start").focus()
    seen.keyboard.press("Enter")
    expect(seen.locator("#camera-state")).to_have_text(ON)
    expect(seen.locator("#camera-stop")).to_be_focused()
    before, after = (seen.locator(f"#camera-{which}-faces li") for which in ("before", "after"))
    expect(before).to_contain_text("Ada")
    expect(after).to_contain_text("nobody who is enrolled")
    expect(seen.locator("#camera-people")).to_be_hidden()
    expect(seen.locator("#camera-rate")).to_contain_text("640 × 480")
    assert re.match(r"[\d.]+ frames a second, each \d+ ms", seen.locator("#camera-rate").inner_text())
    seen.locator("summary").click()
    expect(seen.locator("#camera-asked")).to_contain_text("openvino-0095")
    seen.locator("#camera-stop").focus()
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    for look in ("light", "dark"):
        seen.emulate_media(color_scheme=look, reduced_motion="reduce")
        seen.evaluate(axe)
        found = seen.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(look, each["id"], each["nodes"][0]["html"]) for each in found] == []
    seen.keyboard.press("Enter")
    expect(seen.locator("#camera-state")).to_have_text("The camera is off.")
    expect(seen.locator("#camera-start")).to_be_focused()
    assert seen.evaluate(STATES)[0] == ["ended"], "its light is out"
    expect(seen.locator("#camera-before")).to_have_js_property("width", 0)  # nothing is kept of what was shown


def test_a_face_is_hidden_as_live_does_it_and_numbers_are_those_of_python(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser, models: Models
) -> None:
    _, seen = visit(filming)
    for picture in (frame(0), Image.open(PORTRAIT).convert("RGB"), frame(40).resize((1280, 720))):
        written = io.BytesIO()
        picture.save(written, "PNG")
        pixels = np.array(picture)
        found = seen.evaluate(DESCRIBE, base64.b64encode(written.getvalue()).decode())
        assert bytes(found["seen"]) == digest(pixels), "the browser reads the file otherwise"
        wanted = models.faces(pixels)
        assert len(found["faces"]) == len(wanted) >= 1
        for mine, own in zip(found["faces"], wanted, strict=True):
            assert np.abs(np.array(mine["box"]) - own.box).max() < POINTS_PX
            assert np.abs(np.array(mine["landmarks"]) - own.landmarks).max() < POINTS_PX
            assert abs(mine["score"] - own.score) < SCORES
        landmarks = np.array([each["landmarks"] for each in found["faces"]])
        for mine, own in zip(np.array(found["embeddings"]), models.embeddings(pixels, landmarks), strict=True):
            assert 1 - mine @ own / np.linalg.norm(mine) / np.linalg.norm(own) < COSINE
        for each in found["faces"]:
            box = np.array(each["box"])
            hide(pixels, around([box]), cell_of(box))
        assert bytes(found["hidden"]) == digest(pixels), "hidden to the last bit as in Python"


def test_a_face_that_is_lost_is_hidden_on_for_a_while(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser
) -> None:
    """As in `uncnn.daemon.live.following`: 1.5 s where it was surely one, 0.7 s where it never was."""
    _, seen = visit(filming)
    looks = [
        (0.0, [([100, 100, 150, 160], 0.9), ([300, 100, 350, 160], 0.35), ([500, 100, 550, 160], 0.2)]),
        (0.2, [([110, 104, 160, 164], 0.16)]),  # a faint look continues it, and begins nothing
        (0.6, []),
        (0.8, []),
        (1.6, [([400, 300, 450, 360], 0.31)]),
        (1.8, []),
    ]
    found = seen.evaluate(FOLLOW, looks)
    assert [[number for number, _ in each] for each in found] == [[0, 1], [0, 1], [0, 1], [0], [0, 2], [2]]
    assert found[3][0][1] == pytest.approx(0.6), "so long it was not seen: by so much more is hidden"


def test_what_cannot_be_compared_is_taken_for_a_match(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser
) -> None:
    _, seen = visit(filming)
    people = [{"name": "Ada", "embeddings": [[1, 0], [0.6, 0.8]]}, {"name": "Eve", "embeddings": [[-1, 0.1]]}]
    asked = [([2, 0], 0.9), ([0, 1], 0.9), ([0, 1], 0.8), ([0, 0], 0.9), ([1, 0, 0], 0.9)]
    named = [seen.evaluate(NEAREST, [embedding, people, threshold]) for embedding, threshold in asked]
    assert [each["name"] for each in named] == ["Ada", None, "Ada", "Ada", "Ada"]
    assert [each["cosine"] for each in named] == [1, 0.8, 0.8, None, None]
    assert seen.evaluate(NEAREST, [[1, 0], [], 0.9]) == {"name": None, "cosine": None}


def digest(pixels: Pixels) -> bytes:
    """Return the sha256 of pixels, (H, W, 3), as a canvas has them."""
    return hashlib.sha256(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]).tobytes()).digest()


def test_that_nobody_is_enrolled_is_said_and_that_a_camera_was_unplugged(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser
) -> None:
    _, seen = visit(filming, **PHONE, color_scheme="dark")
    seen.locator("#camera-start").click()
    expect(seen.locator("#camera-before-faces")).to_contain_text("nobody who is enrolled")
    expect(seen.locator("#camera-people")).to_contain_text("Nobody is enrolled")
    for width in (320, 768, 3840):
        seen.set_viewport_size({"width": width, "height": 700})
        assert seen.evaluate("document.documentElement.scrollWidth") <= width
    seen.evaluate("globalThis.taken.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(seen.locator("#camera-problem")).to_contain_text("unplugged")
    expect(seen.locator("#camera-views")).to_be_hidden()
    expect(seen.locator("#camera-start")).to_be_visible()


def test_it_rests_while_nobody_looks_and_ends_when_it_is_left(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser
) -> None:
    _, seen = visit(filming)
    seen.locator("#camera-start").click()
    expect(seen.locator("#camera-state")).to_have_text(ON)
    seen.evaluate(HIDE_TAB, True)
    expect(seen.locator("#camera-state")).to_contain_text("Paused")
    assert seen.evaluate(STATES) == [["live"], [False]]
    seen.evaluate(HIDE_TAB, False)
    expect(seen.locator("#camera-state")).to_have_text(ON)
    assert seen.evaluate(STATES) == [["live"], [True]]
    seen.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert seen.evaluate(STATES)[0] == ["ended"]


def test_a_picture_is_handed_to_the_photos_as_the_camera_gives_it(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser, page: ServedPage
) -> None:
    _, seen = visit(filming)
    seen.locator("#camera-start").click()
    seen.get_by_role("button", name="Cloak this picture").click()
    expect(seen.locator("#photos > li .name")).to_have_text(re.compile(r"camera-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\.png"))
    (photo,) = page.site.photos.all()
    with Image.open(page.site.photos.file(photo.id, "photo")) as taken:
        assert (taken.format, taken.size) == ("PNG", SIZE)
        shown = np.asarray(taken.convert("RGB").resize((64, 48)), np.int16)
    apart = [np.abs(shown - np.asarray(frame(shift).resize((64, 48)), np.int16)).mean() for shift in range(0, 44, 4)]
    assert min(apart) < 8, "it is what the camera shows, and nothing is hidden in it"


def test_why_there_is_no_camera_is_said(
    visit: Callable[..., tuple[Visitor, Page]], filming: Browser, launched: Callable[..., Browser]
) -> None:
    """Refused by a person; or there is none; or another program has it, of which a browser says no more than this."""
    _, refused = visit(filming, allowed=False)
    _, none = visit(launched("--use-fake-device-for-media-stream=device-count=0"))
    _, busy = visit(filming)
    busy.evaluate(BUSY)
    for seen, words in ((refused, "was refused"), (none, "No camera was found"), (busy, "another program")):
        seen.locator("#camera-start").click()
        expect(seen.locator("#camera-problem")).to_contain_text(words)
        expect(seen.locator("#camera-start")).to_be_visible()
        expect(seen.locator("#camera-state")).to_have_text("The camera is off.")


def test_under_an_address_that_is_not_trusted_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launched: Callable[..., Browser]
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    served = ServedPage(tmp_path / "dropped", origins=(f"http://{STRANGER}",))
    visitor = Visitor(launched(f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1:{served.port}"))
    try:
        seen = visitor.enter(STRANGER, served.site.sessions.new_code())
        seen.goto(f"http://{STRANGER}/camera")
        seen.locator("#camera-start").click()
        expect(seen.locator("#camera-problem")).to_contain_text("under https")
        visitor.forgive("Cross-Origin-Opener-Policy")
        assert visitor.faults == []
    finally:
        visitor.leave()
        served.close()

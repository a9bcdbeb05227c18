"""Photos are dropped, watched, looked at, downloaded, decided about and forgotten, in a real browser."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pytest
from browsing import DESKTOP, Visitor, files, photo
from playwright.sync_api import Locator, Page, Route, expect
from served_page import ServedPage
from stub_clips import StubVideoEngine

pytestmark = pytest.mark.slow


PASTE = """
(text) => {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], 'image.png', {type: 'image/png'}));
  document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true}));
}
"""


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the page, as a file manager does."""
    browser = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 500, "data": data})


def row(page: Page, name: str) -> Locator:
    return page.locator("#photos > li").filter(has=page.get_by_role("heading", name=name))


def shown(page: Page, name: str, status: str) -> Locator:
    """Return the row of a photo, once it says this."""
    found = row(page, name)
    expect(found).to_have_attribute("data-status", status, timeout=120_000)
    return found


def test_a_folder_is_dropped_and_every_row_fills(page: ServedPage, visitor: Visitor, tmp_path: Path) -> None:
    seen = visitor.open(page)
    words = {"me": "unchanged", "us": "unchanged unprotected", "below/hill": "no face unchanged"}
    (tmp_path / "photos" / "below").mkdir(parents=True)
    for stem, said in words.items():
        (tmp_path / "photos" / f"{stem}.png").write_bytes(photo(said))
    drop(seen, tmp_path / "photos")
    me, us = shown(seen, "me.png", "protected"), shown(seen, "us.png", "held")
    shown(seen, "hill.png", "no-face")
    expect(me.locator(".words").first).to_contain_text("Not recognised by 1 of 1 face recognisers")
    expect(us.locator(".words").first).to_contain_text("Still recognised, or nearly, by 1 of 1")
    expect(me.locator(".thumb img")).to_be_visible()
    assert me.locator(".boxes .provisional rect").count() == 2, "a dark line below a light one"
    expect(seen.locator("#counted")).to_have_text("3 of 3 done")
    with seen.expect_download() as one:
        me.get_by_role("link", name="Download").click()
    assert one.value.suggested_filename == "me.png"
    assert Path(one.value.path()).read_bytes() == photo("unchanged")
    with seen.expect_download() as every:
        seen.get_by_role("link", name="Download all").click()
    packed = zipfile.ZipFile(io.BytesIO(Path(every.value.path()).read_bytes()))
    assert set(packed.namelist()) == {"me.png", "hill.png"}, "one that is held is not given"
    me.get_by_role("button", name="Forget").click()
    expect(row(seen, "me.png")).to_have_count(0)
    seen.get_by_role("button", name="Forget all").click()
    seen.get_by_role("dialog").get_by_role("button", name="Forget all").click()
    expect(seen.locator("#photos > li")).to_have_count(0)
    page.until(lambda: page.state()["photos"] == [] and list(page.folder.iterdir()) == [])


def test_a_pair_is_compared_by_keyboard(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    seen.set_input_files("#files", files(me="unchanged"))
    pair = shown(seen, "me.png", "protected").locator("details.pair")
    expect(pair).to_have_attribute("open", "")  # the only photo: it is shown at once
    slider = pair.get_by_role("slider")
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    assert pair.locator(".canvas").evaluate("each => each.style.getPropertyValue('--at')") == "48%"
    expect(pair.locator(".after")).to_have_js_property("complete", True)
    slider.press("c")
    expect(pair.get_by_role("button", name="Change")).to_have_attribute("aria-pressed", "true")
    grey = "each => [...each.getContext('2d').getImageData(9, 9, 1, 1).data]"
    assert pair.locator(".difference").evaluate(grey) == [128, 128, 128, 255], "nothing was changed"
    slider.press("c")
    slider.press("z")
    expect(pair.locator(".before")).to_have_css("width", "100px")


def test_a_line_is_moved_by_mouse(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    seen.set_input_files("#files", files(me="unchanged"))
    pair = shown(seen, "me.png", "protected").locator("details.pair")
    expect(pair.locator(".before")).to_have_js_property("naturalWidth", 100)
    box = pair.locator(".canvas").bounding_box()
    assert box is not None
    seen.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    seen.mouse.down()
    seen.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    seen.mouse.up()
    expect(pair.get_by_role("slider")).to_have_value("25")


def test_a_held_copy_is_given_to_who_saw_its_digest_and_agreed(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    seen.set_input_files("#files", files(us="unchanged unprotected"))
    us = shown(seen, "us.png", "held")
    us.get_by_role("button", name="Give it to me anyway").click()
    asked = seen.get_by_role("dialog")
    expect(asked).to_contain_text(page.state()["photos"][0]["cloaked"]["sha256"])
    asked.get_by_role("button", name="Cancel").click()
    expect(us.get_by_role("link", name="Download")).to_be_hidden()
    us.get_by_role("button", name="Give it to me anyway").click()
    asked.get_by_role("button", name="Give it to me").click()
    expect(us.get_by_role("link", name="Download")).to_be_visible()


def test_a_folder_is_chosen_and_what_is_no_photo_is_counted(page: ServedPage, visitor: Visitor, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen" / "below"
    chosen.mkdir(parents=True)
    for name in ("me.png", "notes.txt", ".hidden.png"):
        (chosen / name).write_bytes(photo("unchanged"))
    seen = visitor.open(page)
    seen.set_input_files("#folder", chosen.parent)
    shown(seen, "me.png", "protected")
    expect(seen.locator("#ignored")).to_contain_text("neither photos nor videos by their names: 2")
    assert len(page.state()["photos"]) == 1


def test_what_was_not_sent_is_sent_once_the_server_is_there_again(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page, **DESKTOP)
    seen.context.set_offline(True)
    seen.set_input_files("#files", files(me="unchanged"))
    shown(seen, "me.png", "unsent")
    expect(seen.get_by_role("alert")).to_contain_text("does not answer")
    seen.context.set_offline(False)
    shown(seen, "me.png", "protected")
    expect(seen.get_by_role("alert")).to_be_hidden()
    visitor.forgive("ERR_INTERNET_DISCONNECTED")


def test_a_photo_is_pasted(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    seen.evaluate(PASTE, base64.b64encode(photo("unchanged")).decode())
    shown(seen, "image.png", "protected")


def test_a_photo_that_is_being_sent_is_forgotten_and_the_others_go_on(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)  # and never let on

    seen.route("**/photos/me.png?*", hold)
    seen.set_input_files("#files", files(me="unchanged", us="unchanged", they="unchanged"))
    shown(seen, "us.png", "protected")
    shown(seen, "they.png", "protected")
    expect(row(seen, "me.png")).to_have_attribute("data-status", "sending")
    row(seen, "me.png").get_by_role("button", name="Forget").click()
    expect(seen.locator("#photos > li")).to_have_count(2)
    assert len(held) == 1
    assert {photo["name"] for photo in page.state()["photos"]} == {"us.png", "they.png"}


def test_a_video_is_dropped_with_a_photo_and_shown_without_pictures(
    page: ServedPage, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uncnn.daemon.video.protector.VideoEngine", StubVideoEngine)
    seen = visitor.open(page)
    (tmp_path / "me.png").write_bytes(photo("unchanged"))
    (tmp_path / "clip.mp4").write_bytes(b"a clip")
    drop(seen, tmp_path / "me.png", tmp_path / "clip.mp4")
    shown(seen, "me.png", "protected")
    clip = shown(seen, "clip.mp4", "protected")
    expect(clip.locator(".words").first).to_contain_text("Not recognised by 1 of 1 face recognisers")
    expect(clip.locator(".thumb img")).to_be_hidden()
    expect(clip.locator(".pair")).to_be_hidden()
    with seen.expect_download() as downloaded:
        clip.get_by_role("link", name="Download").click()
    assert Path(downloaded.value.path()).read_bytes() == b"cloaked a clip"
    assert downloaded.value.suggested_filename == "clip.mp4"

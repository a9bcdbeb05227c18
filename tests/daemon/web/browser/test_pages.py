"""Every page: for all eyes, all hands and all screens, and light."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import DESKTOP, PHONE, Visitor, photo
from playwright.sync_api import Error, Page, expect
from scene import Scene
from served_page import ServedPage

from uncnn.daemon.people.store import People, Person, Template, people_file, write_people

pytestmark = pytest.mark.slow

PAGES = ("/", "/camera", "/today", "/held", "/people", "/models", "/settings", "/health", "/sessions")
LOOKS: dict[str, dict[str, Any]] = {
    "light": DESKTOP,
    "dark": {**DESKTOP, "color_scheme": "dark"},
    "phone": PHONE,
    "dark phone": {**PHONE, "color_scheme": "dark"},
}
LARGEST_BYTES = 100_000
FETCHED = """
performance.getEntries().filter((each) => /^(navigation|resource)$/.test(each.entryType)).map((each) => each.name)
  .filter((name) => !/[.]jpg|[/]events$/.test(name))
"""

LINES = """
(each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return range.getClientRects().length;
}
"""


@pytest.fixture
def full_page(scene: Scene, page: ServedPage) -> ServedPage:
    """Return a page that has something of everything."""
    for name, words in {"me": "unchanged", "us": "unchanged unprotected", "they": "unchanged unprotected #2"}.items():
        (scene.watch / f"{name}.png").write_bytes(photo(words))
    (scene.watch / "notes.txt").write_text("no photo")
    scene.run()
    file = scene.root / "config.yaml"
    file.write_text(f"{file.read_text()}models: {{licences: [permissive, research]}}\n")
    page.site.configured.file = file
    page.site.configured.read_again()
    for words in ("unchanged", "unchanged unprotected", "damaged"):
        page.until_done(page.put("me.png", photo(words))["id"])
    return page


def settled(seen: Page) -> None:
    expect(seen.locator("body")).to_have_attribute("data-presence", "here")


def test_axe_finds_nothing(full_page: ServedPage, visitor: Visitor, modules: Path) -> None:
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    full_page.put("long.png", photo("unchanged slow"))  # and one that is in work
    for look, options in LOOKS.items():
        seen = visitor.open(full_page, **options, reduced_motion="reduce")
        for path in PAGES:
            seen.goto(f"http://{full_page.host}{path}")
            settled(seen)
            for summary in seen.locator("summary:visible").all():
                summary.click()
            seen.evaluate(axe)
            found = seen.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            assert [(look, path, each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_nothing_sticks_out(full_page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(full_page)
    for path in PAGES:
        seen.goto(f"http://{full_page.host}{path}")
        settled(seen)
        seen.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for alike in seen.locator("details.likenesses:visible").all():
            expect(alike.locator(".chances").first).to_be_visible()
        for width in (320, 768, 3840):
            seen.set_viewport_size({"width": width, "height": 700})
            assert seen.evaluate("document.documentElement.scrollWidth") <= width, path


def test_every_page_is_light(full_page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(full_page)
    for path in PAGES:
        seen.goto(f"http://{full_page.host}{path}")
        settled(seen)
        fetched = {urlsplit(address).path for address in seen.evaluate(FETCHED)}
        assert {path, "/static/page.css", "/static/live.js"} <= fetched
        assert weight(full_page, fetched) <= LARGEST_BYTES, path


def weight(page: ServedPage, paths: set[str]) -> int:
    """Return how many bytes are sent for these, with what heads them."""
    answers = [page.ask("GET", path, Accept="text/html") for path in paths]
    assert all(answer.status == 200 for answer in answers)
    return sum(len(answer.body) + sum(map(len, sum(answer.headers.items(), ()))) for answer in answers)


def test_a_photo_is_decided_about_by_keyboard_alone(full_page: ServedPage, scene: Scene, visitor: Visitor) -> None:
    seen = visitor.open(full_page)
    seen.goto(f"http://{full_page.host}/held")
    settled(seen)
    seen.keyboard.press("Tab")
    expect(seen.get_by_role("link", name="Skip to the content")).to_be_focused()
    seen.keyboard.press("Enter")
    for _ in range(40):
        seen.keyboard.press("Tab")
        if seen.evaluate("document.activeElement.textContent") == "Publish it anyway":
            break
    name = seen.locator("li", has=seen.locator(":focus")).locator("h2").inner_text()
    seen.keyboard.press("Enter")
    expect(seen.get_by_role("dialog")).to_contain_text("sha256")
    seen.keyboard.press("Tab")
    seen.keyboard.press("Enter")
    expect(seen.get_by_role("status").first).to_contain_text("Done")
    assert scene.states()[name].value == "published"


def test_pages_can_be_read_without_a_script(full_page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(full_page, java_script_enabled=False)
    assert b"<noscript>" in full_page.ask("GET", "/").body
    expect(seen.locator("#photos > li")).to_have_count(3)
    seen.goto(f"http://{full_page.host}/held")
    first = seen.locator("#photos > li").first
    first.get_by_role("button", name="Do not publish it").click()
    expect(seen.locator("#step")).to_contain_text("Done")


def test_what_the_policy_forbids_is_done_by_nobody_and_noticed(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    settled(seen)
    assert visitor.faults == []
    seen.evaluate("document.body.setAttribute('style', 'color: red')")
    with pytest.raises(Error, match="TrustedHTML"):
        seen.evaluate("document.body.innerHTML = '<p>'")
    page.until(lambda: seen.evaluate("1") == 1 and "Content Security Policy" in "".join(visitor.faults))
    visitor.forgive("Content Security Policy", "TrustedHTML")


def test_it_can_be_installed_as_an_app(page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(page)
    settled(seen)
    devtools = seen.context.new_cdp_session(seen)
    manifest = devtools.send("Page.getAppManifest")
    assert (manifest["errors"], manifest["url"]) == ([], f"http://{page.host}/static/manifest.webmanifest")
    found = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in found if each["errorId"] != "in-incognito"] == []


def test_a_day_is_that_day_everywhere_and_words_of_a_table_stay_whole(page: ServedPage, visitor: Visitor) -> None:
    template = Template("openvino-0095", "0" * 64, [[1.0, 0.0]])
    write_people(people_file(), People(1, [Person("Ada", datetime(2026, 3, 1, 12, tzinfo=UTC), [template])]))
    seen = visitor.open(page, timezone_id="America/Los_Angeles", locale="en-US")
    seen.goto(f"http://{page.host}/people")
    settled(seen)
    expect(seen.locator("#people time")).to_have_text("Mar 1, 2026")
    words = seen.locator("#people").get_by_text(re.compile("^(Name|Photos)$"))
    assert words.count() == 2
    assert [(each.inner_text(), each.evaluate(LINES)) for each in words.all() if each.evaluate(LINES) != 1] == []

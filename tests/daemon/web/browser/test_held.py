"""Each decision about a held photo, by its button, in a real browser."""

from __future__ import annotations

import pytest
from browsing import Visitor, follow, photo
from playwright.sync_api import Locator, Page, expect
from scene import Scene
from served_page import ServedPage

from uncnn.daemon.ledger import State

pytestmark = pytest.mark.slow


@pytest.fixture
def seen(scene: Scene, page: ServedPage, visitor: Visitor) -> Page:
    """Return the page of held photos: of two people, both linked, and one that only the strongest change protects."""
    scene.configure(policy="{escalate: []}")
    (scene.watch / "twins.png").write_bytes(photo("unchanged unprotected twins"))
    (scene.watch / "weak.png").write_bytes(photo("unchanged needs utmost"))
    scene.run()
    opened = visitor.open(page)
    opened.goto(f"http://{page.host}/held")
    return opened


def shown(seen: Page, name: str) -> Locator:
    return seen.locator("#photos > li", has=seen.get_by_role("heading", name=name))


def face(seen: Page, number: int) -> Locator:
    return shown(seen, "twins.png").locator(".faces > li", has_text=f"Face {number}")


def confirm(seen: Page, words: str) -> None:
    dialog = seen.get_by_role("dialog")
    expect(dialog).to_contain_text(words)
    dialog.locator("#confirm-do").click()
    expect(seen.locator("#step")).to_contain_text("Done")


def again(seen: Page, scene: Scene) -> None:
    """Do what is queued, and look at what is held then."""
    scene.run()
    follow(seen, "Held")


def test_each_face_is_shown_beside_its_buttons(seen: Page) -> None:
    for number, width in ((1, 75), (2, 48)):  # of the square around it, cut at the border of the photo
        picture = face(seen, number).get_by_role("img", name=f"Face {number}")
        picture.scroll_into_view_if_needed()
        seen.wait_for_function("image => image.complete && image.naturalWidth", arg=picture.element_handle())
        assert picture.evaluate("image => image.naturalWidth") == width
    pair = shown(seen, "twins.png").locator("details.pair")
    if pair.get_attribute("open") is None:
        pair.locator("summary").click()
    expect(pair.locator(".boxes text")).to_have_text(["1", "2"])


def test_faces_are_left_and_the_photo_is_published(seen: Page, scene: Scene) -> None:
    face(seen, 2).get_by_role("button", name="Leave this face").click()
    confirm(seen, "Leave this face of twins.png as it is?")
    expect(shown(seen, "twins.png")).to_have_count(0)
    again(seen, scene)
    expect(face(seen, 2)).to_contain_text("left as you asked")
    face(seen, 1).get_by_role("button", name="It is an animal").click()
    confirm(seen, "Is this nobody's face in twins.png?")
    again(seen, scene)
    assert scene.states()["twins.png"] is State.PUBLISHED
    assert [each.kind for each in scene.jobs()["twins.png"].decisions] == ["leave", "not-a-person"]


def test_a_decision_is_taken_back(seen: Page, scene: Scene) -> None:
    face(seen, 1).get_by_role("button", name="Leave this face").click()
    confirm(seen, "Leave this face")
    again(seen, scene)
    face(seen, 1).get_by_role("button", name="Take that back").click()
    expect(seen.locator("#step")).to_contain_text("Done")
    again(seen, scene)
    expect(face(seen, 1)).to_contain_text("still linked")
    assert scene.jobs()["twins.png"].decisions == ()


def test_stronger_changes_are_tried_one_after_another(seen: Page, scene: Scene) -> None:
    for strength in ("strong", "utmost"):
        shown(seen, "weak.png").get_by_role("button", name=f"Try stronger: {strength}").click()
        expect(seen.locator("#step")).to_contain_text("Done")
        again(seen, scene)
    assert scene.states()["weak.png"] is State.PUBLISHED


def test_what_is_another_by_now_is_not_decided_about(seen: Page, scene: Scene, visitor: Visitor) -> None:
    (scene.watch / "twins.png").write_bytes(photo("unchanged unprotected twins, painted over"))
    face(seen, 1).get_by_role("button", name="Leave this face").click()
    seen.locator("#confirm-do").click()
    expect(seen.locator("#step")).to_contain_text("was changed since it was held")
    assert scene.jobs()["twins.png"].decisions == ()
    visitor.forgive("409", "face/")

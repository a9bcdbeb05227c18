"""The test for people in a browser: all is asked, nothing is told before the end, and the rates are those answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Visitor
from playwright.sync_api import Page, expect

from uncnn.daemon.evaluate.intervals import wilson
from uncnn.daemon.pictures.blinded import PICTURES, BlindedFace, page

pytestmark = pytest.mark.slow

FACES = 4
RESULT = "What you saw"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of faces whose pictures are flat, each of its own grey: copies are lighter by 3 of 255."""
    made = tmp_path_factory.mktemp("blinded") / "blinded.html"
    levels = [(40 * face + np.array([0, 3, 1] * 2)).astype(np.uint8) for face in range(FACES)]
    shapes = [(60, 48, 3)] * 3 + [(32, 26, 3)] * 3
    faces = [
        BlindedFace(40.0 + 10 * face, tuple(np.full(shapes[place], own[place], np.uint8) for place in range(PICTURES)))
        for face, own in enumerate(levels)
    ]
    made.write_text(page(faces))
    return made


def open_page(visitor: Visitor, file: Path, **options: Any) -> Page:
    context = visitor.browser.new_context(**options)
    visitor.contexts.append(context)
    context.on("page", visitor._watch)
    seen = context.new_page()
    seen.goto(file.as_uri())
    return seen


def questions(seen: Page) -> Iterator[dict[str, Any]]:
    """Yield each question as it stands on the page, until the result is there."""
    while seen.locator("h1").inner_text() != RESULT:
        yield seen.evaluate("""async () => {
            const pictures = [...document.querySelectorAll("img")], canvas = document.createElement("canvas");
            const drawn = canvas.getContext("2d", {willReadFrequently: true});
            await Promise.all(pictures.map((each) => each.decode()));
            const levels = pictures.map((each) => {
                drawn.drawImage(each, 0, 0);
                return drawn.getImageData(0, 0, 1, 1).data[0];
            });
            return {levels, widths: pictures.map((each) => each.getBoundingClientRect().width)};
        }""")
        seen.get_by_role("button", name="Next").click()


def answer(seen: Page, legend: str, choice: str) -> None:
    seen.get_by_role("group", name=legend).get_by_role("radio", name=choice, exact=True).check()


def test_who_tells_every_copy_is_told_so(visitor: Visitor, file: Path, tmp_path: Path) -> None:
    seen = open_page(visitor, file)
    expect(seen.get_by_text(f"There are {4 * FACES} short questions")).to_be_visible()
    assert "copy" not in seen.locator("main").inner_text().lower()
    seen.get_by_role("button", name="Begin").click()
    asked = []
    for question in questions(seen):
        asked.append(question)
        low, *high = (level % 40 for level in question["levels"])
        if not high:
            answer(seen, "Was this picture changed?", "Yes" if low == 3 else "No")
            continue
        lighter = "A" if low > high[0] else "B"
        answer(seen, "Which one was changed?", lighter)
        answer(seen, "Are both the same person?", "Yes" if {low, *high} == {0, 1} else "No")
        answer(seen, "Who looks older?", lighter if question["widths"][0] > 30 else "Neither")
    assert len(asked) == 4 * FACES
    alone = [each for each in asked if len(each["levels"]) == 1]
    assert asked[:FACES] == alone, "alone first: who saw the pair would know"
    assert {level % 40 for each in alone for level in each["levels"]} == {1, 3}
    assert {tuple(sorted(level % 40 for level in each["levels"])) for each in asked[FACES:]} == {(0, 1), (0, 3)}
    assert {round(width) for each in asked for width in each["widths"]} == {48, round(26 / 3.186)}

    rows = {
        tuple(row[:2]): row[2:]
        for row in seen.get_by_role("region", name="Beside the original")
        .locator("tr")
        .evaluate_all("(all) => all.map((row) => [...row.cells].map((cell) => cell.textContent))")
    }
    low = round(100 * wilson(1.0, FACES)[0])
    every = f"100 % ({low} to 100)"
    none = f"0 % (0 to {100 - low})"
    assert rows["at native size", "cloaked"] == [str(FACES), every, none, every, none]
    assert rows["as on a phone", "cloaked"] == [str(FACES), every, none, none, none]
    half = round(100 * wilson(1.0, FACES / 2)[0])
    assert rows["as on a phone", "not cloaked"][:3] == [str(FACES // 2), *[f"100 % ({half} to 100)"] * 2]
    assert seen.locator("section").count() == 2 * FACES
    with seen.expect_download() as downloaded:
        seen.get_by_role("button", name="Save the answers").click()
    downloaded.value.save_as(tmp_path / "answers.json")
    saved = json.loads((tmp_path / "answers.json").read_text())
    assert len(saved["answers"]) == 4 * FACES
    assert {one["calledChanged"].get("share") for one in saved["alone"] if one["other"] == "control"} <= {0, None}


def test_answers_stay_when_the_page_is_opened_again(visitor: Visitor, file: Path) -> None:
    seen = open_page(visitor, file, viewport={"width": 360, "height": 740}, color_scheme="dark")
    seen.get_by_role("button", name="Begin").click()
    for number, _ in enumerate(questions(seen)):
        if number == 2:
            break
        answer(seen, "Was this picture changed?", "No")
    seen.reload()
    seen.get_by_role("button", name=f"Go on (2 of {4 * FACES} answered)").click()
    expect(seen.locator("h1")).to_have_text(f"One picture (3 of {4 * FACES})")
    seen.get_by_role("button", name="Back").click()
    expect(seen.locator("h1")).to_have_text(f"One picture (2 of {4 * FACES})")
    seen.get_by_role("button", name="Finish now").click()
    expect(seen.locator("h1")).to_have_text(RESULT)
    assert seen.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(visitor: Visitor, file: Path, modules: Path, colours: Any) -> None:
    axe = (modules / "axe-core" / "axe.min.js").read_text()
    seen = open_page(visitor, file, viewport={"width": 700, "height": 800}, color_scheme=colours)

    def check() -> None:
        seen.evaluate(axe)
        found = seen.evaluate("axe.run()")
        assert [each["id"] for each in found["violations"]] == []

    check()
    seen.get_by_role("button", name="Begin").click()
    for number, question in enumerate(questions(seen)):
        if number in (0, FACES):
            check()
        if len(question["levels"]) == 1:
            answer(seen, "Was this picture changed?", "No")
        else:
            answer(seen, "Which one was changed?", "A")
            answer(seen, "Are both the same person?", "No")
            answer(seen, "Who looks older?", "B")
    check()

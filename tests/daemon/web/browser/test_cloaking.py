"""A portrait is dropped and cloaked by the real engine, as a person sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Visitor
from playwright.sync_api import expect
from served_page import ServedPage

pytestmark = pytest.mark.slow

PORTRAIT = Path(__file__).parents[4] / "docs" / "examples" / "astronaut.png"
DIFFERENT = """
(canvas) => {
  const {data, width} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const at = (x, y) => [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)];
  const change = ([left, top, right, bottom]) => {
    let sum = 0;
    for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1)
      sum += Math.max(...at(x, y).map((each) => Math.abs(each - 128)));
    return sum / (right - left) / (bottom - top);
  };
  return [change([190, 70, 260, 170]), change([0, 0, 100, 100])];
}
"""


@pytest.fixture
def real_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPage]:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    served = ServedPage(tmp_path / "dropped")
    yield served
    served.close()


def test_a_portrait_is_cloaked_and_its_change_is_in_the_face(real_page: ServedPage, visitor: Visitor) -> None:
    seen = visitor.open(real_page)
    seen.set_input_files("#files", PORTRAIT)
    row = seen.locator("#photos > li")
    expect(row).to_have_attribute("data-status", "protected", timeout=240_000)
    expect(row.locator(".words").first).to_contain_text("Not recognised by 2 of 2")
    pair = row.locator("details.pair")
    expect(pair.locator(".after")).to_have_js_property("naturalWidth", 512)
    pair.get_by_role("button", name="Change").click()
    face, corner = pair.locator(".difference").evaluate(DIFFERENT)
    assert face > 10 * (corner + 0.5), "eight times the change is seen in the face, and nothing elsewhere"
    alike = row.locator("details.likenesses")
    expect(alike).to_be_visible(timeout=60_000)
    alike.locator("summary").click()
    expect(alike.locator("table.chances")).to_have_count(4)  # two judges, before and after
    before = alike.locator("table.chances").first
    expect(before.locator("tr")).to_have_count(7)  # five strangers, all others, none of these
    expect(before.locator("tr.nobody")).to_contain_text("%")
    assert before.locator("tr.nobody .length").evaluate("(bar) => bar.getBoundingClientRect().width") > 20, (
        "nobody is known"
    )

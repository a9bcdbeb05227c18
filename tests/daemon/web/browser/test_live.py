"""What happens is seen at once, in every window, and after whatever interrupted it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from browsing import PATIENCE_MS, Visitor, files, photo
from playwright.sync_api import expect
from scene import Scene
from served_page import ServedPage

pytestmark = pytest.mark.slow

WINDOWS = 8  # a browser opens six connections to a host


def test_every_window_follows_and_one_listens(page: ServedPage, visitor: Visitor) -> None:
    first = visitor.open(page)
    windows = [first, *(first.context.new_page() for _ in range(WINDOWS - 1))]
    for each in windows[1:]:
        each.goto(f"http://{page.host}/")
    page.put("me.png", photo("unchanged"))
    for each in windows:
        expect(each.locator("#photos > li[data-status=protected]")).to_have_count(1)
    page.until(lambda: page.site.changes.listeners == 1)
    first.close()  # another one listens from now on
    page.until(lambda: page.site.changes.listeners == 1)
    page.put("us.png", photo("unchanged"))
    for each in windows[1:]:
        expect(each.locator("#photos > li[data-status=protected]")).to_have_count(2)


def test_what_comes_into_a_folder_is_shown_and_what_a_person_looks_at_stays(
    scene: Scene, page: ServedPage, visitor: Visitor
) -> None:
    (scene.watch / "us.png").write_bytes(photo("unchanged unprotected"))
    scene.run()
    seen = visitor.open(page)
    seen.goto(f"http://{page.host}/held")
    slider = seen.get_by_role("slider")
    slider.fill("10")
    slider.focus()
    page.until(lambda: page.site.changes.listeners == 1)
    (scene.watch / "they.png").write_bytes(photo("unchanged unprotected 2"))
    scene.run()
    expect(seen.locator("#photos > li")).to_have_count(2)
    expect(seen.locator("#photos > li").last).to_contain_text("us.png")
    expect(seen.get_by_role("slider").last).to_have_value("10")
    expect(seen.get_by_role("slider").last).to_be_focused()
    seen.goto(f"http://{page.host}/today")
    expect(seen.locator("#shown")).to_have_text("2 of 2")
    (scene.watch / "me.png").write_bytes(photo("unchanged"))
    scene.run()
    expect(seen.locator("#shown")).to_have_text("3 of 3")
    expect(seen.locator("#photos > li").first).to_contain_text("published")


def test_how_many_photos_wait_is_seen_and_said_wherever_one_is(
    scene: Scene, page: ServedPage, visitor: Visitor
) -> None:
    drop = visitor.open(page)
    people = drop.context.new_page()
    people.goto(f"http://{page.host}/people")
    for each in (drop, people):
        expect(each.get_by_role("link", name="Held", exact=True)).to_be_visible()
        expect(each.locator("body")).to_have_attribute("data-presence", "here")
    for number in (1, 2):
        (scene.watch / f"{number}.png").write_bytes(photo(f"unchanged unprotected {number}"))
        scene.run()
        for each in (drop, people):
            expect(each.get_by_role("link", name=f"Held ({number})")).to_be_visible(timeout=PATIENCE_MS)
            expect(each.locator("#announced")).to_have_text(f"Photos that wait for your decision: {number}")


def start(port: int, root: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the real command on a port; return its process, and the code of the link that it prints."""
    own = {"HOME": str(root), "UNCNN_STATE": str(root / "state")}
    command = [sys.executable, "-m", "uncnn", "web", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "code=" in line:
            return process, line.strip().partition("code=")[2]
    raise AssertionError("no link was printed")


def test_a_window_goes_on_after_the_server_was_killed_and_started_again(visitor: Visitor, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process, code = start(port, tmp_path)
    try:
        seen = visitor.enter(f"127.0.0.1:{port}", code)
        expect(seen.locator("body")).to_have_attribute("data-presence", "here")
        process.kill()
        process.wait()
        expect(seen.get_by_role("alert")).to_contain_text("does not answer")
        process, code = start(port, tmp_path)
        expect(seen.get_by_role("alert")).to_contain_text("no longer let in")
        seen.context.new_page().goto(f"http://127.0.0.1:{port}/enter?code={code}")
        expect(seen.get_by_role("alert")).to_be_hidden()
        seen.set_input_files("#files", files(me="no photo of a face"))
        expect(seen.locator("#photos > li")).to_have_count(1)
        visitor.leave()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    visitor.forgive(
        *("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"),
        "401",
    )

"""Debian's Chromium, driven by Playwright, as the browser of a person who was let in."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect
from served_page import ServedPage

ELSEWHERE = "evil.example"
"""A stranger's name that resolves to this machine."""

PATIENCE_MS = 120_000  # a machine that does much else
expect.set_options(timeout=PATIENCE_MS)

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def photo(words: str) -> bytes:
    """Return a picture that any browser shows, of which the processes of the stub do what the words say."""
    written = io.BytesIO()
    Image.linear_gradient("L").resize((100, 100)).convert("RGB").save(written, "PNG")
    return written.getvalue() + words.encode()


def follow(seen: Page, name: str) -> None:
    """Follow a link to another page, and wait until that and its scripts are there."""
    with seen.expect_navigation():
        seen.get_by_role("link", name=name).click()


def files(**named: str) -> list[dict[str, Any]]:
    """Return photos for a file input, by the stem of their names and what they say."""
    return [{"name": f"{stem}.png", "mimeType": "image/png", "buffer": photo(words)} for stem, words in named.items()]


@dataclass
class Visitor:
    """Opens pages, and notes whatever a browser finds wrong with them: the policy of what may be loaded, too."""

    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, served: ServedPage, **options: Any) -> Page:
        """Return the first page, in a browser of its own that was let in by a link."""
        return self.enter(served.host, served.site.sessions.new_code(), **options)

    def enter(self, host: str, code: str, **options: Any) -> Page:
        context = self.browser.new_context(**{**DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        context.on("page", self._watch)
        page = context.new_page()
        page.goto(f"http://{host}/enter?code={code}")
        return page

    def leave(self) -> None:
        """Close all pages."""
        for context in self.contexts:
            context.close()
        self.contexts.clear()

    def forgive(self, *words: str) -> None:
        """Take away the faults that a test brought about itself."""
        self.faults = [fault for fault in self.faults if not any(each in fault for each in words)]

    def _watch(self, page: Page) -> None:
        page.on("console", lambda message: message.type in {"error", "warning"} and self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", self._check)

    def _check(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")

"""A real browser for the tests of the page, and what they need of npm; they are skipped where one is missing."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import ELSEWHERE, Visitor
from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
OPTIONS = ["--no-sandbox", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser; not for longer, since while Playwright is there nothing else can run an event loop."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium: what people see is what a browser shows")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    """Return who opens pages; a test fails if the browser found anything wrong that it did not forgive."""
    made = Visitor(chromium)
    yield made
    made.leave()
    assert not made.faults, made.faults


@pytest.fixture(scope="session")
def modules() -> Path:
    """Return the folder of what package-lock.json pins, installed once for all workers."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm: TypeScript and axe-core come from its registry")
    installed, pinned = MODULES / ".installed", (HERE / "package-lock.json").read_bytes()
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != pinned:
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, timeout=600)
            installed.write_bytes(pinned)
    return MODULES

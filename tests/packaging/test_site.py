"""The site of docs/: it builds without a warning, every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, Request, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "docs" / "site" / "build.py"
LOADS = {("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("object", "data")}
LINKED_BY_HEAD = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "prefetch"}
PATIENCE_MS = 120_000


@dataclass
class PageParts(HTMLParser):
    """The anchors of a page, what it loads, and what it links."""

    anchors: set[str] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        self.classes |= set(named.get("class", "").split())
        self.loads += [value for name, value in named.items() if (tag, name) in LOADS]
        if tag == "link" and LINKED_BY_HEAD & set(named.get("rel", "").split()):
            self.loads.append(named["href"])
        if tag == "a" and "href" in named:
            self.links.append(named["href"])


def parts_of(page: Path) -> PageParts:
    parts = PageParts()
    parts.feed(page.read_text())
    return parts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run([sys.executable, BUILD, folder], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, PageParts]:
    found = {page: parts_of(page) for page in sorted(site.rglob("*.html"))}
    assert len(found) > 40
    return found


def broken(page: Path, target: str, pages: dict[Path, PageParts]) -> bool:
    """Return whether what a page names is missing, or has no such anchor; another host's is not asked."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return False
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.is_file():
        return True
    return bool(parts.fragment) and unquote(parts.fragment) not in pages[file].anchors


def test_every_link_and_picture_of_the_site_is_there(pages: dict[Path, PageParts]) -> None:
    tried = [(page, target) for page, parts in pages.items() for target in (*parts.links, *parts.loads)]
    assert len(tried) > 1000
    # The page for what is not found is served for any address, so its links begin at the site's root.
    missing = [(page.name, target) for page, target in tried if page.name != "404.html" and broken(page, target, pages)]
    assert not missing


def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[Path, PageParts]) -> None:
    foreign = [f"{page.name}: {target}" for page, parts in pages.items() for target in parts.loads if "//" in target]
    assert not foreign
    assert not [page.name for page, parts in pages.items() if "mermaid" in parts.classes], "drawn by a script of a CDN"
    sheets = {sheet: sheet.read_text() for sheet in site.rglob("*.css")}
    assert sheets
    reached = [name for name, text in sheets.items() if re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text)]
    assert not reached


def test_every_page_is_in_the_navigation(site: Path) -> None:
    settings = (ROOT / "docs" / "site" / "mkdocs.yml").read_text()
    listed = set(re.findall(r"[\w./-]+\.md$", settings, re.MULTILINE))
    written = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert listed == written


def test_what_the_readme_and_other_pages_of_the_repository_link_is_there() -> None:
    """The site does not have these pages; the code host shows them."""
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("exporters/**/README.md")):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            parts = urlsplit(target)
            assert parts.scheme or not parts.path or (page.parent / parts.path).exists(), f"{page.name}: {target}"


def test_a_link_to_a_file_that_is_not_there_ends_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "site", tmp_path / "docs" / "site")
    (tmp_path / "docs" / "README.md").write_text("# A page\n\n[gone](../gone.py)\n")
    build = [sys.executable, tmp_path / "docs" / "site" / "build.py", tmp_path / "out"]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 1
    assert "docs/README.md links ../gone.py, and there is no such file" in built.stderr


@contextmanager
def browsed() -> Iterator[tuple[Page, list[str], list[str]]]:
    """Yield a page of a browser, what goes wrong in it, and all addresses that it asks for."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium: what people see is what a browser shows")
    faults: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: message.type in {"error", "warning"} and faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: _is_cut_short(request) or faults.append(f"not there: {request.url}"))
        page.on("request", lambda request: asked.append(request.url))
        yield page, faults, asked
        browser.close()


def _is_cut_short(request: Request) -> bool:
    """Return whether the next page came before it was answered."""
    return request.failure == "net::ERR_ABORTED"


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Yield the address of the site as a web server has it: its page for what is not found needs one."""
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_a_browser_opens_every_page_without_a_fault_and_asks_no_host(site: Path, pages: dict[Path, PageParts]) -> None:
    with served(site) as address, browsed() as (page, faults, asked):
        for file in pages:
            page.goto(f"{address}{file.relative_to(site)}", wait_until="networkidle")
            page.locator("main h1").first.wait_for()
        assert not faults
        assert not [each for each in asked if not each.startswith((address, "data:", "blob:"))]
        assert len(asked) > len(pages)


@pytest.mark.slow
def test_the_search_answers_where_no_server_runs(site: Path) -> None:
    with browsed() as (page, faults, asked):
        page.goto((site / "index.html").as_uri(), wait_until="networkidle")
        page.get_by_role("button", name="Search").first.click()
        page.keyboard.type("quarantined")
        page.get_by_text("When things go wrong").first.wait_for()
        assert not faults
        assert all(each.startswith((site.as_uri(), "data:", "blob:")) for each in asked)

"""Build docs/ as a site that loads nothing from anywhere: `python docs/site/build.py FOLDER` writes FOLDER/html.

The pages are read on the code host too, where their links lead all over the repository. Here they are copied, with
every file that they link: a page stays one, a picture stays one, and any other text becomes a page that shows it. Links
are written anew for the places where the copies lie. Whatever is linked and not there, or warned of, ends the build.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

SITE: Final = Path(__file__).resolve().parent
DOCS: Final = SITE.parent
ROOT: Final = DOCS.parent
OWN_FILES: Final = ("iframe-worker.js", "iframe-worker.LICENSE")
PICTURES: Final = (".png", ".jpg", ".svg", ".ipynb")
LANGUAGES: Final = {".py": "python", ".js": "javascript", ".toml": "toml", ".yaml": "yaml", ".sh": "sh"}
LINK: Final = re.compile(r'(?P<before>\]\(|\bsrc="|\bhref=")(?P<target>[^)\s"]+)')
FENCE: Final = re.compile(r"^( *)(```+|~~~+)")


class BrokenLinkError(Exception):
    """A page links a file that is not there."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Pages copied to `pages`, and what they link."""

    pages: Path
    done: set[Path] = field(default_factory=set)

    def take(self, file: Path) -> None:
        """Copy a file of the repository, and all that it links, unless that was done."""
        if file in self.done:
            return
        self.done.add(file)
        place = self.pages / place_of(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in PICTURES:
            shutil.copyfile(file, place)
        elif file.suffix == ".md":
            place.write_text("".join(self._linked(file, line) for line in lines_with_links(file.read_text())))
        else:
            place.write_text(shown(file))

    def _linked(self, page: Path, part: tuple[str, bool]) -> str:
        line, has_links = part
        return LINK.sub(lambda link: link["before"] + self._target(page, link["target"]), line) if has_links else line

    def _target(self, page: Path, target: str) -> str:
        """Return a link of `page` as it is on the site; what it leads to is copied.

        Raises BrokenLinkError where nothing is there.
        """
        path, hash_sign, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return target
        file = (page.parent / path).resolve()
        file = file / "README.md" if file.is_dir() else file
        if not file.is_file() or not file.is_relative_to(ROOT):
            raise BrokenLinkError(f"{page.relative_to(ROOT)} links {target}, and there is no such file")
        self.take(file)
        return os.path.relpath(place_of(file), place_of(page).parent) + hash_sign + anchor


def place_of(file: Path) -> PurePosixPath:
    """Return where a file of the repository lies on the site: what is not of docs/, below `repository`."""
    inside = PurePosixPath(file.relative_to(DOCS)) if file.is_relative_to(DOCS) else None
    place = inside or PurePosixPath("repository") / file.relative_to(ROOT)
    return place if file.suffix in (*PICTURES, ".md") else place.with_name(place.name + ".md")


def lines_with_links(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether what looks like a link is one there: it is not inside of a block of code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line)
        if found and not fence:
            fence = found[2]
        elif found and found[2].startswith(fence):
            fence = ""
            yield line, False
            continue
        yield line, not fence


def shown(file: Path) -> str:
    """Return a page that shows a text file."""
    text = file.read_text().rstrip()
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    name = file.relative_to(ROOT)
    return f"# {name.name}\n\n`{name}` of the repository:\n\n{fence}{LANGUAGES.get(file.suffix, '')}\n{text}\n{fence}\n"


def build(folder: Path) -> None:
    """Write the site to `folder`/html.

    Raises BrokenLinkError for a link to a file that is not there, and CalledProcessError for whatever else is wrong.
    """
    for name in ("pages", "html"):
        shutil.rmtree(folder / name, ignore_errors=True)
    copy = Copy(folder / "pages")
    for page in sorted(DOCS.rglob("*.md")):
        copy.take(page)
    for name in OWN_FILES:
        shutil.copyfile(SITE / name, copy.pages / name)
    shutil.copyfile(SITE / "mkdocs.yml", folder / "mkdocs.yml")
    generator = Path(sys.executable).with_name("zensical")
    subprocess.run([generator, "build", "--clean", "--strict", "-f", folder / "mkdocs.yml"], check=True)


def main() -> int:
    """Build, and say where the site is; return 1 where a link or the generator is wrong."""
    parser = argparse.ArgumentParser(description="Build docs/ as a site that loads nothing from anywhere.")
    parser.add_argument("folder", type=Path, help="where to: the site is in its folder html")
    folder = parser.parse_args().folder.resolve()
    try:
        build(folder)
    except BrokenLinkError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    print(f"open {folder / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What pages tell people to type: every command of ours exists, and the guides of docs/guides run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from uncnn.daemon.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"(?P<not_run><!-- not run: [^>]+ -->\n)?```sh\n(?P<text>.*?)```", re.DOTALL)


def blocks(page: Path, run: bool | None = None) -> list[str]:
    """Return what stands in the blocks of commands: all, or those that are to be run, or those that are not."""
    found = [(block["not_run"] is None, block["text"]) for block in BLOCK.finditer(page.read_text())]
    return [text for is_run, text in found if run is None or is_run is run]


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command of ours, without what a shell makes of them."""
    joined = "\n".join(blocks(page)).replace("\\\n", " ")
    lines = re.findall(r"^(?:.*? )?uncnn-daemon (.*)$", joined, re.MULTILINE)
    return [re.split(r" (?:\|\||&&|[|>&#;]) ?", line)[0].split() for line in lines]


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """Return the command that words name, and the options that it has."""
    command: Any = typer.main.get_command(app)
    named: list[str] = []
    while hasattr(command, "commands"):
        name = words[len(named)]
        assert name in command.commands, f"{' '.join(words)}: no such command"
        command = command.commands[name]
        named.append(name)
    return " ".join(named), {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


def test_every_command_and_option_that_a_page_names_exists() -> None:
    typed = [words for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) for words in commands(page)]
    assert len(typed) > 100
    for words in typed:
        name, options = options_of(words)
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= options | {"--help"}, f"{name}: {used - options}"


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    """One shell, from the top of the repository, in a new home: what a block makes, the next one uses."""
    script = "\n".join(blocks(page, run=True))
    if "../shared" in script and not (ROOT.parent / "shared").is_dir():
        pytest.skip("needs ../shared: photos of people that may not be committed")
    assert script.count("uncnn-daemon ") >= 3
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path), "PATH": path, "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-xeuo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

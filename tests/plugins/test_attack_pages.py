"""Every attack of ours has a page that says what can be set, and what stands there holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from uncnn.daemon.config import Attack
from uncnn.plugins.parameters import parameters_of
from uncnn.plugins.registry import TARGET_PARAMETERS, entries, load_attack, make_attack, make_budget

PAGES = Path(__file__).resolve().parents[2] / "docs" / "attacks"
OURS = sorted(name for name, entry in entries().items() if entry.dist is not None and entry.dist.name == "uncnn")


@pytest.mark.parametrize("name", OURS)
def test_every_attack_has_a_page_with_each_parameter_and_its_default(name: str) -> None:
    page = PAGES / f"{name}.md"
    assert page.is_file(), f"write {page.name}: what it is for, its parameters, how to set them"
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page.read_text(), re.MULTILINE))
    expected = {each.name: each.default for each in parameters_of(load_attack(name))}
    assert {key: yaml.safe_load(value) for key, value in rows.items()} == expected


@pytest.mark.parametrize("name", OURS)
def test_what_a_page_shows_can_be_set(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    policies = [yaml.safe_load(block)["attack"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    commands = re.findall(r"uncnn-daemon cloak .*", text)
    assert policies
    assert commands
    for command in commands:
        assert f"--attack {name}" in command
        settings = dict(setting.split("=", 1) for setting in re.findall(r"--set (\S+)", command))
        policies.append({"name": name, **{key: yaml.safe_load(value) for key, value in settings.items()}})
    for policy in policies:
        attack = Attack.model_validate(policy)
        assert attack.name == name
        make_attack(name, attack.parameters)
        make_budget(attack.strength, attack.parameters)


def test_the_list_has_every_page_and_says_who_may_be_a_target() -> None:
    text = (PAGES / "README.md").read_text()
    linked = re.findall(r"^\| \[`([\w-]+)`\]\(([\w-]+)\.md\)", text, re.MULTILINE)
    assert sorted(name for name, _ in linked) == OURS
    assert all(name == page for name, page in linked)
    assert {page.stem for page in PAGES.glob("*.md")} == {*OURS, "README"}, "no page of an attack that is gone"
    for word in (*TARGET_PARAMETERS, "none", "synthetic", "crowd", "consent"):
        assert word in text


def test_every_page_has_its_row_of_the_evaluate_table() -> None:
    row = r"^\| `([\w-]+)` (\| [\d.]+ \| [\d.]+(?: \| \d+ %){3} \| [\d.]+ \|)$"
    rows = dict(re.findall(row, (PAGES / "README.md").read_text(), re.MULTILINE))
    for name in OURS:
        assert f"| `{name}` {rows[name]}\n" in (PAGES / f"{name}.md").read_text()

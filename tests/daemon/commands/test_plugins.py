"""`plugins list` and `plugins show`, with a stranger's plugins beside ours: sound, silent and broken ones."""

from __future__ import annotations

import os

import pytest
from models_home import ModelsHome

from uncnn.plugins.registry import STRENGTHS, attack_names, entries

OURS = [name for name, entry in entries().items() if entry.dist is not None and entry.dist.name == "uncnn"]

STRANGERS = '''
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Silent:
    strength_of_will: float = 0.5
    names: tuple = field(default_factory=tuple)
    def perturb(self, faces, loss, budget): ...

@dataclass(frozen=True)
class Told:
    """Does nothing, politely.

    More of it.
    """
    def perturb(self, faces, loss, budget): ...

class Plain:
    def perturb(self, faces, loss, budget): ...
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    """Return a home, beside which a distribution with four attacks is installed."""
    made = ModelsHome(tmp_path_factory.mktemp("home"))
    information = made.root / "site" / "strangers-2.5.dist-info"
    information.mkdir(parents=True)
    (made.root / "site" / "strangers.py").write_text(STRANGERS)
    (made.root / "site" / "leaves.py").write_text("raise SystemExit('not\\ntoday')\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 2.5\n")
    places = {
        "silent": "strangers:Silent",
        "told": "strangers:Told",
        "plain": "strangers:Plain",
        "leaves": "leaves:Any",
    }
    lines = "\n".join(f"{name} = {place}" for name, place in places.items())
    (information / "entry_points.txt").write_text(f"[uncnn.attacks]\n{lines}\n")
    return made


def asked(home: ModelsHome, *arguments: str) -> tuple[int, dict]:
    paths = os.pathsep.join([str(home.root / "site"), os.environ.get("PYTHONPATH", "")])
    return home.json("plugins", *arguments, PYTHONPATH=paths)


def said(home: ModelsHome, *arguments: str) -> tuple[int, str, str]:
    answer = home.run("plugins", *arguments, PYTHONPATH=str(home.root / "site"))
    return answer.returncode, answer.stdout, answer.stderr


@pytest.mark.slow
def test_every_attack_is_listed_and_a_broken_one_with_its_fault(home: ModelsHome) -> None:
    code, answer = asked(home, "list")
    assert code == 0
    listed = {each["name"]: each for each in answer["attacks"]}
    assert set(listed) == {*attack_names(), "silent", "told", "plain", "leaves"}
    for name in OURS:
        assert listed[name]["distribution"].startswith("uncnn ")
        assert listed[name]["description"]
        assert listed[name]["problem"] is None
    assert (listed["told"]["distribution"], listed["told"]["description"]) == (
        "strangers 2.5",
        "Does nothing, politely.",
    )
    assert listed["silent"]["description"] == ""
    assert "SystemExit: not\ntoday" in listed["leaves"]["problem"]
    assert "no dataclass with a method perturb" in listed["plain"]["problem"]
    code, words, _ = said(home, "list")
    assert code == 0
    assert len(words.splitlines()) == len(listed) + len(answer["detectors"]), "a line each"
    assert "broken: attack leaves cannot be loaded (SystemExit: not today)" in words


@pytest.mark.slow
def test_an_attack_is_shown_with_its_paper_and_all_that_can_be_set(home: ModelsHome) -> None:
    code, answer = asked(home, "show", "p-fgvm")
    assert code == 0
    assert "Chatzikyriakidis, Papaioannidis, Pitas" in answer["about"]
    step_size = answer["parameters"][0]
    assert (step_size["name"], step_size["default"]) == ("step_size", 2.5)
    assert step_size["unit"] == "bounds of the face"
    assert step_size["values"] == "a number above 0"
    budget = {each["name"]: each["strengths"] for each in answer["budget"]}
    assert budget["visibility"] == {name: each.visibility for name, each in STRENGTHS.items()}
    assert [each["name"] for each in answer["aim"]] == ["target", "objective"]
    _, words, _ = said(home, "show", "p-fgvm")
    assert "Adversarial face de-identification" in words
    bounds = ", ".join(str(budget.visibility) for budget in STRENGTHS.values())
    assert f"visibility = {bounds}" in words
    assert "views = true" in words
    assert "target = none" in words


@pytest.mark.parametrize("name", OURS)
def test_ours_say_what_each_parameter_is_for(name: str, home: ModelsHome) -> None:
    from uncnn.daemon.commands.plugins import _looked_at

    plugin = _looked_at(name, entries()[name])
    assert plugin.about != plugin.description
    for each in plugin.parameters:
        assert each.meaning, each.name
        assert each.values, each.name


@pytest.mark.slow
def test_a_stranger_who_says_nothing_of_parameters_is_shown_with_their_defaults(home: ModelsHome) -> None:
    code, answer = asked(home, "show", "silent")
    assert code == 0
    assert [(each["name"], each["default"], each["meaning"]) for each in answer["parameters"]] == [
        ("strength_of_will", 0.5, ""),
        ("names", "()", ""),
    ]
    assert "  strength_of_will = 0.5\n" in said(home, "show", "silent")[1]
    assert "More of it." in said(home, "show", "told")[1]


@pytest.mark.parametrize(
    ("name", "words"), [("nobody", "is not installed: choose one of boundary"), ("leaves", "cannot be loaded")]
)
def test_what_cannot_be_shown_is_one_line(home: ModelsHome, name: str, words: str) -> None:
    code, shown, complaint = said(home, "show", name)
    assert (code, shown) == (1, "")
    assert words in complaint
    assert "Traceback" not in complaint

"""Judges from outside: programs that write embeddings, and model folders; and what is released as installed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from models_home import ModelsHome, some_people
from PIL import Image

from uncnn.daemon.commands.evaluate import installed_settings
from uncnn.daemon.config import Policy
from uncnn.daemon.evaluate import cloaking
from uncnn.daemon.evaluate.cloaking import Cloaking
from uncnn.daemon.evaluate.findings import findings_of
from uncnn.daemon.evaluate.judge_commands import Exhibits, ask_commands
from uncnn.daemon.evaluate.judge_process import NO_AIDES, Aides, outside_models
from uncnn.daemon.evaluate.plan import AS_INSTALLED, UNCLOAKED, EvaluationError, JudgeCommand, Plan, make_plan
from uncnn.daemon.evaluate.values import Session, Shot, Take
from uncnn.daemon.evaluate.visibility import LIKENESS, summaries_of
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import CANDIDATE, Change, Changed, Compare, Compared, Embedded, Look, Looked
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.verify.jod import Jod
from uncnn.exporters.registry.choice import Installed
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import read_card

UNSEEN = Jod(10.0, 10.0, None)

PIXELS = """
import json, pathlib, sys
from PIL import Image
rows = {}
for folder in sys.argv[2:]:
    for file in sorted(pathlib.Path(folder).iterdir()):
        small = Image.open(file).convert("L").resize((6, 6))
        values = [float(value) for value in small.tobytes()]
        rows[str(file)] = {"pixels": values, "age": values[0] / 4, "pixels_error": "a word"}
        if max(values) < 20:
            rows[str(file)] = {}  # nothing to be seen
pathlib.Path(sys.argv[1]).write_text(json.dumps(rows))
"""
"""A program that takes a photo of 6 x 6 pixels for a face; on a dark one it finds none."""


def program(folder: Path, text: str) -> str:
    (folder / "judge.py").write_text(text)
    return f"{sys.executable} {folder / 'judge.py'}"


def exhibits(folder: Path, people: int = 3, distractors: int = 20) -> tuple[Session, Exhibits]:
    """Return two photos of each person, cloaked so that the last one is dark, and how they are laid out."""
    random = np.random.default_rng(0)
    made, shots = Exhibits(folder / "exhibits", True), []
    for number in range(2 * people):
        name = f"{number // 2}/{number}.png"
        face = np.kron(np.random.default_rng(number // 2).integers(40, 255, (6, 6)), np.ones((8, 8)))
        files = {}
        for strength, pixels in ((UNCLOAKED, face), ("strong", face[:, ::-1] if number < 2 * people - 1 else 0 * face)):
            files[strength] = folder / f"{strength}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(files[strength])
        made.add_shot(files[UNCLOAKED], name, files)
        takes = {strength: Take(1.0, True, None, {}, UNSEEN) for strength in files}
        shots.append(Shot(str(number // 2), name, 48.0, {}, takes))
    for number in range(distractors):
        other = folder / f"{number}.png"
        Image.fromarray(np.kron(random.integers(40, 255, (6, 6)), np.ones((8, 8))).astype(np.uint8)).save(other)
        made.add_distractor(other, str(number))
    return Session(tuple(shots), (), {}, ()), made


def plan_of(command: str, far: float = 1e-2) -> Plan:
    return Plan(Path("people"), (), (), ("strong",), ("as-is",), far, commands=(JudgeCommand.of(command),))


def test_a_program_judges_the_files_as_they_were_released(tmp_path: Path) -> None:
    session, made = exhibits(tmp_path)
    plan = plan_of(f"mine={program(tmp_path, PIXELS)}")
    session, (judge,) = ask_commands(session, plan, made)
    assert (judge.name, judge.metric, judge.outside) == ("mine:pixels", "cosine", True)
    assert 0.2 < judge.threshold < 0.9, "of 36 numbers at random, one pair in a hundred is so much alike"
    assert session.distractors["mine:pixels"].shape == (20, 36)
    assert np.abs(session.distractors["mine:pixels"].mean(axis=0)).max() < 1e-3, "the mean of other people is taken off"
    none, strong = _over_all(session, plan, [judge])
    assert (none.own_photo.value, none.match.value) == (1, 1)
    assert (strong.own_photo.value, strong.match.value) == (0, 0), "mirrored, they look like nobody; dark, like nothing"
    assert strong.own_photo.photos == 6
    assert strong.cloaked_match.value == pytest.approx(4 / 6), "each mirrored one to the other; the dark one to none"
    assert not session.shots[-1].takes["strong"].embeddings["mine:pixels"]["as-is"].any()
    assert session.notes == ("mine:pixels finds no face on 1 of 6 photos, strong",)


def test_a_program_may_compare_distances(tmp_path: Path) -> None:
    session, made = exhibits(tmp_path)
    plan = plan_of(program(tmp_path, PIXELS.replace('"age"', '"metric": "euclidean", "age"')))
    session, (judge,) = ask_commands(session, plan, made)
    others = session.distractors["pixels"].astype(np.float64)
    distances = np.linalg.norm(others[:, None] - others, axis=2)[np.triu_indices(len(others), 1)]
    assert (judge.metric, judge.threshold) == ("euclidean", pytest.approx(np.quantile(distances, 0.01)))
    none, strong = _over_all(session, plan, [judge])
    assert (none.own_photo.value, strong.own_photo.value) == (1, 0), "the farther, the less alike"


def _over_all(session: Session, plan: Plan, judges: list[Any]) -> list[Any]:
    return [found for found in findings_of(session, plan, judges) if found.size == "all"]


def test_the_age_alarm_is_the_mean_and_the_largest_change(tmp_path: Path) -> None:
    session, made = exhibits(tmp_path)
    plan = plan_of(program(tmp_path, PIXELS))
    session, (judge,) = ask_commands(session, plan, made)
    assert judge.name == "pixels"
    changes = []
    for shot in session.shots[:-1]:
        after, before = shot.takes["strong"].age, shot.age
        assert after is not None
        assert before is not None
        changes.append(after - before)
    assert session.shots[-1].takes["strong"].age is None, "it is dark"
    summary = next(each for each in summaries_of(session, plan) if (each.strength, each.size) == ("strong", "all"))
    assert summary.age is not None
    assert summary.age.mean == pytest.approx(np.mean(changes))
    assert summary.age.worst == max(changes, key=abs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit('no such network')", r"ended with exit status 1: no such network"),
        ("", r"what it wrote cannot be used .*COMMAND OUT\.json DIR"),
        ("import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('[1]')", r"what it wrote cannot be used"),
        (
            'import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(\'{"/elsewhere.jpg": {"one": [1]}}\')',
            r"what it wrote cannot be used",
        ),
        (PIXELS.replace("values, ", "[float('nan')], "), r"pixels is no list of finite numbers"),
        (PIXELS.replace('"pixels": values, ', ""), r"it found no face on any photo"),
        (PIXELS.replace("values, ", "values[:len(rows) + 1], "), r"embeddings of pixels are of several lengths"),
        (PIXELS.replace('"age"', '"metric": "angle", "age"'), r"metric is none of cosine, euclidean"),
        (
            PIXELS.replace('"age"', '["age", "metric"][:len(rows) % 2 + 1][-1]').replace(
                "values[0] / 4", '"euclidean"'
            ),
            r"its rows are of several metrics",
        ),
    ],
)
def test_programs_that_write_something_else_are_named(tmp_path: Path, text: str, message: str) -> None:
    session, made = exhibits(tmp_path)
    with pytest.raises(EvaluationError, match=message):
        ask_commands(session, plan_of(f"mine={program(tmp_path, text)}"), made)


def test_thresholds_need_other_people(tmp_path: Path) -> None:
    session, made = exhibits(tmp_path, distractors=20)
    with pytest.raises(EvaluationError, match=r"judge pixels: .* of 20 people, and 46 are needed .* FAR 0.001"):
        ask_commands(session, plan_of(program(tmp_path, PIXELS), far=1e-3), made)


def test_two_judges_of_one_name_are_told_apart_by_names(tmp_path: Path) -> None:
    session, made = exhibits(tmp_path)
    command = program(tmp_path, PIXELS)
    both = Plan(Path("p"), (), (), ("strong",), ("as-is",), 1e-2, commands=(JudgeCommand.of(command),) * 2)
    with pytest.raises(EvaluationError, match=r"two judges pixels: write NAME=COMMAND"):
        ask_commands(session, both, made)


def test_commands_are_read_as_a_shell_does() -> None:
    assert JudgeCommand.of("node embed.js") == JudgeCommand(("node", "embed.js"))
    assert JudgeCommand.of("web=node 'my judge.js' --size=3") == JudgeCommand(
        ("node", "my judge.js", "--size=3"), "web"
    )
    for wrong in ("", "web=", "node 'embed.js"):
        with pytest.raises(EvaluationError, match="--judge-command"):
            JudgeCommand.of(wrong)
    with pytest.raises(EvaluationError, match=r"cannot be started .*No such file"):
        ask_commands(Session((), (), {}, ()), plan_of("/no/such/program"), Exhibits(EMBEDDED, True))


def test_originals_that_the_web_does_not_show_are_shown_as_no_cloak_leaves_them(tmp_path: Path) -> None:
    made = Exhibits(tmp_path / "exhibits", True)
    kinds = {"tiff": "TIFF", "png": "PNG", "none": "JPEG", "webp": "WEBP"}
    for name, kind in kinds.items():
        Image.new("RGB", (8, 8)).save(tmp_path / name, kind)
    released = {UNCLOAKED: tmp_path / "none", "strong": tmp_path / "webp"}
    made.add_shot(tmp_path / "tiff", "ada/1", released)
    made.add_shot(tmp_path / "png", "ada/2", {**released, "strong": tmp_path / "tiff"})
    assert (tmp_path / "exhibits/clean/00000.jpg").read_bytes() == (tmp_path / "none").read_bytes()
    assert (tmp_path / "exhibits/clean/00001.png").read_bytes() == (tmp_path / "png").read_bytes()
    assert (tmp_path / "exhibits/strong/00000.webp").exists()
    assert made.place("strong", "ada/1") in made.laid
    assert made.place("strong", "ada/2") not in made.laid, "nothing is asked about it"
    Exhibits(tmp_path / "unwanted", False).add_shot(tmp_path / "png", "1.jpg", released)
    assert not (tmp_path / "unwanted").exists()


def another(folder: Path, name: str, **changes: Any) -> Path:
    """Return a model folder made of one that ships, under another name."""
    shutil.copytree(EMBEDDED / "openvino-0095", folder / name)
    card = yaml.safe_load((folder / name / "card.yaml").read_text())
    (folder / name / "card.yaml").write_text(yaml.safe_dump({**card, "name": name, **changes}))
    return folder / name


def roster_of(*judges: str) -> Any:
    models = tuple(Installed(EMBEDDED / name, read_card(EMBEDDED / name)) for name in judges)
    return SimpleNamespace(surrogates=(), judges=models)


def test_models_from_outside_have_no_part_in_the_run(tmp_path: Path) -> None:
    another(tmp_path, "mine")
    ((mine,), notes) = outside_models(roster_of("dlib-resnet"), tmp_path)
    assert (mine.card.name, notes) == ("mine", ())
    models, notes = outside_models(roster_of("openvino-0095"), tmp_path)
    assert (models, notes) == ((), ("mine is no judge outside: it is attacked or judges already",)), "by its content"
    another(tmp_path, "dlib-resnet")
    _, notes = outside_models(roster_of("dlib-resnet"), tmp_path)
    assert notes == ("dlib-resnet is no judge outside: it is attacked or judges already",), "by its name"
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match=r"empty: no folder in it has a card\.yaml"):
        outside_models(roster_of("dlib-resnet"), tmp_path / "empty")


@pytest.mark.parametrize("options", [{"config": Path("c")}, {"policy": "everyday"}, {"licences": ["research"]}])
def test_as_installed_is_the_default_policy_alone(options: dict[str, Any]) -> None:
    given = {"config": None, "policy": None, "attack": None, "parameters": None, "licences": None, "device": None}
    assert installed_settings(**given).policy == Policy()
    assert installed_settings(**{**given, "parameters": ["steps=3"]}).policy.attack.parameters == {"steps": 3}
    option = {"config": "--config", "policy": "--policy", "licences": "--licence"}[next(iter(options))]
    with pytest.raises(SettingsError, match=f"leave {option} out"):
        installed_settings(**{**given, **options})


class FakeEngine:
    """Finds the face again and makes one embedding of every view."""

    roster = SimpleNamespace(judges=[SimpleNamespace(card=SimpleNamespace(name="one"))])

    def look(self, asked: Look) -> Looked:
        raise AssertionError(asked)

    def change(self, asked: Change, _report: object) -> Changed:
        return Changed(asked.photo.beside(CANDIDATE, b""), ())

    def judge(self, asked: Any) -> Any:
        if isinstance(asked, Compare):
            return Compared(UNSEEN, None)
        return Embedded(None, True, {"one": {view: [1.0, 0.0] for view in asked.views}})


@pytest.mark.parametrize("decision", ["publish", "hold"])
def test_photos_that_are_held_are_counted_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    def protect(*_: Any) -> Any:
        (tmp_path / "candidate").touch()
        return SimpleNamespace(
            candidate=Content(tmp_path / "candidate"),
            decision=decision,
            reason="not protected",
            seconds=6.0,
            faces=2,
            strengths=("balanced", "strong"),
        )

    monkeypatch.setattr(cloaking, "protect", protect)
    plan = Plan(tmp_path, (), (), (AS_INSTALLED,), ("as-is",), 1e-3)
    assert plan.as_installed
    face = Face((0, 0, 50, 50), ((10, 10), (40, 10), (25, 25), (12, 40), (38, 40)), 1.0)
    heard = SimpleNamespace(report=lambda _: None)
    work = Cloaking(FakeEngine(), plan, Policy(), tmp_path / "source", "photo", heard, NO_AIDES)  # type: ignore[arg-type]
    shot = work.shot("Ada", face)
    take = shot.takes[AS_INSTALLED]
    assert (take.seconds, take.strengths) == (3.0, ("balanced", "strong"))
    assert take.held == ("" if decision == "publish" else "not protected")
    assert all(file.exists() for file in work.released().values())
    held = decision == "hold"
    summary = next(each for each in summaries_of(Session((shot,), (), {}, ()), plan) if each.strength == AS_INSTALLED)
    assert (summary.photos, summary.held) == (0, 1) if held else (1, 0)


def test_likeness_is_the_cosine_to_the_robust_recogniser() -> None:
    clean = {LIKENESS: np.array([1, 0], np.float32)}
    embeddings = [{LIKENESS: {"as-is": np.array(values, np.float32)}} for values in ([1, 0], [0.6, 0.8])]
    shots = tuple(
        Shot(
            "Ada",
            f"{number}.jpg",
            90.0,
            clean,
            {name: Take(1.0, True, None, own, UNSEEN) for name in (UNCLOAKED, "strong")},
        )
        for number, own in enumerate(embeddings)
    )
    plan = Plan(Path("people"), (), (), ("strong",), ("as-is",), 1e-3)
    summary = next(each for each in summaries_of(Session(shots, (), {}, ()), plan) if each.strength == "strong")
    assert summary.likeness is not None
    assert (summary.likeness.mean, summary.likeness.worst) == (pytest.approx(0.8), pytest.approx(0.6))


def test_without_processes_nothing_is_asked() -> None:
    assert Aides().embed({}) == {}


def test_too_few_distractors_for_a_program_are_told_before_anything_is_cloaked(tmp_path: Path) -> None:
    for folder, people in (("people", 2), ("others", 45), ("enough", 46)):
        for number in range(people):
            own = tmp_path / folder / f"{folder}{number}"
            own.mkdir(parents=True)
            for photo in range(2):
                (own / f"{photo}.jpg").touch()
    commands = [JudgeCommand.of("true")]
    with pytest.raises(EvaluationError, match=r"46 people are needed .* FAR 0.001, and --distractors has 45"):
        make_plan(tmp_path / "people", distractors=tmp_path / "others", commands=commands)
    few = make_plan(tmp_path / "people", distractors=tmp_path / "enough", commands=commands)
    assert "the 1 most alike of 1,035 pairs of distractors" in few.doubt
    assert "142 people or more" in few.doubt
    assert replace(few, commands=()).doubt == ""
    assert replace(few, strangers=tuple(map(str, range(142)))).doubt == ""


@pytest.mark.slow
def test_real_photos_as_installed_before_judges_from_outside(
    shared_data: Path, recogniser_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whatever models the user has; a likeness and a program among the judges; few steps, so that it is quick."""
    home = ModelsHome(tmp_path / "home")
    folder = some_people(shared_data / "lfw" / "identities", tmp_path / "people", people=2, photos=2)
    others = some_people(
        shared_data / "lfw" / "distractors", tmp_path / "others", people=46, photos=1
    )  # pairs for FAR 1e-3
    another(home.models, "pulled", role="surrogate")
    another(tmp_path / "named", "named", role="judge")
    shutil.copytree(recogniser_folder("edgeface-xxs"), tmp_path / "judges" / LIKENESS)
    card = tmp_path / "judges" / LIKENESS / "card.yaml"
    card.chmod(0o644)
    card.write_text(card.read_text().replace("name: edgeface-xxs", f"name: {LIKENESS}", 1))
    options = ("--as-installed", "--set", "steps=12", "--view", "as-is", "--distractors", others)
    judges = ("--judge-models", tmp_path / "judges", "--judge-command", f"web={program(tmp_path, PIXELS)}")
    code, content = home.json(
        "evaluate", folder, "-o", tmp_path / "out", *options, *judges, version=2, UNCNN_MODELS=str(tmp_path / "named")
    )
    assert code == 0
    assert content["as_installed"]
    assert "pulled" not in content["surrogates"]
    assert {judge["name"]: judge["outside"] for judge in content["judges"]} == {
        "dlib-resnet": False,
        "openvino-0095": False,
        "web:pixels": True,
    }
    none, installed = (each for each in content["strengths"] if each["size"] == "all")
    assert (none["strength"], installed["strength"]) == ("none", "as-installed")
    assert installed["photos"] + installed["held"] == 4
    takes = [photo["takes"][1] for photo in content["photos"]]
    assert sum(bool(take["held"]) for take in takes) == installed["held"]
    assert all(set(take["cloaked_with"]) <= {"balanced", "strong", "utmost", ""} for take in takes)
    if installed["photos"]:
        assert installed["years_older"] is not None
        assert 1 > installed["likeness"]["mean"] >= installed["likeness"]["worst"]
        assert 9.9 > installed["jod"]["desktop"] > installed["jod"]["zoom"]
        own = [found for found in content["findings"] if found["strength"] == "as-installed" and found["size"] == "all"]
        inside = [found for found in own if not found["judge"].startswith("web")]
        assert [found["own_photo"]["value"] for found in inside] == [0, 0], "or it would have been held"
        assert all(found["own_photo"]["photos"] == installed["photos"] for found in own)
    table = (tmp_path / "out" / "table.txt").read_text()
    assert re.search(r"^as installed +as-is ", table, re.MULTILINE)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == content

"""The arithmetic of `benchmarks/peers.py`: methods beside `veil` at what they show, programs that are asked, groups."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onepass import Portrait
from peers_faces import Person
from peers_fawkes import firsts
from peers_groups import groups_of
from peers_kept import Kept
from peers_methods import Method, Trivial
from peers_programs import program_of
from peers_table import WITH_INTERVAL, Clean, Row, equally_visible, row_of, strangers_linked
from PIL import Image

from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.intervals import Rate
from uncnn.daemon.evaluate.plan import EvaluationError, JudgeCommand
from uncnn.plugins.api import Face, Pixels

FACE = Face((0, 0, 48, 48), ((10, 10), (40, 10), (25, 25), (12, 40), (38, 40)), 1.0)


def row(name: str, kind: str, jod: float, left: float) -> Row:
    rates = {adversary: Rate(left, left, left, 100) for adversary in WITH_INTERVAL}
    return Row(Method(name, Trivial("nothing"), kind), 50, (10.0, jod, 9.0), rates, {}, 1.0, 1.0)


def test_veil_is_read_off_between_its_strengths_and_not_beyond_them() -> None:
    ours = [row("strong", "ours", 9.2, 0.0), row("subtle", "ours", 9.8, 0.6), row("balanced", "ours", 9.4, 0.2)]
    published = [row("loud", "published", 9.0, 0.5), row("faint", "published", 9.9, 0.9)]
    others = [row("like", "published", 9.6, 0.5), row("a bar", "by hand", 9.6, 1.0)]
    assert equally_visible([*ours, *published, *others]) == [
        "| faint | 9.90 |" + " 90% | 60%* |" * 4,
        "| like | 9.60 |" + " 50% | 40% |" * 4,
        "| loud | 9.00 |" + " 50% | 0%* |" * 4,
    ]
    assert equally_visible(published) == []
    seen = [replace(each, jod=(each.jod[1], 9.0, 9.0)) for each in (*ours, *published)]
    assert equally_visible(seen, "phone") == equally_visible([*ours, *published])


def test_copies_of_two_people_that_are_linked_are_said_beside_those_of_one() -> None:
    plain, told = row("a", "published", 9.0, 0.5), {"one": 0.004, "other": 0.1, "asked nothing": None}
    assert strangers_linked([plain, replace(plain, strangers=told)]) == ["| a | 50 | 50% | 5.2% | 10.0% |"]


PIXELS = """
import json, pathlib, sys
from PIL import Image
rows = {}
for folder in sys.argv[2:]:
    for file in sorted(pathlib.Path(folder).iterdir()):
        values = [float(value) for value in Image.open(file).convert("L").resize((6, 6)).tobytes()]
        rows[str(file)] = {"pixels": values} if max(values) > 20 else {}
pathlib.Path(sys.argv[1]).write_text(json.dumps(rows))
"""
"""A program that takes a photo of 6 x 6 pixels for a face; on a dark one it finds none."""


def picture(random: np.random.Generator) -> Pixels:
    return np.kron(random.integers(40, 255, (6, 6)), np.ones((8, 8))).astype(np.uint8)[..., None].repeat(3, axis=2)


def test_a_program_is_asked_once_about_each_photo_and_links_what_it_sees(tmp_path: Path) -> None:
    """Ada's copies are her photos; of Bob's, one is dark and one somebody else's."""
    random = np.random.default_rng(0)
    people, kept = [], {}
    for name in ("Ada", "Bob"):
        face = picture(random)
        own = [Portrait(name, (face - number).astype(np.uint8), FACE) for number in range(4)]
        people.append(Person(name, tuple(own[:2]), tuple(own[2:])))
        kept[name] = Kept({}, np.full((2, 3), 9.0), 1.0, 1.0)
    copies = tmp_path / "a-method"
    copies.mkdir()
    for number in range(2):
        Image.fromarray(people[0].judged[number].photo).save(copies / f"Ada-{number}.jpg", quality=95)
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(copies / "Bob-0.jpg")
    Image.fromarray(picture(random)).save(copies / "Bob-1.jpg")
    for number in range(150):  # so many that 1 in 10,000 pairs is one of them
        (tmp_path / "distractors" / f"{number:03d}").mkdir(parents=True)
        Image.fromarray(picture(random)).save(tmp_path / "distractors" / f"{number:03d}" / "0.png")
    (tmp_path / "judge.py").write_text(PIXELS)
    command = JudgeCommand((sys.executable, str(tmp_path / "judge.py")), "pixels")
    program = program_of(command, people, tmp_path / "distractors", 150, tmp_path)
    method = Method("a method", Trivial("nothing"), "by hand")
    made = row_of(method, program.seen(people, copies, kept), program.clean)
    assert made.rates["own"].value == 0.5
    assert made.rates["own"].photos == 4, "on a dark copy no face is found, and nothing is linked"
    assert made.rates["cross"].value == 0.5
    assert made.rates["cc"].value == 0.5
    (tmp_path / "judge.py").write_text("raise SystemExit(1)")
    again = program_of(command, people, tmp_path / "distractors", 150, tmp_path)
    assert row_of(method, again.seen(people, copies, kept), again.clean) == made, "nothing is asked twice"
    with pytest.raises(EvaluationError, match="ended with exit status 1"):
        program_of(command, people, tmp_path / "distractors", 151, tmp_path / "elsewhere")


def test_groups_of_people_are_told_beside_what_chance_makes_of_them() -> None:
    names = ["Ada", "Bob", "Cid"]
    unit = np.eye(3, dtype=np.float32).repeat(3, axis=0)  # three photos a person, the first of them cloaked
    judge = Judge("one", "cosine", 0.9)
    clean = Clean([(judge, judge)], names, 1, {"one": unit}, {"one": -np.ones((4, 3), np.float32)})
    seen = {"Ada": [[1.0, 0.0, 0.0]], "Bob": [[0.0, 1.0, 0.0]], "Cid": [[-1.0, 0.0, 0.0]]}
    kept = {
        name: Kept({"one": np.array(own, np.float32)}, np.full((1, 3), 9.0), 1.0, 1.0) for name, own in seen.items()
    }
    groups = {"sex": {"Ada": "f", "Bob": "f", "Cid": "m"}}
    lines = list(groups_of(Method("a", Trivial("nothing"), "ours"), kept, clean, groups))
    assert [line.split(" | ")[:5] for line in lines[:2]] == [
        ["| a", "sex", "f", "2", "100% (34..100)"],
        ["| a", "sex", "m", "1", "0% (0..79)"],
    ]
    assert re.match(r"\| a \| sex \| \*apart\* \| \| 100%, by chance 3\d% \|", lines[2]), "one person in three is it"


def test_all_photos_of_a_person_go_toward_what_the_first_would() -> None:
    portrait = Portrait("a", np.zeros((9, 9, 3), np.uint8), FACE)
    people = [Person("a", (portrait,) * 2, ()), Person("b", (portrait,) * 3, ()), Person("c", (portrait,), ())]
    assert firsts(people) == [0, 0, 2, 2, 2, 5]

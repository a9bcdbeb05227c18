"""Groups of people: what a file says of them, and how far they are apart beside what chance makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.groups import categories_of, category_of, gap_of, read_groups
from uncnn.daemon.evaluate.plan import UNCLOAKED, EvaluationError, Plan
from uncnn.daemon.evaluate.values import Session, Shot, Take
from uncnn.daemon.verify.jod import Jod

ADA = [1.0, 0.0, 0.0, 0.0]
JUDGES = (Judge("one", "cosine", 0.9), Judge("other", "cosine", 0.9))


def written(folder: Path, text: str) -> Path:
    file = folder / "groups.csv"
    file.write_bytes(text.encode())
    return file


def test_a_file_says_who_is_in_which_group(tmp_path: Path) -> None:
    file = written(
        tmp_path, '\ufeffperson,sex,age\r\nAda,female,30\r\n"Bob, Jr.",male, \r\nCid,,70\r\nelse,male,20\r\n'
    )
    groups = read_groups(file, ["Ada", "Bob, Jr.", "Cid"])
    assert groups == {"sex": {"Ada": "female", "Bob, Jr.": "male"}, "age": {"Ada": "30", "Cid": "70"}}


@pytest.mark.parametrize(
    "text",
    [
        "person;sex\r\nAda;female\r\nBob;male\r\n;\r\n",
        "person\tsex\nAda\tfemale\n\nBob\tmale",
        " person , sex ,\n Ada , female ,\nBob, male,\n , \n",
    ],
)
def test_files_as_spreadsheets_write_them_are_read(tmp_path: Path, text: str) -> None:
    assert read_groups(written(tmp_path, text), ["Bob", "Ada"]) == {"sex": {"Ada": "female", "Bob": "male"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line has to name a column person and one for each way to group people"),
        ("person\nAda\n", "its first line has to name a column person"),
        ("person,,sex\nAda,,female\n", "its first line has to name a column person"),
        ("name,sex\nAda,female\n", "its first line has to name a column person"),
        ("person,person,sex\nAda,Ada,female\n", "its first line has to name a column person"),
        ("person,sex,sex\nAda,female,male\n", "two of its columns have the same name"),
        ("person,sex\nAda\n", "line 2 has more or fewer cells than the first line"),
        ("person,sex\nAda,female\n\nBob,male,40\n", "line 4 has more or fewer cells than the first line"),
        ("person,sex\nAda,female\nAda ,male\n", "Ada is in it twice: leave one line"),
        ("person,sex\nEve,female\n", "none of the 2 people that are evaluated is in its column person: .*as in Ada"),
        ('person,sex\nAda,"female\n', "it is no CSV file in UTF-8"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=f"--groups .*groups.csv: {message}"):
        read_groups(written(tmp_path, text), ["Bob", "Ada"])


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes("person,sex\nZoë,female\n".encode("latin-1"))
    with pytest.raises(EvaluationError, match="it is no CSV file in UTF-8"):
        read_groups(tmp_path / "groups.csv", ["Ada"])


def test_a_gap_is_set_beside_what_chance_makes() -> None:
    people = np.repeat(np.arange(8), 3)
    groups = np.repeat(["left", "right"], 12)
    told = np.where(groups == "left", 1.0, 0.0)
    gap = gap_of(told, people, groups)
    assert gap is not None
    assert gap.value == 1
    assert gap.chance == pytest.approx(2 / 70, abs=0.012), "of all ways to choose four of eight, two are as far apart"
    alike = gap_of(np.tile([1.0, 0.0, 0.0], 8), people, groups)
    assert alike is not None
    assert (alike.value, alike.chance) == (0, 1)


def test_photos_of_one_person_do_not_count_as_people() -> None:
    """One person with a hundred photos is one person: by chance alone the groups are as far apart always."""
    shares, people = np.repeat([1.0, 0.0], 100), np.repeat([0, 1], 100)
    gap = gap_of(shares, people, np.repeat(["left", "right"], 100))
    assert gap is not None
    assert (gap.value, gap.chance) == (1, 1)


def test_a_gap_needs_two_groups_of_which_something_is_known() -> None:
    people = np.arange(4)
    assert gap_of(np.ones(4), people, np.array(["a"] * 4)) is None
    assert gap_of(np.array([1.0, 1.0, np.nan, np.nan]), people, np.array(["a", "a", "b", "b"])) is None
    assert gap_of(np.ones(4), people, np.array([""] * 4)) is None


def test_rates_are_of_the_people_of_a_group_and_of_none_who_are_in_none() -> None:
    people = np.array([0, 0, 1, 1, 2, 2])
    shares = {"match": np.array([1.0, 0.0, 0.0, 0.0, 1.0, 1.0])}
    category = category_of("strong", "sex", ["f", "f", "m", "m", "", ""], people, shares)
    assert [(group.name, group.people, group.rates["match"].value) for group in category.groups] == [
        ("f", 1, 0.5),
        ("m", 1, 0.0),
    ]
    assert category.gaps["match"].value == 0.5


def session() -> tuple[Session, Plan]:
    """Return two photos each of four people; `strong` hides the last two, but not one of theirs from `other`."""
    shots = []
    for number in range(8):
        person = number // 2
        own = np.roll(ADA, person).astype(np.float32)
        gone = -np.ones(4, dtype=np.float32)
        hidden = own if person < 2 else gone
        takes = {
            UNCLOAKED: Take(1.0, True, None, {judge.name: {"as-is": own} for judge in JUDGES}, Jod(10.0, 10.0, None)),
            "strong": Take(
                1.0,
                True,
                None,
                {"one": {"as-is": hidden}, "other": {"as-is": own if number == 7 else hidden}},
                Jod(9.0, 9.0, None),
                held="still linked" if number == 0 else "",
            ),
        }
        shots.append(Shot(str(person), f"{person}/{number}", 90.0, {judge.name: own for judge in JUDGES}, takes))
    groups = {"sex": {"0": "f", "1": "f", "2": "m", "3": "m"}}
    plan = Plan(Path("people"), (), (), ("strong",), ("as-is",), 1e-3, groups=groups)
    return Session(tuple(shots), (), {}, ()), plan


def test_groups_have_the_mean_of_the_judges_and_whether_any_links() -> None:
    clean, strong = categories_of(*session(), JUDGES)
    assert (clean.strength, strong.strength) == (UNCLOAKED, "strong")
    assert [group.rates["own_photo"].value for group in clean.groups] == [1, 1]
    protected, hidden = strong.groups
    assert (protected.name, protected.people, hidden.people) == ("f", 2, 2)
    assert protected.rates["own_photo"].value == 1
    assert protected.rates["own_photo"].photos == 3, "one is held"
    assert protected.rates["held"].value == 0.25
    assert hidden.rates["own_photo"].value == pytest.approx(1 / 8), "one of four photos by one of two judges"
    assert hidden.rates["any_judge"].value == 0.25
    assert strong.gaps["own_photo"].value == pytest.approx(7 / 8)


def test_what_is_hardly_ever_by_chance_is_not_said_to_be_never() -> None:
    people = np.arange(40)
    gap = gap_of((people < 20).astype(float), people, np.where(people < 20, "left", "right"))
    assert gap is not None
    assert gap.chance == 1 / 2001
    assert gap.chance_words == "<1%"
    assert replace(gap, chance=0.5).chance_words == "50%"


def test_a_category_without_anybody_is_not_told_and_without_a_file_there_are_no_groups() -> None:
    made, plan = session()
    assert list(categories_of(made, replace(plan, groups={"age": {}, "sex": {"nobody": "f"}}), JUDGES)) == []
    assert list(categories_of(made, replace(plan, groups={}), JUDGES)) == []

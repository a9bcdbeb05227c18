"""Values of a configuration file changed in place."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.config import load
from uncnn.daemon.config.document import ConfigError, parse
from uncnn.daemon.config.editing import REMOVED, Edit, edit_file, edited, location_of

SAMPLE = Path(__file__).parents[3] / "config.yaml"
FILE = Path("/home/me/.config/uncnn/config.yaml")
STRENGTH = ("policies", "everyday", "attack", "strength")


def changes(before: bytes, after: bytes) -> list[str]:
    lines = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def refusal(content: bytes, *edits: Edit) -> str:
    with pytest.raises(ConfigError) as refused:
        edited(FILE, content, edits)
    return str(refused.value)


def test_one_value_of_the_sample_is_changed_and_no_other_letter() -> None:
    before = SAMPLE.read_bytes()
    assert edited(FILE, before, []) == before
    words = "# the first strength to try: subtle | balanced | strong | utmost"
    assert changes(before, edited(FILE, before, [Edit(STRENGTH, "strong")])) == [
        f"-      strength: balanced          {words}",
        f"+      strength: strong            {words}",
    ]


def test_lists_stay_in_a_line_and_their_comment_stays() -> None:
    after = edited(FILE, SAMPLE.read_bytes(), [Edit(("policies", "everyday", "escalate"), ("utmost",))])
    assert "    escalate: [utmost]            # then, on faces" in after.decode()


def test_a_folder_is_added_after_the_others_and_taken_out_again() -> None:
    before = SAMPLE.read_bytes()
    folder = {"watch": "~/a: b", "publish": "~/yes", "policy": "everyday"}
    after = edited(FILE, before, [Edit(("folders", 1), folder)])
    assert changes(before, after) == ['+  - watch: "~/a: b"', "+    publish: ~/yes", "+    policy: everyday"]
    assert edited(FILE, after, [Edit(("folders", 1), REMOVED)]) == before


@pytest.mark.parametrize(
    "text", ["yes", "1.0", "null", "~", "a # b", "- a", "", " a", "o'clock", 'say "so"', "2026-11-29"]
)
def test_text_is_read_back_as_the_same_text(text: str) -> None:
    content = b"version: 1\npolicies: {everyday: {attack: {name: veil, note: x}}}\n"
    location = ("policies", "everyday", "attack", "note")
    after = edited(FILE, content, [Edit(location, text)])
    assert read_value(after, location) == text


def read_value(content: bytes, location: tuple[str, ...]) -> Any:
    here = parse(FILE, content).value
    for part in location:
        here = here[part]
    return here


def test_sections_that_are_missing_or_empty_are_made() -> None:
    content = b"version: 1\nservice:\n"
    after = edited(FILE, content, [Edit(("service", "notify"), True), Edit(STRENGTH, "subtle")])
    assert read_value(after, ("service", "notify")) is True
    assert read_value(after, STRENGTH) == "subtle"
    assert edited(FILE, b"", [Edit(("version",), 1)]) == b"version: 1\n"


def test_several_are_removed_whatever_their_order() -> None:
    content = b"folders:\n" + b"".join(b"  - {watch: /%d, publish: /p%d}\n" % (number, number) for number in range(3))
    after = edited(FILE, content, [Edit(("folders", 0), REMOVED), Edit(("folders", 1), REMOVED)])
    assert after == b"folders:\n  - {watch: /2, publish: /p2}\n"
    assert edited(FILE, content, [Edit(("device",), REMOVED)]) == content


def test_what_would_be_wrong_is_refused_with_the_words_of_every_check() -> None:
    before = SAMPLE.read_bytes()
    assert "strength" in refusal(before, Edit(STRENGTH, "enormous"))
    assert "did you mean 'notify'" in refusal(before, Edit(("service", "notfy"), True))
    assert "folders[3]: there is no such place" in refusal(before, Edit(("folders", 3), {}))
    assert "version.a: there is no such place" in refusal(before, Edit(("version", "a"), 1))
    assert "uses the alias" in refusal(b"a: &x 1\nb: *x\n", Edit(("version",), 1))


def test_the_file_is_replaced_whole_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "config.yaml"
    real.write_bytes(SAMPLE.read_bytes())
    real.chmod(0o640)
    link.symlink_to(real)
    edit_file(link, [Edit(STRENGTH, "strong")], seen=SAMPLE.read_bytes())
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert load(link).policies["everyday"].attack.strength == "strong"
    with pytest.raises(ConfigError, match="changed by something else meanwhile"):
        edit_file(link, [Edit(STRENGTH, "subtle")], seen=SAMPLE.read_bytes())
    with pytest.raises(ConfigError):
        edit_file(link, [Edit(STRENGTH, "enormous")])
    assert load(link).policies["everyday"].attack.strength == "strong"
    assert sorted(tmp_path.iterdir()) == [link, real]
    with pytest.raises(ConfigError, match="cannot be changed"):
        edit_file(tmp_path / "none.yaml", [])


@pytest.mark.parametrize(
    ("text", "location"),
    [("device", ("device",)), ("folders[1].policy", ("folders", 1, "policy")), ("a.b[0][2]", ("a", "b", 0, 2))],
)
def test_names_of_values_are_those_that_problems_have(text: str, location: tuple[str | int, ...]) -> None:
    assert location_of(text) == location


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "folders[x]", "folders[1", "a b]"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a value"):
        location_of(text)

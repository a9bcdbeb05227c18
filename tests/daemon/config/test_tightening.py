"""The table of what a folder may say: every field of a policy has its row, and nothing that is merged is laxer."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import BaseModel

from uncnn.daemon.config import ConfigError, Policy
from uncnn.daemon.config.overrides import NAME, overridden
from uncnn.daemon.config.tightening import TABLE, Anything, FieldPath, Ranked, Refused
from uncnn.plugins.registry import STRENGTHS

VALUES: dict[FieldPath, list[Any]] = {
    ("attack", "name"): ["veil", "pgd"],
    ("attack", "strength"): list(STRENGTHS),
    ("protect", "far"): [1e-4, 1e-3, 1e-2],
    ("protect", "views"): [["as-is"], ["as-is", "jpeg-75"], ["half-size", "as-is"], ["jpeg-75", "half-size", "as-is"]],
    ("protect", "margin"): ["calibrated", 0.0, 0.1, 0.5],
    ("escalate",): [[], ["strong"], ["strong", "utmost"], ["utmost"], ["utmost", "strong"], ["subtle"]],
    ("unprotected",): ["publish-anyway", "hold"],
    ("no_face",): ["publish", "skip", "hold"],
    ("uncertain",): ["publish", "cloak", "hold"],
    ("videos",): ["ignore", "cloak"],
    ("faces", "who"): ["only-enrolled", "all-but-enrolled", "all"],
    ("faces", "smallest_px"): [100, 24, 1],
    ("faces", "rotated"): [False, True],
    ("metadata",): ["all-but-location", "camera", "none"],
    ("output", "format"): ["same", "jpeg"],
    ("output", "quality"): [1, 90, 100, "same"],
    ("output", "name"): ["{stem}{suffix}", "{stem} cloaked{suffix}"],
    ("output", "times"): ["same", "now"],
    ("output", "permissions"): ["everyone", "group", "usual", "private"],
}

STRICTER: dict[FieldPath, list[tuple[Any, Any]]] = {
    ("attack", "strength"): [("subtle", "balanced"), ("balanced", "strong"), ("strong", "utmost")],
    ("protect", "far"): [(1e-4, 1e-3), (1e-3, 1e-2)],
    ("protect", "views"): [
        (["as-is"], ["as-is", "jpeg-75"]),
        (["as-is"], ["half-size", "as-is"]),
        (["as-is", "jpeg-75"], ["jpeg-75", "half-size", "as-is"]),
        (["half-size", "as-is"], ["jpeg-75", "half-size", "as-is"]),
    ],
    ("protect", "margin"): [(0.0, 0.1), (0.1, 0.5)],
    ("escalate",): [([], ["strong"]), (["strong"], ["strong", "utmost"]), ([], ["subtle"]), ([], ["utmost"])],
    ("unprotected",): [("publish-anyway", "hold")],
    ("no_face",): [("publish", "hold"), ("skip", "hold")],
    ("uncertain",): [("publish", "cloak"), ("cloak", "hold"), ("publish", "hold")],
    ("faces", "who"): [("only-enrolled", "all"), ("all-but-enrolled", "all")],
    ("faces", "smallest_px"): [(100, 24), (24, 1)],
    ("faces", "rotated"): [(False, True)],
    ("metadata",): [("all-but-location", "camera"), ("camera", "none"), ("all-but-location", "none")],
    ("output", "quality"): [(1, 90), (90, 100), (100, "same"), (1, "same")],
    ("output", "times"): [("same", "now")],
    ("output", "permissions"): [
        ("everyone", "usual"),
        ("everyone", "group"),
        ("everyone", "private"),
        ("usual", "private"),
        ("group", "private"),
    ],
}
"""Steps that a folder may take, written down apart from the table. Of the others some follow, the rest it may not."""


def fields(model: type[BaseModel], above: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield every field of a model and of its sections, with its type."""
    for name, found in model.model_fields.items():
        kind = found.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, (*above, name))
        else:
            yield (*above, name), kind


FIELDS = dict(fields(Policy))


def nested(place: FieldPath, value: Any) -> dict[str, Any]:
    """Return a document that says one thing."""
    for name in reversed(place):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def document(said: dict[FieldPath, Any]) -> dict[str, Any]:
    """Return a document that says all this."""
    whole: dict[str, Any] = {}
    for place, value in said.items():
        section = whole
        for name in place[:-1]:
            section = section.setdefault(name, {})
        section[place[-1]] = value
    return whole


def value_at(policy: Policy, place: FieldPath) -> Any:
    found: Any = policy
    for name in place:
        found = getattr(found, name)
    return found


def merged(policy: Policy, *said: dict[str, Any]) -> Policy:
    """Return what comes of a policy and of files one below the other."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        for each in said:
            (folder / NAME).write_text(yaml.safe_dump(each))
            folder /= "below"
            folder.mkdir()
        return overridden(policy, Path(root), folder.relative_to(root) / "a.jpg")


def options(kind: Any) -> Iterator[Any]:
    """Yield the values of every Literal in a type."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    for inner in get_args(kind):
        yield from options(inner)


def test_every_field_of_a_policy_has_its_row_and_its_values_here() -> None:
    assert set(FIELDS) == set(TABLE), "give the new field a row: what may a folder say of it?"
    assert set(FIELDS) <= set(VALUES)
    ruled = {place for place, rule in TABLE.items() if not isinstance(rule, Refused | Anything)}
    assert ruled == set(STRICTER)


def test_every_field_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "service.md").read_text()
    assert [name for name in map(".".join, TABLE) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("place", [place for place, rule in TABLE.items() if isinstance(rule, Ranked)])
def test_every_value_of_a_field_has_its_rank(place: FieldPath) -> None:
    rule = TABLE[place]
    assert isinstance(rule, Ranked)
    assert set(options(FIELDS[place])) | set(VALUES[place]) <= set(rule.ranks)


STEPS = [(place, own, said) for place in FIELDS for own, said in itertools.product(VALUES[place], repeat=2)]


@pytest.mark.parametrize(("place", "own", "said"), STEPS)
def test_each_step_is_allowed_exactly_where_it_is_written_down(place: FieldPath, own: Any, said: Any) -> None:
    policy = Policy.model_validate(nested(place, own))
    free = isinstance(TABLE[place], Anything)
    same = own == said and not isinstance(TABLE[place], Refused)
    if free or same or follows(place, own, said):
        expected = Policy.model_validate(nested(place, said))
        assert value_at(merged(policy, nested(place, said)), place) == value_at(expected, place)
        return
    with pytest.raises(ConfigError) as caught:
        merged(policy, nested(place, said))
    (problem,) = caught.value.problems
    assert problem.path == ".".join(place)
    assert problem.line == len(place)


def follows(place: FieldPath, own: Any, said: Any) -> bool:
    """Return whether a value is stricter, by one of the steps written down or several."""
    steps = STRICTER.get(place, [])
    return any(before == own and (after == said or follows(place, after, said)) for before, after in steps)


POLICIES = some.fixed_dictionaries({place: some.sampled_from(VALUES[place]) for place in FIELDS}).map(document)
SAYABLE = {place: VALUES[place] for place in FIELDS if not isinstance(TABLE[place], Refused)}
SAID = some.fixed_dictionaries({}, optional={place: some.sampled_from(found) for place, found in SAYABLE.items()})


@settings(max_examples=50)
@given(own=POLICIES, files=some.lists(SAID.map(document), min_size=1, max_size=3))
def test_what_comes_of_any_files_is_laxer_in_no_field(own: dict[str, Any], files: list[dict[str, Any]]) -> None:
    policy = Policy.model_validate(own)
    try:
        found = merged(policy, *files)
    except ConfigError:
        found = merged(policy)
    for place, rule in TABLE.items():
        before, after = (value_at(each, place) for each in (policy, found))
        assert before == after or isinstance(rule, Anything) or follows(place, plain(before), plain(after))


@settings(max_examples=25)
@given(own=POLICIES, data=some.data())
def test_what_only_tightens_is_taken(own: dict[str, Any], data: some.DataObject) -> None:
    """The other side of it: files of steps that are written down are merged, one below the other."""
    policy = Policy.model_validate(own)
    said = {}
    for place, steps in STRICTER.items():
        allowed = [after for before, after in steps if before == plain(value_at(policy, place))]
        if allowed:
            said[place] = data.draw(some.sampled_from(allowed))
    found = merged(policy, document(said))
    for place in FIELDS:
        wanted = said.get(place, plain(value_at(policy, place)))
        assert plain(value_at(found, place)) == wanted


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_what_is_refused_is_answered_with_what_is_not() -> None:
    rule = Ranked("is laxer than", {"lax": 0, "middling": 1, "strict": 2})
    assert rule.objection("middling", "lax") == "lax is laxer than the policy's middling: use middling or strict"

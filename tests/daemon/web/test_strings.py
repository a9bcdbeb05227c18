"""Whatever the page says is in one file, and all that it may have to say is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import Life
from uncnn.daemon.web import strings as module
from uncnn.daemon.web.dropped import Status
from uncnn.daemon.web.held import DECISIONS, FACE_DECISIONS
from uncnn.daemon.web.models import Whence
from uncnn.daemon.web.puller import CONVERTING, DOWNLOADING
from uncnn.daemon.web.strings import said, strings
from uncnn.exporters.pulling.pull import State as PullState

FOLDER = Path(module.__file__).parent
FILES = sorted((*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.html")))


def test_every_string_that_a_template_names_is_there() -> None:
    named = {found for file in FILES for found in re.findall(r"strings\.(\w+)\.(\w+)", file.read_text())}
    assert named
    assert [pair for pair in sorted(named) if pair[1] not in strings()[pair[0]]] == []


def test_every_string_that_a_script_names_is_there() -> None:
    scripts = "".join(file.read_text() for file in FOLDER.glob("static/*.js"))
    named = set(re.findall(r'said\(\s*"(\w+)", "([\w-]+)"', scripts))
    assert len(named) > 10
    assert [pair for pair in sorted(named) if pair[1] not in strings()[pair[0]]] == []


def test_every_question_of_a_form_is_there() -> None:
    forms = "".join(file.read_text() for file in FOLDER.glob("templates/*.html"))
    asked = "".join(re.findall(r'data-confirm="([^"]*)"', forms))
    for name in ("forget-all", "publish", "drop", "end-own", "leave", "not-a-person", "pull"):
        assert name in asked
        assert said("script", f"{name}-heading")
        assert said("script", f"{name}-words")


def test_every_reason_of_a_refusal_is_there() -> None:
    reasons = {found for file in FILES for found in re.findall(r'Refus(?:ed|al)\(\d+, "(\w+)"', file.read_text())}
    assert {"host", "origin", "session", "size", "slow", "changed"} <= reasons
    assert reasons <= set(strings()["refused"])


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("status", get_args(Status)),
        ("state", tuple(State)),
        ("service", (*get_args(Life), "not-run")),
        ("stage", ("loading", "looking", "changing", "judging")),
        (
            "face",
            ("protected", "provisional", "linked", "spared", "small", "left-uncertain", "left-as-asked", "no-person"),
        ),
        ("held", (*DECISIONS, *FACE_DECISIONS)),
        ("models.role", ("detector", "surrogate", "judge", "-")),
        ("models.use", ("permissive", "research")),
        ("models.whence", get_args(Whence)),
        ("models.pulled", (*get_args(PullState), "working", CONVERTING, DOWNLOADING)),
        ("process", ("worker", "verifier")),
        ("camera", ("before", "after", "loading", "on", "off", "paused", "refused", "none", "busy")),
    ],
)
def test_every_word_that_data_stand_for_is_there(section: str, names: tuple[str, ...]) -> None:
    words: Any = strings()
    for part in section.split("."):
        words = words[part]
    assert [name for name in names if not words[name]] == []


def test_templates_have_no_words_of_their_own() -> None:
    """Between tags there is nothing to translate; `uncnn` and `Python` are names."""
    for file in FOLDER.glob("templates/*.html"):
        text = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", " ", file.read_text(), flags=re.DOTALL)
        assert set(re.findall(r"[A-Za-z]{2,}", text)) <= {"uncnn", "Python", "GB"}, file.name

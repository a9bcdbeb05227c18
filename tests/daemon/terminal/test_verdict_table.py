"""What people read of a verdict: whole at 80 columns and in a pipe, and the same figures as in the JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text
from verdict_sample import JUDGEMENTS, VERDICT_OF_ONE

from uncnn.daemon.protect.pipeline import Outcome
from uncnn.daemon.terminal.results import Done, say, say_line
from uncnn.daemon.terminal.verdict_table import verdict_lines
from uncnn.daemon.verify.figures import verdict_json
from uncnn.daemon.verify.verdict import VERDICT


@pytest.mark.parametrize("columns", ["80", ""])
def test_nothing_is_cut(columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, as here, no width is known; the names are whole and every line fits a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", columns)
    outcome = Outcome("publish", "1 face protected", Path("x"), VERDICT_OF_ONE, ("balanced",), "JPEG", (), 1.0)
    say(Done("photo.jpg", "published", "1 face protected", Path("out/photo.jpg"), outcome), surrogates=True)
    lines = capsys.readouterr().out.splitlines()
    assert "\u2026" not in "".join(lines)
    assert [line for line in lines if len(line) > 80] == []
    said = "\n".join(lines)
    for word in ("dlib-resnet", "openvino-0095", "mobilefacenet-casia-tf2", "attacked", "not linked", "half-size"):
        assert word in said
    assert "checked at: FAR 1e-3, calibrated margins, as-is, jpeg-75, half-size, blur-1" in said
    assert "  change: JOD 9.98 on a phone, 9.53 on a desktop, 9.20 zoomed in, of 10" in lines
    assert "face 1: 100 px, strength balanced, visible zoomed in, moved 1.5%: protected" in said
    assert "0.636 <= 0.550 half-size not linked" in " ".join(said.split()), (
        "the worst view, and the limit with its margin"
    )


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_breaks_no_line_by_itself(width: int) -> None:
    words = ["balanced"]
    lines = [Text.from_markup(line).plain for line in verdict_lines(VERDICT_OF_ONE, words, True, width)]
    assert max(map(len, lines)) <= max(width, 24)
    said = " ".join(" ".join(lines).split())
    assert "visible zoomed in" in said
    assert "9.53 on a desktop" in said
    assert sum("not linked" in line for line in lines) == 3
    if width >= 40:
        assert "openvino-0095" in said
        assert "0.636" in said


def test_a_name_of_any_length_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = replace(JUDGEMENTS[0], recogniser="a-recogniser-of-my-own-" * 6)
    lines = list(verdict_lines(replace(VERDICT_OF_ONE, faces=(replace(VERDICT_OF_ONE.faces[0], judgements=(long,)),))))
    assert long.recogniser in lines[-1]


def test_attacked_recognisers_are_listed_on_request() -> None:
    assert "casia-tf2" not in "".join(verdict_lines(VERDICT_OF_ONE))
    assert "casia-tf2" in "".join(verdict_lines(VERDICT_OF_ONE, surrogates=True))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"after": 0.2, "linked": True}, "linked"),
        ({"after": 0.545, "linked": True}, "too close"),
        ({"before": 0.7, "linked": True}, "no proof"),
    ],
)
def test_why_it_is_no_protection_is_said(changes: dict[str, float], word: str) -> None:
    judgement = replace(JUDGEMENTS[0], **changes)  # type: ignore[arg-type]
    face = replace(VERDICT_OF_ONE.faces[0], judgements=(judgement,))
    lines = list(verdict_lines(replace(VERDICT_OF_ONE, faces=(face,))))
    assert lines[-1].endswith(f"[red]{word}[/red]")
    assert lines[-2].endswith(": not protected")


def test_a_verdict_of_before_says_nothing_of_the_change() -> None:
    before = replace(VERDICT_OF_ONE, jod=None, faces=(replace(VERDICT_OF_ONE.faces[0], zoom=None),))
    told = verdict_json(before)
    assert (told["jod"], told["change"], told["faces"][0]["jod_zoom"]) == (None, None, None)
    said = "".join(verdict_lines(before))
    assert "JOD" not in said
    assert "visible" not in said


def test_without_a_face_nothing_is_protected() -> None:
    told = verdict_json(replace(VERDICT_OF_ONE, faces=()))
    assert (told["verdict"], told["protected"], told["faces_found"], told["closest"]) == ("no-face", False, 0, None)
    assert list(verdict_lines(replace(VERDICT_OF_ONE, faces=()))) == []


def test_a_verdict_goes_between_the_processes_whole() -> None:
    assert VERDICT.validate_python(VERDICT.dump_python(VERDICT_OF_ONE, mode="json")) == VERDICT_OF_ONE


@pytest.mark.parametrize("width", [40, 80])
def test_on_a_terminal_a_line_is_broken_between_words_and_in_a_pipe_it_is_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = ": 1 of 1 face not protected: openvino-0095 is too close to linking the face at 58,55"
    say_line("photo.jpg", "held 12", message, "yellow")
    assert capsys.readouterr().out == f"photo.jpg: held 12{message}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    say_line("photo.jpg", "held 12", message, "yellow")
    lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines) == f"photo.jpg: held 12{message}"

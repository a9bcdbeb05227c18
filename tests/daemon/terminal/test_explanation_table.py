"""What people read of an explanation: whole at 80 columns, with the copy beside the photo."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from explained_face import classified, face
from rich.console import Console

from uncnn.daemon.terminal.explanation_table import explanation_words, face_table, face_words


@pytest.mark.parametrize("width", [80, 200])
def test_the_copy_stands_beside_the_photo(width: int):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(face_table(face(copy=True), ["holiday.jpg", "cloaked/holiday.jpg"]))
    said = console.export_text()
    assert "\N{HORIZONTAL ELLIPSIS}" not in said
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "recogniser holiday.jpg cloaked/holiday.jpg"
    assert lines[1] == "openvino-0095 Ada * 95.0 % Ada 1.0 %"
    assert "none of these 3.0 % none of these 55.0 %" in lines
    assert "none, cloak unexpected 99.8 %" in lines
    assert "own Ada 0.410 Ada 0.410" in lines
    assert max(map(len, said.splitlines())) <= 80


def test_without_a_copy_there_is_one_list():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(face_table(face(copy=False), ["holiday.jpg"]))
    assert "unexpected" not in console.export_text()


def test_what_has_to_be_known_is_said_once():
    words = "\n".join(explanation_words([face(copy=True), face(copy=True)]))
    assert words.count("near enough") == words.count("who expects cloaks") == 1
    assert "names at most 5% of strangers" in words
    assert "no chances of own, which was not calibrated" in words
    alone = "\n".join(explanation_words([face(copy=False)]))
    assert "cloak" not in alone


def test_a_face_is_said_to_be_missing_in_the_copy():
    assert face_words(face(copy=True)) == "face 1: 120 px, at 10,20"
    assert "the copy shows none there" in face_words(replace(face(copy=True), found_again=False))


def test_a_classifier_is_shown_as_what_it_is():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(face_table(classified(copy=True), ["holiday.jpg", "cloaked/holiday.jpg"]))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    place = lines.index("mine.onnx Grace 90.0 % Ada 70.0 %")
    assert lines[place + 1 : place + 3] == ["Ada 6.0 % Grace 20.0 %", "all others 4.0 % all others 10.0 %"]
    assert "none of these" not in " ".join(lines[place:])
    words = list(explanation_words([classified(copy=True), classified(copy=True)]))
    assert (
        words.count("mine.onnx: chances among the 40 names it knows (softmax): it must name one of them, whoever it is")
        == 1
    )
    (uncalibrated,) = [each for each in words if "was not calibrated" in each]
    assert "mine.onnx" not in uncalibrated

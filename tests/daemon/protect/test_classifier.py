"""A closed-set classifier: real ONNX files, in ONNX Runtime; and in the sandboxed process that `explain` starts."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from colour_classifier import NAMES, colour_classifier
from explained_face import FACE
from PIL import Image

from uncnn.daemon.commands.explain import _CLASSIFIES, _make_classifier
from uncnn.daemon.protect.classifier import ClassifierError, classify
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Classify
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import RequestError, silent
from uncnn.daemon.sandbox.rules import sandbox_for

RED, BLUE = (255, 0, 0), (0, 0, 255)


def photo(colour: tuple[int, int, int]) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (160, 160), colour).save(written, "PNG")
    return written.getvalue()


def asked(model: bytes, copy: bytes | None = None, **more: object) -> Classify:
    """Return what is asked of a classifier about a red photo."""
    shown = None if copy is None else Content(data=copy)
    made = Classify(
        Content(data=photo(RED)),
        "photo.png",
        shown,
        Content(data=model),
        "mine.onnx",
        NAMES,
        (FACE,),
        (None if copy is None else FACE,),
        "RGB",
        (127.5,) * 3,
        (127.5,) * 3,
    )
    return replace(made, **more)  # type: ignore[arg-type] # of its fields


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("ending", ["logits", "softmax"])
def test_it_names_one_of_those_it_knows_before_and_after(ending: str, channels_last: bool) -> None:
    model = colour_classifier(ending, channels_last=channels_last)  # type: ignore[arg-type] # one of them
    (answer,) = classify(asked(model, photo(BLUE)), silent).answers
    assert (answer.recogniser, answer.role, answer.metric, answer.names) == ("mine.onnx", "classifier", "softmax", 3)
    assert answer.copy is not None
    for found, name in ((answer.original, "Red"), (answer.copy, "Blue")):
        assert found.candidates[0].name == name
        wanted = np.exp(10) / (np.exp(10) + 2)  # of 5, -5, -5: not softmax of softmax
        assert found.candidates[0].confidence == pytest.approx(wanted, abs=1e-3)
        assert sum(each.confidence or 0 for each in found.candidates) == pytest.approx(1)
        assert (found.others, found.nobody, found.named) == (pytest.approx(0, abs=1e-6), None, None)


def test_it_is_fed_as_a_person_says() -> None:
    (answer,) = classify(asked(colour_classifier(), order="BGR"), silent).answers
    assert answer.original.candidates[0].name == "Blue"
    (answer,) = classify(asked(colour_classifier(), mean=(255.0,) * 3, std=(255.0,) * 3), silent).answers
    assert answer.original.candidates[0].confidence == pytest.approx(1 / (1 + 2 * np.exp(-5)), abs=1e-3)
    assert answer.copy is None


def elsewhere() -> bytes:
    model = onnx.load_model_from_string(colour_classifier())
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights.bin")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: asked(b"no network"), r"mine\.onnx: .*is no ONNX file"),
        (lambda: asked(elsewhere()), r"mine\.onnx: keeps its weights in other files"),
        (lambda: asked(colour_classifier(side="side")), r"mine\.onnx: its input has the shape .*of a fixed size"),
        (lambda: asked(colour_classifier("nan")), r"mine\.onnx gives no finite number"),
        (lambda: asked(colour_classifier(), names=("Ada",)), r"gives 3 numbers, but there are 1 names"),
    ],
)
def test_what_is_no_such_classifier_is_refused_in_words(made: object, words: str) -> None:
    with pytest.raises(ClassifierError, match=words):
        classify(made(), silent)  # type: ignore[operator]


def test_it_runs_in_a_process_that_sees_the_private_folder_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "photo").write_bytes(photo(RED))
    (spool / "model").write_bytes(colour_classifier())
    outside = tmp_path / "outside"
    outside.write_bytes(colour_classifier())
    question = replace(asked(b""), photo=Content(spool / "photo"), model=Content(spool / "model"))
    with closing(Child("classifier", _make_classifier, sandbox_for(spool, (), "cpu"), _CLASSIFIES)) as child:
        (answer,) = child.call(question, 300).answers
        assert answer.original.candidates[0].name == "Red"
        protection = child.protection
        assert protection is not None
        if protection.landlock:
            with pytest.raises(RequestError, match="outside"):
                child.call(replace(question, model=Content(outside)), 300)

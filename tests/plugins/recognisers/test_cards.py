"""Cards: what is read is what was written, and a wrong card says where it is wrong and what to do."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import (
    CARD_FILE,
    MODEL_FILE,
    TEMPLATES,
    Card,
    CardError,
    check_model,
    compare,
    distance,
    read_card,
    sha256_of,
    value_at,
    write_card,
)

REFERENCE_NAMES = {
    "dlib-resnet",
    "edgeface-xxs",
    "esp-mfn",
    "mobileface-v2",
    "mobilefacenet-casia",
    "mobilefacenet-casia-tf2",
    "mobilefacenet-foamliu",
    "mobilefacenet-sirius",
    "mobilefacenet-y1",
    "openvino-0095",
}

TEXT = """\
name: some-net
family: MobileFaceNet
role: surrogate
input: {height: 112, width: 112, order: RGB, mean: [127.5, 127.5, 127.5], std: [128, 128, 128]}
template: arcface-112
embedding: 4
metric: cosine
thresholds: {1e-2: 0.25, 1.0e-3: 0.35, 0.0001: 0.45}
calibrated_on: LFW
sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
licence: {name: MIT, use: permissive}
"""


def card_with(**changes: object) -> Card:
    return Card.model_validate({**yaml.safe_load(TEXT), **changes})


def write_text(folder: Path, text: str) -> Path:
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    return folder


def test_minimal_card(tmp_path):
    card = read_card(write_text(tmp_path, TEXT))
    assert card.thresholds == {1e-2: 0.25, 1e-3: 0.35, 1e-4: 0.45}
    assert card.template == TEMPLATES["arcface-112"]
    assert card.input.std == (128.0, 128.0, 128.0)
    assert card.parity is None
    assert card.source is None


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("arcface-112", 112, 112), ("sphereface-112x96", 112, 96), ("openvino-128", 128, 128), ("dlib-150", 150, 150)],
)
def test_named_template_equals_its_points(name, height, width):
    size = {"height": height, "width": width, "order": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1]}
    points = [list(point) for point in TEMPLATES[name]]
    assert card_with(template=name, input=size) == card_with(template=points, input=size)
    with pytest.raises(ValueError, match="for another input than 160 x 160"):
        card_with(template=name, input={**size, "height": 160, "width": 160})


def test_round_trip_keeps_everything(tmp_path):
    card = card_with(
        thresholds={0.01: 0.25, 1e-3: 0.35, 1.2345678e-5: 0.6},
        parity=1.7e-7,
        accuracy={"lfw_6000_pairs": 0.99},
        source={"url": "https://example.org/a", "sha256": "0" * 64},
        training_data="Zoë's photos: \u4eba",
        reference="a paper",
    )
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    assert [path.name for path in tmp_path.iterdir()] == [CARD_FILE]
    assert "  1e-2: 0.25\n  1e-3: 0.35\n" in (tmp_path / CARD_FILE).read_text(encoding="utf-8")


def test_a_failed_write_leaves_no_half_card(tmp_path):
    (tmp_path / CARD_FILE).mkdir()  # so that the rename fails
    with pytest.raises(OSError, match="directory"):
        write_card(card_with(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CARD_FILE]


def test_a_card_never_changes():
    with pytest.raises(ValueError, match="frozen"):
        card_with().name = "other"


def test_every_reference_card_loads_and_round_trips(shared_models, tmp_path):
    folders = sorted(path.parent for path in (shared_models / "reference").glob(f"*/{CARD_FILE}"))
    assert {folder.name for folder in folders} == REFERENCE_NAMES
    for folder in folders:
        card = read_card(folder)
        assert card.name == folder.name
        assert {1e-2, 1e-3} <= set(card.thresholds)
        check_model(folder, card)
        write_card(card, tmp_path)
        assert read_card(tmp_path) == card
        original = yaml.safe_load((folder / CARD_FILE).read_bytes())
        assert yaml.safe_load((tmp_path / CARD_FILE).read_bytes()) == original


def test_every_card_that_ships_round_trips(tmp_path):
    folders = [path.parent for path in sorted(EMBEDDED.glob(f"*/{CARD_FILE}"))]
    assert len(folders) == 5
    for folder in folders:
        write_card(read_card(folder), tmp_path)
        original = yaml.safe_load((folder / CARD_FILE).read_bytes())
        assert yaml.safe_load((tmp_path / CARD_FILE).read_bytes()) == original


def test_reference_templates_are_the_named_ones(shared_models):
    cards = [read_card(folder) for folder in (shared_models / "reference").iterdir() if folder.is_dir()]
    assert {card.template for card in cards} == set(TEMPLATES.values())


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (
            "mean: [127.5, 127.5, 127.5]",
            "mean: [127.5, grey, 127.5]",
            "input.mean.1: 'grey': Input should be a valid",
        ),
        ("mean: [127.5, 127.5, 127.5]", "mean: [127.5]", "input.mean.1: missing; add it"),
        ("std: [128, 128, 128]", "std: [128, 0, 128]", "input.std.1: 0: Input should be greater than 0"),
        ("std: [128, 128, 128]", "std: [128, .nan, 128]", "input.std.1: nan: Input should be a finite number"),
        ("order: RGB", "order: GBR", "input.order: 'GBR': Input should be 'RGB' or 'BGR'"),
        ("height: 112", "height: -1", "input.height: -1: Input should be greater than 0"),
        ("name: some-net", "name: ../up", "name: '../up': String should match pattern"),
        ("role: surrogate", "role: jury", "role: 'jury': Input should be 'surrogate' or 'judge'"),
        (
            "template: arcface-112",
            "template: arcface",
            "template: 'arcface': use five points or one of arcface-112",
        ),
        ("template: arcface-112", "template: dlib-150", "template: 'dlib-150': it is for another input than 112 x 112"),
        ("width: 112", "width: 96", "template: 'arcface-112': it is for another input than 112 x 96"),
        (
            "template: arcface-112",
            "template: [[1, 2], [3, 4], [5, 6], [7, 8], [9, 112]]",
            "every point must lie inside the input, 112 x 112 (height x width)",
        ),
        ("template: arcface-112", "template: [[1, 2]]", "template.1: missing; add it"),
        ("metric: cosine", "metric: cos", "metric: 'cos': Input should be 'cosine' or 'euclidean'"),
        ("1e-2: 0.25", "often: 0.25", "thresholds.often.[key]: 'often': Input should be a valid number"),
        ("1e-2: 0.25", "1.5: 0.25", "thresholds.1.5.[key]: 1.5: Input should be less than 1"),
        ("1e-2: 0.25", "1e-2: 0.36", "cosine thresholds must lie in -1..1 and fall"),
        ("metric: cosine", "metric: euclidean", "euclidean thresholds must be positive and rise"),
        ("sha256: e3b0", "sha256: E3B0", "sha256: 'E3B0"),
        ("use: permissive", "use: mine", "licence.use: 'mine': Input should be 'permissive' or 'research'"),
        ("embedding: 4\n", "", "embedding: missing; add it"),
        ("embedding: 4\n", "embeding: 4\nembedding: 4\n", "embeding: unknown key; remove it or correct its spelling"),
    ],
)
def test_a_wrong_card_is_named_with_its_key_and_value(tmp_path, before, after, complaint):
    assert before in TEXT
    with pytest.raises(CardError) as raised:
        read_card(write_text(tmp_path, TEXT.replace(before, after)))
    assert f"{tmp_path / CARD_FILE}: " in str(raised.value)
    assert complaint in str(raised.value)


def test_all_complaints_at_once(tmp_path):
    text = TEXT.replace("role: surrogate", "role: jury").replace("embedding: 4", "embedding: none")
    with pytest.raises(CardError) as raised:
        read_card(write_text(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the whole file: None"),
        (b"just words", "the whole file: 'just words'"),
        (b"name: [", "not YAML"),
        (b"\x00\xff\xfe", "not YAML"),
        (b"!!python/object:os.system {}", "not YAML"),
    ],
)
def test_garbage_is_refused(tmp_path, content, complaint):
    (tmp_path / CARD_FILE).write_bytes(content)
    with pytest.raises(CardError, match=complaint):
        read_card(tmp_path)


LAUGHS = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (LAUGHS, r"not YAML: it uses the alias \*a"),
        ("[" * 20_000, "not YAML: it is nested deeper than 8 levels"),
        ("{a: " * 9 + "1" + "}" * 9, "nested deeper than 8 levels"),
        ("name: " + "x" * 70_000, r"card\.yaml: cannot be read \(larger than the 65,536 bytes"),
        ("input: !!int twelve", "not YAML"),
    ],
)
def test_a_card_cannot_exhaust_memory(tmp_path, content, complaint):
    (tmp_path / CARD_FILE).write_text(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CardError, match=complaint):
        read_card(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_a_card_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / CARD_FILE)
    with pytest.raises(CardError, match="not a regular file"):
        read_card(tmp_path)


def test_a_folder_without_a_card(tmp_path):
    with pytest.raises(CardError, match=r"card\.yaml: cannot be read \(No such file.*a recogniser is a folder with"):
        read_card(tmp_path)


def test_threshold_at_a_rate():
    card = card_with()
    assert card.threshold(1e-3) == 0.35
    assert card.threshold(0.1**3) == 0.35  # a hair above 1e-3
    assert card.threshold(5e-4) == 0.35  # not calibrated: the next larger rate
    assert card.threshold(1e-9) == 0.45
    with pytest.raises(CardError, match=r"some-net: thresholds: no .* of 5e-2 or more .*calibrated: 1e-2, 1e-3, 1e-4"):
        card.threshold(5e-2)
    with pytest.raises(CardError, match="calibrated: none"):
        card_with(thresholds={}).threshold(1e-3)


def test_matches_by_cosine():
    card = card_with()
    assert card.matches(0.35, 1e-3)
    assert not card.matches(0.3499, 1e-3)
    assert card.matches(0.3499, 5e-3), "the stand-in at 1e-2 is stricter"
    assert card.matches(float("nan"), 1e-3), "what cannot be told is not protected"


def test_matches_by_distance():
    card = card_with(metric="euclidean", thresholds={1e-2: 0.6, 1e-3: 0.5})
    assert card.matches(0.5, 1e-3)
    assert not card.matches(0.5001, 1e-3)
    assert card.matches(0.55, 5e-3)
    assert card.matches(float("nan"), 1e-3)


def test_a_margin_asks_for_more_distance():
    cosine = card_with()  # 0.35 at 1e-3: a distance of sqrt(2 * 0.65), so that a tenth more is 1 - 0.65 * 1.21
    edge = 1 - 0.65 * 1.1**2
    assert not cosine.links(edge - 1e-6, 1e-3, 0.1)
    assert cosine.links(edge + 1e-6, 1e-3, 0.1)
    assert not cosine.links(edge + 1e-6, 1e-3, 0.0), "as `matches` says"
    euclidean = card_with(metric="euclidean", thresholds={1e-2: 0.6, 1e-3: 0.5})
    assert euclidean.links(0.55, 1e-3, 0.1)
    assert not euclidean.links(0.5501, 1e-3, 0.1)
    for card in (cosine, euclidean):
        assert card.links(float("nan"), 1e-3, 0.0)
        assert card.links(float("nan"), 1e-3, 0.1)
    assert not cosine.links(-1.0, 1e-3, 0.1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_stand_for_values(metric):
    for value in (0.0, 0.3, 0.9):
        assert value_at(metric, distance(metric, value)) == pytest.approx(value)
    assert distance("cosine", 1 + 1e-9) == 0, "rounding beyond 1 is no distance"
    assert np.isnan(distance(metric, float("nan")))


def test_a_margin_is_written_and_read_again(tmp_path):
    card = card_with(margin=0.12, margin_source="forty LFW photos")
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    assert card_with().margin is None
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValidationError):
            card_with(margin=wrong)


def test_networks_of_one_kind_are_one_family():
    kinds = {card_with(family=family).kind for family in ("MobileFaceNet", "MobileFaceNet (PReLU)", "mobilefacenet y1")}
    assert kinds == {"mobilefacenet"}
    assert card_with(family="ResNet-29 (dlib)").kind == "resnet-29"


def test_compare_rows():
    a = np.array([[3, 4, 0, 0], [1, 0, 0, 0]], np.float32)
    b = np.array([[6, 8, 0, 0], [0, 2, 0, 0]], np.float32)
    np.testing.assert_allclose(compare(card_with(), a, b), [1, 0])
    euclidean = card_with(metric="euclidean", thresholds={1e-2: 0.6})
    np.testing.assert_allclose(compare(euclidean, a, b), [5, 5**0.5])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_compare_refuses_what_is_not_an_embedding(bad):
    good = np.ones((2, 4), np.float32)
    wrong = good.copy()
    wrong[1] = bad
    with pytest.raises(UncnnError, match=r"some-net: the cosine comparison of face 1 is nan"):
        compare(card_with(), good, wrong)


def test_check_model(tmp_path):
    card = card_with()
    with pytest.raises(CardError, match=r"model\.onnx: cannot be read .* install some-net again"):
        check_model(tmp_path, card)
    (tmp_path / MODEL_FILE).write_bytes(b"")
    check_model(tmp_path, card)
    (tmp_path / MODEL_FILE).write_bytes(b"x")
    with pytest.raises(CardError, match=rf"its sha256 is {sha256_of(tmp_path / MODEL_FILE)}, but .* says e3b0c442"):
        check_model(tmp_path, card)


def test_torch_is_not_imported():
    code = "import sys, uncnn.plugins.recognisers.cards; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

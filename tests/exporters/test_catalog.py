"""The catalog says what SOURCES.yaml and the reference cards say, and a mistake in it is named with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncnn.exporters.pulling.pull import card_of, weights_of
from uncnn.exporters.registry.catalog import CATALOG, CatalogError, DetectorEntry, File, RecogniserEntry, read_catalog
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import TEMPLATES, read_card

CARRIER = "https://raw.githubusercontent.com/"


@pytest.fixture(scope="module")
def sources(shared_models: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((shared_models / "SOURCES.yaml").read_text())
    return content


def catalog_files() -> dict[str, File]:
    return {file.file: file for entry in read_catalog().models for file in entry.files}


def test_every_file_is_as_the_sources_say(sources: dict[str, Any], shared_models: Path) -> None:
    known = catalog_files()
    licences = {file.file: entry.licence for entry in read_catalog().models for file in entry.files}
    for source in sources["files"]:
        file = known[source["file"]]
        assert (file.url, file.sha256, file.bytes) == (source["url"], source["sha256"], source["bytes"])
        assert file.url == f"{CARRIER}{file.repository}/{file.commit}/{file.path}"
        assert file.bytes == (shared_models / "upstream" / file.file).stat().st_size
        if source["licence"] != "as above":
            assert licences[file.file].name == source["licence"]
        stated = source["licence"].split()[0] in {"MIT", "Apache-2.0", "as"}
        unfree = "non-commercial" in licences[file.file].name or not stated
        assert licences[file.file].use == ("research" if unfree else "permissive")
    packs = {file.file: entry.packs for entry in read_catalog().models for file in entry.files}
    assert {name for name, pack in packs.items() if "small" in pack} == {source["file"] for source in sources["files"]}


def test_every_published_model_is_as_the_sources_say(sources: dict[str, Any]) -> None:
    entries = {entry.name: entry for entry in read_catalog().models}
    strong = {name for name, entry in entries.items() if "strong" in entry.packs}
    assert strong == {source["name"] for source in sources["published"]}
    for source in sources["published"]:
        entry = entries[source["name"]]
        (file,) = entry.files
        if "hub" in source:
            assert file.repository == source["hub"]
            assert file.url == f"https://huggingface.co/{source['hub']}/resolve/main/{source['file']}"
        elif "url" in source:
            assert file.url == source["url"]
            assert file.sha256_head is not None
            assert f"the suffix {file.sha256_head} is the head of its sha256" in source["note"]
        else:
            assert (file.package, file.path) == (source["package"], source["file"])
        assert file.sha256 == source.get("sha256")
        assert file.bytes is None
        assert entry.licence.name == source["licence"]
        assert entry.licence.use == ("permissive" if source["licence"] in {"MIT", "CC0"} else "research")
        if "input" in source:
            assert isinstance(entry, RecogniserEntry)
            shape = entry.input
            assert source["input"].startswith(f"{shape.height}x{shape.width} {shape.order}")
            assert source["input"].endswith(str(entry.embedding))
            assert shape.mean == shape.std == (127.5,) * 3, "(x / 255 - 0.5) / 0.5 is the same"
            assert "input" not in entry.assumed
        elif isinstance(entry, RecogniserEntry) and entry.format != "dlib":
            assert "input" in entry.assumed, "nobody stated it"


def test_every_recogniser_is_as_its_reference_card_says(shared_models: Path) -> None:
    compared = 0
    for entry in read_catalog().models:
        folder = shared_models / "reference" / entry.name
        if not isinstance(entry, RecogniserEntry) or not folder.is_dir():
            continue
        card, ours = read_card(folder), card_of(entry)
        same = ("name", "role", "input", "template", "embedding", "metric", "accuracy")
        assert {key: getattr(ours, key) for key in same} == {key: getattr(card, key) for key in same}
        for far, stated in card.thresholds.items():
            assert ours.matches(stated, far), f"{entry.name}: a threshold that is laxer than the stated one"
        if not (EMBEDDED / entry.name).is_dir():
            assert (ours.thresholds, ours.calibrated_on) == (card.thresholds, card.calibrated_on)
        assert (ours.licence.use, ours.family) == (card.licence.use, card.family)
        assert ours.source is not None
        assert card.source is not None
        assert ours.source.sha256 == card.source.sha256 == weights_of(entry).sha256
        assert ours.source.commit == card.source.commit
        assert not entry.assumed
        compared += 1
    assert compared == 8


def test_what_nobody_measured_has_no_figures() -> None:
    for entry in read_catalog().models:
        if isinstance(entry, RecogniserEntry) and not entry.exercised:
            assert not entry.thresholds
            assert not entry.accuracy
            assert {"template", "metric"} <= set(entry.assumed)


def test_packs_and_names() -> None:
    catalog = read_catalog()
    assert len(catalog.pack("all")) == len(catalog.models) == 16
    assert sum(entry.size or 0 for entry in catalog.pack("small")) == pytest.approx(25e6, rel=0.1)
    assert [entry.name for entry in catalog.named(["esp-mfn", "esp-mfn"])] == ["esp-mfn"]
    assert all(entry.template in TEMPLATES for entry in catalog.models if isinstance(entry, RecogniserEntry))
    assert [entry.name for entry in catalog.models if isinstance(entry, DetectorEntry)] == [
        "retinaface-mobilenet0.25",
        "retinaface-resnet50",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [(["esp-mfm"], "did you mean esp-mfn"), (["?"], "there are retinaface-mobilenet0.25, mobilefacenet-foamliu")],
)
def test_an_unknown_name_is_told(names: list[str], words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        read_catalog().named(names)


@pytest.mark.parametrize(
    ("old", "new", "line_of", "words"),
    [
        ("    metric: cosine\n", "    metrik: cosine\n", "metrik", "models.1.metrik: Extra inputs"),
        ("    embedding: 128\n", "", "mobilefacenet-foamliu\n", "models.1.embedding: Field required"),
        ("use: permissive}", "use: any}", "use: any}", "models.0.licence.use: Input should be 'permissive'"),
        ("url: https://", "url: http://", "url: http://", "models.0.files.0.url: String should match"),
        ("sha256: 5f88", "sha256: 5F88", "sha256: 5F88", "models.0.files.0.sha256: String should match"),
        ("sha256_head: f168fae3c", "note: f168", "note: f168", "models.9.files.0.note: Extra inputs"),
        ("template: openvino-128", "template: openvino", "template: openvino\n", "models.6.template: Input should be"),
        ("name: esp-mfn", "name: openvino-0095", "version", "openvino-0095 stands there twice"),
        ("kind: detector", "kind: detektor", "retinaface-mobilenet0.25\n", "models.0: Input tag 'detektor'"),
        ("file: mobilefacenet-foamliu.pt", "file: ../foamliu.pt", "file: ../", "models.1.files.0.file: String should"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line_of: str, words: str) -> None:
    text = CATALOG.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    (tmp_path / "catalog.yaml").write_text(text)
    with pytest.raises(CatalogError) as caught:
        read_catalog(tmp_path / "catalog.yaml")
    assert words in str(caught.value)
    line = text[: text.index(line_of)].count("\n") + 1
    if line_of != "version":
        assert f"catalog.yaml:{line}: " in str(caught.value)


def test_what_is_no_catalog_is_refused(tmp_path: Path) -> None:
    for name, text, words in [
        ("text", "- [", "not YAML"),
        ("empty", "", "the whole file"),
        ("newer", "version: 2\nmodels: []", "version"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(CatalogError, match=words):
            read_catalog(tmp_path / name)
    with pytest.raises(CatalogError, match="cannot be read"):
        read_catalog(tmp_path / "missing")


def test_reading_it_needs_no_torch() -> None:
    code = (
        "import sys, uncnn.exporters.registry.catalog as catalog\n"
        "assert catalog.read_catalog().models\n"
        "assert not {'torch', 'onnx', 'httpx'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_models_page_says_of_every_model_what_the_catalog_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    for entry in read_catalog().models:
        row = next(line for line in rows if line.startswith(f"| [{entry.name}]("))
        assert f"{entry.licence.use}: {entry.licence.name}" in row
        assert ("| yes |" if entry.exercised else "| no |") in row
        if isinstance(entry, RecogniserEntry) and entry.thresholds:
            assert f"| {entry.accuracy['lfw_6000_pairs'] * 100:.2f} | {entry.thresholds[1e-3]} |" in row

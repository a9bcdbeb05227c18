"""What a name stands for: what ships and what the catalog knows, and what is done with a folder that says otherwise."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncnn.exporters.registry import pins, store
from uncnn.exporters.registry.catalog import card_of, read_catalog
from uncnn.exporters.registry.choice import ModelsError
from uncnn.exporters.registry.pins import EMBEDDED, PINS, PinsError, difference, is_proven, no_laxer
from uncnn.plugins.recognisers.cards import Card, read_card, write_card

NAMES = sorted(card.parent.name for card in EMBEDDED.glob("*/card.yaml"))
JUDGE = "openvino-0095"
OTHER = "0" * 63 + "1"


def card(name: str = JUDGE, **changes: Any) -> Card:
    free = {"intervals": None} if "thresholds" in changes else {}  # they need not fit
    return read_card(EMBEDDED / name).model_copy(update={**free, **changes})


def catalogued(name: str = "mobilefacenet-y1", **changes: Any) -> Card:
    (entry,) = read_catalog().named([name])
    return card_of(entry).model_copy(update=changes)  # type: ignore[arg-type] # a recogniser's


def put(folder: Path, made: Card, called: str = "") -> Path:
    """Write a model of this card into a folder; its model is that of the judge."""
    place = folder / (called or made.name)
    place.mkdir(parents=True)
    shutil.copy(EMBEDDED / JUDGE / "model.onnx", place)
    write_card(made, place)
    return place


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNCNN_MODELS", str(tmp_path / "named"))
    return tmp_path / "named"


def test_the_table_is_that_of_the_cards() -> None:
    remedy = "a card, a model or the detector changed: run python -m uncnn.exporters.registry.pins"
    assert yaml.safe_load(PINS.read_bytes()) == yaml.safe_load(yaml.safe_dump(pins.table())), remedy
    pins.check_embedded()


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_itself(name: str) -> None:
    assert difference(card(name)) == ""
    assert is_proven(card(name))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": OTHER}, "another model.onnx"),
        ({"role": "surrogate"}, "another role"),
        ({"metric": "euclidean", "thresholds": {1e-2: 0.241, 1e-3: 0.242}}, "metric"),
        ({"thresholds": {1e-2: 0.241, 1e-3: 0.35, 1e-4: 0.432}}, r"laxer threshold at FAR 1e-3 \(0.35, ours 0.342\)"),
        ({"thresholds": {1e-2: 0.241, 1e-3: 0.342, 1e-5: 0.9}}, "laxer threshold at FAR 1e-4|1e-5"),
        ({"thresholds": {1e-3: 0.3}}, "no threshold at FAR 1e-2"),
        ({"thresholds": {}}, "no threshold at FAR 1e-2"),
        ({"thresholds": {1e-2: 0.2, 1e-3: 0.3, 1e-4: 0.4}}, "^$"),
        ({"thresholds": {1e-2: 0.2, 1e-3: 0.3}}, "^$"),
        ({"confidence": read_card(EMBEDDED / "esp-mfn").confidence}, "another confidence"),
        ({"confidence": None}, "^$"),
        ({"family": "a", "reference": "b", "parity": 1.0, "accuracy": {}}, "^$"),
    ],
)
def test_a_card_that_differs_is_told(changes: dict[str, Any], words: str) -> None:
    assert re.search(words, difference(card(**changes))), difference(card(**changes))


def test_distances_are_laxer_the_other_way() -> None:
    known = card("dlib-resnet")
    assert "laxer threshold at FAR 1e-3" in difference(
        known.model_copy(update={"thresholds": {1e-2: 0.615, 1e-3: 0.5}})
    )
    assert difference(known.model_copy(update={"thresholds": {1e-2: 0.62, 1e-3: 0.55}})) == ""


def test_a_name_of_the_catalog_is_checked_by_what_is_known() -> None:
    assert difference(catalogued()) == ""
    assert difference(catalogued(sha256=OTHER)) == "", "it is converted where it is installed"
    assert "another file than the catalog's" in difference(catalogued(source=None))
    assert "laxer" in difference(catalogued(thresholds={1e-2: 0.5, 1e-3: 0.6, 1e-4: 0.7}))
    assert not is_proven(catalogued())
    mine = card().model_copy(update={"name": "my-own", "sha256": OTHER})
    assert difference(mine) == ""
    assert is_proven(mine)


def test_the_reference_conversions_are_what_the_catalog_says_or_are_told(shared_models: Path) -> None:
    found = {each.name: difference(each) for each in map(read_card, (shared_models / "reference").glob("*/"))}
    told = {name for name, words in found.items() if words}
    assert told == set(found) & set(NAMES), "of what ships, others' conversions; of the rest nothing"
    assert all("another model.onnx" in found[name] for name in told)


def test_what_bears_our_name_is_named_and_passed_over(named: Path, tmp_path: Path) -> None:
    lax = put(named, card(thresholds={1e-2: 0.8, 1e-3: 0.9, 1e-4: 0.95}))
    (found,) = (each for each in store.installed(tmp_path) if each.card.name == JUDGE)
    assert found.folder == EMBEDDED / JUDGE
    assert found.card == card()
    ((place, words),) = store.passed_over(tmp_path)
    assert place.folder == lax
    assert "a laxer threshold" in words
    (notice,) = store.notices(tmp_path)
    assert JUDGE in notice
    assert "laxer" in notice
    assert "are used instead" in notice


def test_a_stricter_card_is_the_users_own_affair(named: Path, tmp_path: Path) -> None:
    strict = put(named, card(thresholds={1e-2: 0.1, 1e-3: 0.2, 1e-4: 0.3}))
    (found,) = (each for each in store.installed(tmp_path) if each.card.name == JUDGE)
    assert found.folder == strict
    assert store.notices(tmp_path) == []


def test_a_name_of_the_catalog_that_is_not_its_own_is_left_out(named: Path, tmp_path: Path) -> None:
    put(named, catalogued(source=None))
    assert "mobilefacenet-y1" not in {each.card.name for each in store.installed(tmp_path)}
    (notice,) = store.notices(tmp_path)
    assert "left out: mobilefacenet-y1" in notice


def test_a_broken_card_is_reported_and_stops_nothing(named: Path, tmp_path: Path) -> None:
    (named / "broken").mkdir(parents=True)
    (named / "broken" / "card.yaml").write_text("[" * 10_000)
    (named / JUDGE).mkdir()
    (named / JUDGE / "card.yaml").write_text("name: [")
    assert {each.card.name for each in store.installed(tmp_path)} >= set(NAMES)
    assert len(store.notices(tmp_path)) == 2
    assert all("left out: " in notice and "not YAML" in notice for notice in store.notices(tmp_path))
    roster = store.prepare(tmp_path, "auto", "auto", ["permissive"])
    assert {each.card.name for each in roster.judges} == {"dlib-resnet", JUDGE}


def test_what_nobody_can_confirm_judges_only_beside_what_is_pinned(named: Path, tmp_path: Path) -> None:
    put(named, catalogued(sha256=card().sha256))
    y1, attacked, licences = "mobilefacenet-y1", ["esp-mfn"], ["permissive", "research"]
    with pytest.raises(ModelsError, match=f"judges {y1}: nobody knows the hash"):
        store.prepare(tmp_path, attacked, [y1], licences)
    roster = store.prepare(tmp_path, attacked, [y1, "dlib-resnet"], licences)
    assert [each.card.name for each in roster.judges] == [y1, "dlib-resnet"]


def test_an_installation_that_was_changed_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EMBEDDED, tmp_path / "models", ignore=shutil.ignore_patterns("*.onnx"))
    monkeypatch.setattr(pins, "EMBEDDED", tmp_path / "models")
    pins.check_embedded()
    write_card(card(thresholds={1e-2: 0.3, 1e-3: 0.4, 1e-4: 0.5}), tmp_path / "models" / JUDGE)
    with pytest.raises(PinsError, match=rf"{JUDGE}: not the card that uncnn shipped with; install uncnn again"):
        store.prepare(tmp_path, "auto", "auto", ["permissive"])
    (tmp_path / "models" / JUDGE / "card.yaml").unlink()
    with pytest.raises(PinsError, match=f"{JUDGE}, which comes with uncnn, is damaged"):
        pins.check_embedded()


def test_a_calibration_never_loosens_what_is_known() -> None:
    measured = catalogued(thresholds={1e-2: 0.2, 1e-3: 0.4}, intervals={1e-2: (0.1, 0.3), 1e-3: (0.39, 0.41)})
    kept, words = no_laxer(measured)
    assert kept.thresholds == {1e-2: 0.2, 1e-3: 0.316, 1e-4: 0.39}
    assert kept.intervals == {1e-2: (0.1, 0.3)}
    assert difference(kept) == ""
    assert len(words) == 2
    own = card(thresholds={1e-2: 0.9}).model_copy(update={"name": "my-own"})
    assert no_laxer(own) == (own, ())

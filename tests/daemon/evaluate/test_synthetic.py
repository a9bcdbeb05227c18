"""Synthetic strangers: they are spread as the real ones are, and they count in a gallery."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uncnn.daemon.evaluate import synthetic
from uncnn.daemon.evaluate.adversaries import Judge, ahead, within
from uncnn.daemon.evaluate.evaluation import synthetic_notes
from uncnn.daemon.evaluate.findings import findings_of
from uncnn.daemon.evaluate.plan import EvaluationError, Plan, make_plan
from uncnn.daemon.evaluate.synthetic import closest, drawn
from uncnn.daemon.evaluate.values import Session, Shot, Take
from uncnn.daemon.verify.jod import Jod
from uncnn.plugins.recognisers.cards import Embeddings

COSINE, EUCLIDEAN = Judge("cosine-judge", "cosine", 0.5), Judge("euclidean-judge", "euclidean", 0.6)
LENGTH = 24


def strangers(number: int, seed: int = 0) -> Embeddings:
    """Return unit embeddings, (N, LENGTH), that reach far in a few directions and hardly in most."""
    spread = 0.8 ** np.arange(LENGTH)
    rows = np.random.default_rng(seed).normal(size=(number, LENGTH)) * spread + 0.2
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("judge", [COSINE, EUCLIDEAN])
def test_they_are_spread_as_real_ones_are(judge: Judge) -> None:
    real, made = strangers(400), np.concatenate(list(drawn(judge, strangers(400), 4000)))
    assert made.shape == (4000, LENGTH)
    assert np.abs(made.mean(axis=0) - real.mean(axis=0)).max() < 0.02
    assert np.abs(np.cov(made.T) - np.cov(real.T)).max() < 0.02
    one, other = closest(judge, strangers(50, 1), strangers(600, 2))
    assert other == pytest.approx(one, abs=0.06)
    scattered = np.random.default_rng(0).normal(size=(300, LENGTH)).astype(np.float32)
    wrong = synthetic.closeness(judge.metric, strangers(50, 1), scattered).max(axis=1).mean()
    assert abs(wrong - one) > 2 * abs(other - one), "those without a model are not like them"


def test_the_same_are_drawn_again_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(drawn(COSINE, strangers(200), 25)))
    monkeypatch.setattr(synthetic, "AT_ONCE", 10)
    pieces = list(drawn(COSINE, strangers(200), 25))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-5)  # sums of other lengths round otherwise


def test_a_model_of_few_is_as_wide_as_they_are() -> None:
    """A probe that lies where people differ most meets strangers as close as the real ones, in many dimensions too."""
    probes, real = strangers(200, 7), strangers(2000, 8)
    spread = np.std(synthetic.closeness("cosine", probes, real))
    found = [np.std(synthetic.closeness("cosine", probes, some)) for some in _of_small_models(real)]
    assert np.mean(found) == pytest.approx(spread, rel=0.1)


def _of_small_models(real: Embeddings) -> list[Embeddings]:
    return [np.concatenate(list(drawn(COSINE, real[first : first + 20], 300))) for first in range(0, 400, 20)]


def test_a_larger_gallery_hides_more() -> None:
    clean = strangers(40, 3)
    clean[1::2] = clean[::2] + 0.05 * strangers(20, 4)  # two photos a person
    people, probes = np.repeat(np.arange(20), 2), clean + 0.8 * strangers(40, 5)
    before = [ahead(COSINE, probes, clean, people, drawn(COSINE, strangers(200), number)) for number in (0, 200, 5000)]
    ranks = [within(each, 1).mean() for each in before]
    assert ranks[0] > ranks[1] > ranks[2]
    assert within(before[2], 50).mean() > ranks[2]


def test_findings_and_notes_say_what_was_drawn() -> None:
    clean = strangers(8, 6)
    shots = tuple(
        Shot(
            f"person {number // 2}",
            f"{number}.jpg",
            100.0,
            {"cosine-judge": clean[number]},
            {
                strength: Take(1.0, True, None, {"cosine-judge": {"as-is": clean[number]}}, Jod(10, 10, None))
                for strength in ("none", "strong")
            },
        )
        for number in range(8)
    )
    session = Session(shots, (), {"cosine-judge": strangers(120)}, ())
    plan = Plan(Path("people"), (), (), ("strong",), ("as-is",), 1e-3, synthetic=3000)
    found = [each for each in findings_of(session, plan, [COSINE]) if each.size == "all"]
    assert all(each.rank1_synthetic.photos == 8 for each in found)
    assert all(each.rank1_synthetic.value <= each.rank1.value for each in found)
    (note,) = synthetic_notes(session, plan, [COSINE])
    assert note.startswith("3,000 synthetic distractors for cosine-judge: ")
    without = next(findings_of(session, replace(plan, synthetic=0), [COSINE]))
    assert without.rank1_synthetic.photos == 0
    assert str(without.rank1_synthetic) == "-"


def test_they_need_real_ones(tmp_path: Path) -> None:
    for person in ("Ada", "Ben"):
        (tmp_path / person).mkdir()
        for number in range(2):
            (tmp_path / person / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(EvaluationError, match=r"--synthetic-distractors 1000: .* 0 here, and 100 are needed"):
        make_plan(tmp_path, synthetic=1000)

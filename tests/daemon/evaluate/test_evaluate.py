"""What cloaks are worth: adversaries with known answers, honest intervals, and the command on real photos."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from models_home import ModelsHome, some_people
from PIL import Image

from uncnn.daemon.commands.evaluate import write
from uncnn.daemon.config import Attack, Policy
from uncnn.daemon.evaluate import adversaries, plots
from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.cloaking import Cloaking
from uncnn.daemon.evaluate.contact_sheet import _row
from uncnn.daemon.evaluate.embedding import embeddings_of
from uncnn.daemon.evaluate.evaluation import Evaluation
from uncnn.daemon.evaluate.faces import FaceFinding, Nearest, faces_of, worst_faces
from uncnn.daemon.evaluate.findings import RATES, findings_of
from uncnn.daemon.evaluate.groups import categories_of
from uncnn.daemon.evaluate.intervals import effective_size, rate, wilson
from uncnn.daemon.evaluate.machine import Machine
from uncnn.daemon.evaluate.mixed import mixed_galleries
from uncnn.daemon.evaluate.plan import AS_INSTALLED, UNCLOAKED, EvaluationError, Plan, make_plan
from uncnn.daemon.evaluate.probe import deal, linear_probe
from uncnn.daemon.evaluate.report import facts
from uncnn.daemon.evaluate.sizes import members, size_class
from uncnn.daemon.evaluate.values import Sample, Session, Shot, Take
from uncnn.daemon.evaluate.visibility import summaries_of
from uncnn.daemon.pictures.contact_sheet import AMPLIFIED, amplified
from uncnn.daemon.protect.messages import CANDIDATE, Change, Changed, Compare, Compared, Embedded, Look, Looked
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.verify import visibility as visibility_of
from uncnn.daemon.verify.jod import Jod, Visibility
from uncnn.daemon.verify.visibility import BUTTERAUGLI, butteraugli, ssim, visibility
from uncnn.exporters.calibration.faces import FacesError
from uncnn.plugins.api import Face, UncnnError
from uncnn.plugins.recognisers.cards import Embeddings

COSINE = Judge("cosine-judge", "cosine", 0.5)
EUCLIDEAN = Judge("euclidean-judge", "euclidean", 0.9)
PEOPLE = np.repeat(np.arange(4), 3)  # four people, three photos each
VIEWS = ("as-is", "jpeg-75")


def faces(noise: float, seed: int = 0) -> Embeddings:
    """Return embeddings, (12, 16), that lie around a direction a person; without noise all of a person's are one."""
    around = np.eye(16)[PEOPLE]
    return np.asarray(around + noise * np.random.default_rng(seed).normal(size=around.shape), dtype=np.float32)


@pytest.mark.parametrize("judge", [COSINE, EUCLIDEAN])
def test_clean_photos_are_linked_and_photos_of_others_are_not(judge: Judge) -> None:
    clean = faces(0.05)
    assert adversaries.verification(judge, clean, clean, PEOPLE).tolist() == [1] * 12
    assert adversaries.own_photo(judge, clean, clean).tolist() == [1] * 12
    assert adversaries.identification(judge, clean, clean, PEOPLE, None).tolist() == [1] * 12
    swapped = clean[::-1]  # every probe is now somebody else
    assert adversaries.verification(judge, swapped, clean, PEOPLE).tolist() == [0] * 12
    assert adversaries.own_photo(judge, swapped, clean).tolist() == [0] * 12
    assert adversaries.identification(judge, swapped, clean, PEOPLE, None).tolist() == [0] * 12


def test_a_photo_is_not_compared_with_itself() -> None:
    """Of each person two photos are alike, and the third is like nobody's: it is linked to none, not to itself."""
    clean = faces(0)
    clean[2::3] = np.eye(16, dtype=np.float32)[8:12]
    shares = adversaries.verification(COSINE, clean, clean, PEOPLE)
    assert shares.tolist() == [0.5, 0.5, 0.0] * 4
    assert adversaries.identification(COSINE, clean, clean, PEOPLE, None).tolist() == [1, 1, 0] * 4


def test_a_similarity_at_the_threshold_is_a_match() -> None:
    pair = np.array([[1, 0], [0.5, 0.75**0.5]], dtype=np.float32)
    judge = Judge("edge", "cosine", float(adversaries.closeness("cosine", pair, pair)[0, 1]))
    assert adversaries.verification(judge, pair, pair, np.array([0, 0])).tolist() == [1, 1]


def test_closeness_is_cosine_or_distance_below_zero() -> None:
    one, other = np.array([[3.0, 4.0]], dtype=np.float32), np.array([[3.0, 0.0], [0.0, 8.0]], dtype=np.float32)
    np.testing.assert_allclose(adversaries.closeness("cosine", one, other), [[0.6, 0.8]], rtol=1e-12)
    np.testing.assert_allclose(adversaries.closeness("euclidean", one, other), [[-4.0, -5.0]], rtol=1e-12)


def test_a_distractor_that_is_closer_hides_a_person() -> None:
    clean = faces(0.05)
    double = clean[:3]  # of the first person's own photos
    found = adversaries.identification(COSINE, clean, clean, PEOPLE, double)
    assert found.tolist() == [0] * 3 + [1] * 9
    strangers = np.eye(16, dtype=np.float32)[10:]
    assert adversaries.identification(COSINE, clean, clean, PEOPLE, strangers).tolist() == [1] * 12


def test_cloaks_of_one_direction_give_each_other_away() -> None:
    """Each person's cloaked photos look like one stranger: linked to no clean photo, and all to each other."""
    clean, cloaked = faces(0.05), np.roll(faces(0.05), 6, axis=1)
    assert adversaries.verification(COSINE, cloaked, clean, PEOPLE).tolist() == [0] * 12
    assert adversaries.verification(COSINE, cloaked, cloaked, PEOPLE).tolist() == [1] * 12


def test_mixed_galleries_link_what_their_cloaked_part_links() -> None:
    clean, cloaked = faces(0.05), np.roll(faces(0.05), 6, axis=1)
    for share, least, most in ((0.25, 0.6, 0.75), (0.75, 0.99, 1.01)):
        linked, found = mixed_galleries(COSINE, cloaked, clean, PEOPLE, None, share)
        assert least < linked.mean() < most, "one of three photos is cloaked at the least, two at the most"
        assert (found[linked == 1] == 1).all(), "nobody else looks like them"
    scattered = np.eye(16, dtype=np.float32)[np.arange(4, 16)]
    linked, found = mixed_galleries(COSINE, scattered, clean, PEOPLE, None, 0.5)
    assert not linked.any()
    assert found.mean() < 0.5, "chance"
    linked, found = mixed_galleries(COSINE, cloaked, clean, PEOPLE, cloaked[:3], 0.75)
    assert linked.all()
    assert found[:3].tolist() == [0] * 3, "a distractor is closer"
    assert found[3:].all()
    assert mixed_galleries(COSINE, clean, clean, PEOPLE, None, 0.5)[0].all()


@pytest.mark.parametrize("judge", [COSINE, EUCLIDEAN])
def test_photos_without_a_face_are_linked_to_none_and_those_that_are_not_there_are_not_asked(judge: Judge) -> None:
    clean, cloaked = faces(0.05), faces(0.05, 1)
    cloaked[0], cloaked[3] = 0, np.nan  # no face was found; it was held
    clean[6] = np.nan
    shares = adversaries.verification(judge, cloaked, clean, PEOPLE)
    assert shares[0] == 0
    assert np.isnan(shares[3])
    assert (np.delete(shares, [0, 3]) == 1).all()
    own = adversaries.own_photo(judge, cloaked, clean)
    assert (own[0], own[1]) == (0, 1)
    assert np.isnan(own[[3, 6]]).all()
    found = adversaries.identification(judge, cloaked, clean, PEOPLE, None)
    assert (found[0], found[1]) == (0, 1)
    assert np.isnan(found[3])
    back = adversaries.identification(judge, clean, cloaked, PEOPLE, None)
    assert np.isnan(back[6])
    assert (np.delete(back, 6) == 1).all()
    named = linear_probe(cloaked, clean, PEOPLE)
    assert np.isnan(named[6])
    assert (np.delete(named, 6) == 1).all()
    linked, _ = mixed_galleries(judge, cloaked, clean, PEOPLE, None, 0.5)
    assert linked[0] == 0
    assert np.isnan(linked[3])
    assert (np.delete(linked, [0, 3]) == 1).all()
    curve = adversaries.curve(judge, cloaked, clean, PEOPLE, None)
    assert curve.tars[-1] == 1
    assert np.isfinite(curve.tars).all()
    counted = rate(shares, PEOPLE)
    assert (counted.photos, counted.value) == (11, pytest.approx(10 / 11))
    assert str(rate([float("nan")], [0])) == "-"


def test_photos_of_others_that_are_linked_are_counted_apart() -> None:
    people = np.array([0, 0, 1, 2])
    photos = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [np.nan] * 3], dtype=np.float32)
    found = adversaries.strangers_linked(COSINE, photos, people)
    assert found[:3].tolist() == [1, 0, 0.5], "the first is linked to the third, who is somebody else"
    assert np.isnan(found[3])


def test_faces_have_a_size() -> None:
    assert [size_class(px) for px in (1000, 240, 239, 60, 59.9, 0)] == [
        *("portraits", "portraits", "everyday", "everyday", "small", "small")
    ]
    found = members([300, 50, 300])
    assert {name: own.tolist() for name, own in found.items()} == {
        "all": [True] * 3,
        "portraits": [True, False, True],
        "small": [False, True, False],
    }


def test_the_curve_of_known_pairs() -> None:
    """Two people with two photos: the pairs of one person at 0.9 and 0, those of two at 0 but for one."""
    people = np.array([0, 0, 1, 1])
    gallery = np.eye(4, dtype=np.float32)
    probes = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0.6, 0, 0, 0.8]], dtype=np.float32)
    found = adversaries.curve(COSINE, probes, gallery, people, None)
    assert found.fars[-1] == 1
    assert found.tars[-1] == 1
    assert min(found.fars) >= 1 / 8, "with eight pairs of two people no smaller rate can be told"
    assert list(found.tars) == sorted(found.tars)
    assert found.tars[0] == 0.5, "at 1 in 8 the one pair at 0.6 is accepted, and with it two of four pairs at 1 of one"
    more = adversaries.curve(COSINE, probes, gallery, people, np.eye(4, dtype=np.float32)[[1] * 1000])
    assert min(more.fars) < 1e-3


def test_the_probe_learns_what_is_there_and_nothing_else() -> None:
    clean = faces(0.1)
    assert linear_probe(clean, clean, PEOPLE).tolist() == [1] * 12
    misled = np.roll(clean, 3, axis=0)  # the tracker's photos of each person look like the next one
    assert linear_probe(misled, clean, PEOPLE).tolist() == [0] * 12
    blank = np.random.default_rng(1).normal(size=(160, 32)).astype(np.float32)
    guesses = linear_probe(blank, blank, np.repeat(np.arange(4), 40)).mean()
    assert guesses == pytest.approx(0.25, abs=0.15), "photos that were not trained on are guessed"


def test_a_probe_is_not_asked_about_who_has_no_other_photo() -> None:
    clean = faces(0.1)
    held = clean.copy()
    held[np.flatnonzero(PEOPLE == 0)[1:]] = np.nan  # all of the first person's but one
    named = linear_probe(held, clean, PEOPLE)
    assert np.isnan(named[0]), "nothing of that person is left to learn from"
    assert (named[PEOPLE != 0] == 1).all()


def test_folds_leave_every_person_something_to_train_on() -> None:
    people = np.array([0] * 2 + [1] * 7 + [2] * 12)
    folds = deal(people)
    assert set(folds[people == 0]) == {0, 1}
    assert set(folds[people == 2]) == set(range(5))
    for fold in set(folds):
        assert set(people[folds != fold]) == {0, 1, 2}


def test_wilson_as_published() -> None:
    low, high = wilson(0.5, 10)  # Brown, Cai, DasGupta, "Interval estimation for a binomial proportion", 2001
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)


def test_photos_of_one_person_count_as_one_where_they_are_alike() -> None:
    people = np.repeat(np.arange(10), 8)
    alike = np.repeat([1.0] * 5 + [0.0] * 5, 8)
    assert effective_size(alike, people) == pytest.approx(9)
    unlike = np.tile([1.0, 0.0], 40)
    assert effective_size(unlike, people) == pytest.approx(10), "they say nothing of the spread between people"
    mixed = np.random.default_rng(0).integers(2, size=80).astype(float)
    assert 20 < effective_size(mixed, people) <= 80
    assert rate([1.0] * 80, people).low == pytest.approx(wilson(1, 10)[0])
    assert str(rate([0.0] * 80, people)) == "0% (0..28)"
    assert rate([1.0, 0.0], [0, 0]).low < 0.1, "one person alone is hardly a sample"
    one = rate([1.0] + [0.0] * 79, people)
    assert one.high >= rate([0.0] * 80, people).high, "who links one photo is no surer of it than who links none"
    assert rate([0.0] + [1.0] * 79, people).low <= rate([1.0] * 80, people).low


def test_intervals_cover_the_truth() -> None:
    """People with rates of their own, drawn anew: about 95 % of the intervals hold the mean of all people."""
    random = np.random.default_rng(3)
    people = np.repeat(np.arange(12), 6)
    held = 0
    for _ in range(400):
        own = random.beta(2, 6, size=12)
        found = rate(random.binomial(1, own[people]).astype(float), people)
        held += found.low <= 0.25 <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
def test_visibility_of_a_known_change() -> None:
    skimage = pytest.importorskip("skimage")
    original = skimage.data.astronaut()[:160, 150:310]
    noise = np.random.default_rng(0).integers(-6, 7, original.shape)
    changed = np.clip(original + noise, 0, 255).astype(np.uint8)
    found = visibility(original, changed)
    assert found.psnr == pytest.approx(skimage.metrics.peak_signal_noise_ratio(original, changed), abs=1e-6)
    grey = [pixels @ np.array([0.299, 0.587, 0.114]) for pixels in (original, changed)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert ssim(original, changed) == pytest.approx(skimage.metrics.structural_similarity(*grey, **options), abs=1e-6)
    difference = np.abs(original.astype(int) - changed)
    assert (found.mean_255, found.p99_255) == (pytest.approx(difference.mean()), np.percentile(difference, 99))
    assert found.ssimulacra2 < 95
    assert visibility(original, original).psnr is None


@pytest.mark.skipif(shutil.which(BUTTERAUGLI) is None, reason="needs butteraugli_main of libjxl-devtools")
def test_butteraugli_where_it_is_installed() -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    changed = flat.copy()
    changed[20:40, 20:40] += 40
    assert butteraugli(flat, flat) == (0, 0)
    largest, norm = butteraugli(flat, changed) or (0, 0)
    assert largest > norm > 1


def test_without_butteraugli_there_is_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flat = np.full((32, 32, 3), 128, np.uint8)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert butteraugli(flat, flat) is None
    (tmp_path / BUTTERAUGLI).write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    (tmp_path / BUTTERAUGLI).chmod(0o755)
    with pytest.raises(UncnnError, match=r"exit status 3: broken.*libjxl-devtools"):
        butteraugli(flat, flat)


def test_an_embedding_that_means_nothing_is_refused() -> None:
    with pytest.raises(UncnnError, match=r"one: its embedding .*jpeg-75.* zero or not finite.*models check"):
        embeddings_of(Embedded(None, False, {"one": {"as-is": [1.0, 0.0], "jpeg-75": [0.0, 0.0]}}))


def people_folder(root: Path, **photos: int) -> Path:
    for name, count in photos.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.jpg").touch()
    return root


def test_the_plan_takes_people_and_photos(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "people", ada=3, bob=2, cem=5, dora=6, eve=1)
    with pytest.raises(EvaluationError, match=r"people: there is one photo of eve, .*two photos.*--people N"):
        make_plan(folder)
    plan = make_plan(folder, people=4)
    assert [(person.name, len(person.photos)) for person in plan.people] == [
        ("ada", 3),
        ("bob", 2),
        ("cem", 5),
        ("dora", 6),
    ]
    fewer = make_plan(folder, people=2, photos=4)
    assert [(person.name, len(person.photos)) for person in fewer.people] == [("cem", 4), ("dora", 4)]
    assert fewer.photos == 8
    strangers = people_folder(tmp_path / "others", ada=1, zoe=1)
    assert [photo.parent.name for photo in make_plan(folder, people=2, distractors=strangers).distractors] == ["zoe"]
    with pytest.raises(EvaluationError, match="no photo of anybody else"):
        make_plan(folder, people=4, distractors=people_folder(tmp_path / "same", ada=2))


def test_folders_that_will_not_do_are_named(tmp_path: Path) -> None:
    with pytest.raises(FacesError, match=r"missing: cannot be read"):
        make_plan(tmp_path / "missing")
    with pytest.raises(EvaluationError, match="nobody with 2 photos or more"):
        make_plan(people_folder(tmp_path / "none", ada=0))
    with pytest.raises(EvaluationError, match=r"1 person with 2 photos or more, and 2 are needed"):
        make_plan(people_folder(tmp_path / "alone", ada=3))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Return an evaluation of made-up embeddings: what `strong` releases looks like somebody else, twice as far off."""
    folder = tmp_path_factory.mktemp("people") / "folder"
    sexes = {"person <0>": "f", "person <1>": "f", "person <2>": "m <"}
    plan = Plan(folder, (), (), ("balanced", "strong"), VIEWS, 1e-3, groups={"sex": sexes})
    embeddings = {UNCLOAKED: faces(0.05, 1), "balanced": faces(0.6, 2), "strong": np.roll(faces(0.05, 3), 3, axis=0)}
    visibilities = {
        UNCLOAKED: Visibility(93.0, 0.6, 0.3, 47.0, 0.998, 0.6, 3.0),
        "balanced": Visibility(81.0, 6.0, 3.0, 35.0, 0.95, 3.0, 14.0),
        "strong": Visibility(75.0, 8.0, 4.0, 33.0, 0.92, 4.0, 18.0),
    }
    judges = (COSINE, EUCLIDEAN)
    shots = tuple(
        Shot(
            f"person <{person}>",
            f"{person}/{number}.jpg",
            300.0 if number % 3 == 0 else 90.0,
            {judge.name: faces(0.05)[number] for judge in judges},
            {
                name: Take(
                    2.5,
                    True,
                    visibilities[name],
                    {judge.name: dict.fromkeys(VIEWS, own[number]) for judge in judges},
                    Jod(9.5 + number / 100, 9.0, None if number else 8.0),
                )
                for name, own in embeddings.items()
            },
        )
        for number, person in enumerate(PEOPLE)
    )
    picture = np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)
    sample = Sample(
        "Ada",
        picture,
        {name: picture[::-1].copy() for name in plan.strengths},
        dict.fromkeys(embeddings, Jod(9.9, 9.6, 9.0)),
    )
    session = Session(shots, (sample, sample), {}, ("Ada/3.jpg: no face found <b>",))
    return Evaluation(
        plan,
        Attack(),
        ("one", "two"),
        judges,
        4,
        0,
        shots,
        tuple(findings_of(session, plan, judges)),
        tuple(summaries_of(session, plan)),
        tuple(faces_of(session, plan, judges)),
        session.samples,
        Machine("cpu", 2, 60.0, 1_000_000_000, None),
        session.left_out,
        categories=tuple(categories_of(session, plan, judges)),
    )


def test_findings_say_what_was_made_up(evaluation: Evaluation) -> None:
    sizes = ("all", "portraits", "everyday")
    assert len(evaluation.findings) == 3 * 2 * 2 * len(sizes)
    for view in VIEWS:
        for size in sizes:
            for measure in ("match", "own_photo", "rank1", "gallery_match", "gallery_rank1", "linear_probe"):
                assert evaluation.worst(measure, UNCLOAKED, view, size).value == 1
                assert evaluation.worst(measure, "strong", view, size).value == 0
            assert evaluation.worst("cloaked_match", "strong", view, size).value == 1, "all look like one stranger"
    assert [evaluation.worst("match", "strong", "as-is", size).photos for size in sizes] == [12, 4, 8]
    assert 0 < evaluation.worst("match", "balanced", "as-is").value < 1


class Page(HTMLParser):
    """What a page refers to, and its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for key, value in attrs if key in {"src", "href"}]


@pytest.mark.slow
def test_everything_is_written_and_opens(evaluation: Evaluation, tmp_path: Path) -> None:
    write(evaluation, tmp_path)
    files = {"table.txt", "evaluation.json", "trade-off.png", "roc.png", "contact-sheet.png", "index.html"}
    assert {file.name for file in tmp_path.iterdir()} == files
    for name in ("trade-off", "roc", "contact-sheet"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            picture.load()
            assert min(picture.size) > 400
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 10, "something was drawn"
    text = (tmp_path / "index.html").read_text()
    found = Page()
    found.feed(text)
    assert len(found.sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert "no face found &lt;b&gt;" in text
    assert not re.search(r"https?://", text)
    table = (tmp_path / "table.txt").read_text()
    assert re.search(r"^strong +as-is +0% \(0\.\.\d+\) +0% +100% +100% +0% +0% +0%$", table, re.MULTILINE)
    assert re.search(r"^strong +all +12 +9\.55 +9\.00 +8\.00 +- +- +0% +0% +100% +2\.5$", table, re.MULTILINE)
    assert re.search(r"^ +portraits +4 +9\.54 +9\.00 +8\.00 ", table, re.MULTILINE)
    assert re.search(r"^strong +sex +f +2 +0% \(0\.\.\d+\) +0% +0% +100% +0%$", table, re.MULTILINE)
    assert re.search(r"^ +apart +0% +0% +0% +0% +0%\n +by chance +100% +100% +100% +100% +100%$", table, re.MULTILINE)
    assert "1 of 4 people have no sex in --groups and are in no group of it" in table
    assert "<td>m &lt;</td>" in text
    summary = table[: table.index("each judge")].splitlines()[4:]
    assert max(map(len, summary)) <= 80, "it fits a terminal"


def test_without_the_extra_package_the_rest_is_written(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    write(evaluation, tmp_path)
    files = {"table.txt", "evaluation.json", "contact-sheet.png", "index.html"}
    assert {file.name for file in tmp_path.iterdir()} == files
    found = Page()
    found.feed((tmp_path / "index.html").read_text())
    assert len(found.sources) == 1
    text = (tmp_path / "table.txt").read_text()
    assert 'no plots: matplotlib is not installed: pip install "uncnn[evaluate]"' in text


def test_without_ssimulacra2_its_figures_are_left_out(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility_of, "find_spec", lambda name: None)
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    seen = visibility(picture, picture)
    assert (seen.ssimulacra2, seen.ssim) == (None, 1.0)
    shots = tuple(
        replace(shot, takes={name: replace(take, visibility=seen) for name, take in shot.takes.items()})
        for shot in evaluation.shots
    )
    summaries = tuple(summaries_of(Session(shots, (), {}, ()), evaluation.plan))
    write(replace(evaluation, summaries=summaries), tmp_path)
    text = (tmp_path / "table.txt").read_text()
    assert 'no SSIMULACRA2: ssimulacra2 is not installed: pip install "uncnn[evaluate]"' in text
    assert re.search(r"^strong +- +- ", text, re.MULTILINE)
    assert json.loads((tmp_path / "evaluation.json").read_text())["strengths"][0]["ssimulacra2_worst_tenth"] is None


def test_the_contact_sheet_says_how_far_each_face_shows_in_jod() -> None:
    picture = np.zeros((50, 40, 3), np.uint8)
    shown = {"balanced": Jod(9.9, 9.6, 8.74), "strong": Jod(9.9, 9.6, None)}
    row = _row(Sample("Ada", picture, dict.fromkeys(shown, picture), shown), ("balanced", "strong"))
    assert row.captions == ["40 x 50 px", "JOD 8.7 zoomed in", "", "", ""]


def test_what_is_held_is_said_first(evaluation: Evaluation) -> None:
    plan = replace(evaluation.plan, strengths=(AS_INSTALLED,))
    summary = replace(evaluation.summaries_over_all[-1], strength=AS_INSTALLED, held=2)
    (first, *_) = facts(replace(evaluation, plan=plan, summaries=(summary,)))
    assert "as the default policy of a fresh installation publishes them, 2 held and left out" in first


def test_the_faces_nearest_to_a_link_are_listed_worst_first() -> None:
    """One is linked to another photo, two to their own original alone, one to none, and of one nothing is known."""
    near = {"a": (0.3, 0.2), "b": (-0.1, -0.4), "c": (0.2, -0.3), "d": (0.4, -0.2), "e": None}
    made = [
        FaceFinding("Ada", name, 90.0, "strong", None, own and Nearest("j", own[1]), own and Nearest("j", own[0]))
        for name, own in near.items()
    ]
    assert [face.photo for face in worst_faces(made, "strong", 9)] == ["b", "c", "d", "a", "e"]
    assert len(worst_faces(made, "strong", 2)) == 2
    assert worst_faces(made, "subtle", 9) == []


def test_how_far_beyond_a_threshold_a_face_lies() -> None:
    """At the threshold it is 0, for either metric; the judge that is nearest is named; a held photo has none."""
    clean = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    exactly = np.array([[0.5, 0.75**0.5]] * 4, dtype=np.float32)
    judges = [Judge("at", "cosine", 0.5), Judge("far", "cosine", 0.9)]
    shots = tuple(
        Shot(
            "AABB"[number],
            f"{number}.jpg",
            90.0,
            {judge.name: clean[number] for judge in judges},
            {
                "strong": Take(
                    1.0,
                    True,
                    None,
                    {judge.name: {"as-is": exactly[number]} for judge in judges},
                    Jod(10, 10, None),
                    held="" if number else "x",
                )
            },
        )
        for number in range(4)
    )
    plan = Plan(Path("people"), (), (), ("strong",), ("as-is",), 1e-3)
    held, second, *_ = faces_of(Session(shots, (), {}, ()), plan, judges)
    assert held.own is held.cross is None
    assert second.own is not None
    assert second.own.judge == "at"
    assert second.own.beyond == pytest.approx(0, abs=1e-6)
    assert second.cross is not None
    assert second.cross.judge == "at"


def test_the_json_is_a_contract(evaluation: Evaluation, tmp_path: Path) -> None:
    write(evaluation, tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["schema_version"] == 2
    assert set(content) == {
        *("schema_version", "folder", "people", "distractors", "far", "views", "quality", "attack", "surrogates"),
        *("judges", "strengths", "findings", "photos", "machine", "notes", "left_out", "as_installed", "any_judge"),
        *("synthetic_distractors", "groups"),
    }
    (first, second, *_) = content["findings"]
    rates = {"match", "own_photo", "rank1", "gallery_match", "gallery_rank1", "linear_probe", "cloaked_match"}
    rates |= {"rank50", "rank1_synthetic", "rank50_synthetic", "majority", "growing_2", "growing_4", "growing_8"}
    rates |= {f"mixed_{part}{share}" for part in ("", "rank1_") for share in (25, 50, 75)}
    assert set(RATES) == rates
    assert set(first) == {"judge", "strength", "view", "size", "roc", *rates}
    assert (first["size"], second["size"]) == ("all", "portraits")
    assert first["match"] == {"value": 1.0, "low": pytest.approx(0.51, abs=0.01), "high": 1.0, "photos": 12}
    assert len(first["roc"]["far"]) == len(first["roc"]["tar"])
    sizes = [(each["strength"], each["size"]) for each in content["strengths"]]
    assert sizes[:4] == [("none", "all"), ("none", "portraits"), ("none", "everyday"), ("balanced", "all")]
    assert content["strengths"][3]["visibility"]["butteraugli"] == 6.0
    assert content["strengths"][3]["jod"] == {"phone": pytest.approx(9.555), "desktop": 9.0, "zoom": 8.0}
    assert content["strengths"][3]["worst_jod"]["phone"] == 9.5
    assert (content["strengths"][3]["photos"], content["strengths"][3]["held"]) == (12, 0)
    assert content["strengths"][3]["likeness"] is content["strengths"][3]["years_older"] is None
    assert len(content["photos"]) == 12
    assert [(each["strength"], each["category"]) for each in content["groups"]] == [
        (strength, "sex") for strength in ("none", "balanced", "strong")
    ]
    last = content["groups"][-1]
    assert last["apart"]["match"] == {"value": 0.0, "chance": 1.0}
    assert [(each["name"], each["people"], each["match"]["photos"]) for each in last["groups"]] == [
        ("f", 2, 6),
        ("m <", 1, 3),
    ]
    assert {take["strength"] for take in content["photos"][0]["takes"]} == {"none", "balanced", "strong"}
    none, _, strong = content["photos"][0]["takes"]
    assert none["nearest_own"] is None
    assert strong["jod"] == {"phone": 9.5, "desktop": 9.0, "zoom": 8.0}
    assert strong["nearest_cross"]["judge"] in {"cosine-judge", "euclidean-judge"}
    assert strong["nearest_cross"]["beyond"] > 0.2
    assert "embedding" not in json.dumps(content), "embeddings stay in memory"


def test_the_change_is_made_large_around_grey() -> None:
    flat = np.full((2, 2, 3), 100, np.uint8)
    assert amplified(flat, flat).tolist() == np.full((2, 2, 3), 128).tolist()
    assert int(amplified(flat, flat + np.uint8(3))[0, 0, 0]) == 128 + 3 * AMPLIFIED
    assert int(amplified(flat, flat - np.uint8(90))[0, 0, 0]) == 0


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from uncnn.daemon.cli.main import app\n"
        "try: app(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'PIL', 'scipy', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: uncnn-daemon evaluate" in done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    return ModelsHome(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--strength", "mild"), 2, r"--strength 'mild': choose one of subtle, balanced, strong, utmost"),
        (("--view", "grey"), 2, r"--view: view 'grey' is not known: use as-is"),
        (("--far", "0.5"), 2, r"--far: 0\.5 is not a supported rate"),
        (("--photos", "1"), 2, r"--photos"),
        (("--attack", "none"), 2, r"attack 'none' is not installed: choose one of boundary, cw"),
        (("--set", "steps"), 2, r"--set 'steps': write it as name=value"),
        (("--distractors", "nowhere"), 1, r"nowhere: cannot be read"),
        (("--groups", "nowhere.csv"), 1, r"--groups nowhere\.csv: cannot be read \(No such file or directory\)"),
    ],
)
def test_options_that_cannot_be(
    home: ModelsHome, tmp_path: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    folder = people_folder(tmp_path / "people", ada=2, bob=2)
    done = home.run("evaluate", folder, "-o", tmp_path / "out", *options)
    assert done.returncode == status, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def real(
    shared_models: Path, detector_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelsHome, dict[str, str]]:
    """Return a home where nothing has to be exported first, and the environment that names the real models."""
    home = ModelsHome(tmp_path_factory.mktemp("real")).having(detector_folder)
    return home, {"UNCNN_MODELS": str(shared_models / "reference")}


@pytest.mark.slow
def test_photos_without_faces_end_it_with_a_reason(real: tuple[ModelsHome, dict[str, str]], tmp_path: Path) -> None:
    home, environment = real
    folder = tmp_path / "people"
    for number, name in enumerate(("ada/1.png", "ada/2.png", "bob/1.png", "bob/2.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        buffer = BytesIO()
        Image.new("RGB", (80 + number, 80), "grey").save(buffer, "PNG")
        (folder / name).write_bytes(buffer.getvalue() if number else b"nothing")
    done = home.run("evaluate", folder, "-o", tmp_path / "out", **environment)
    assert done.returncode == 1
    assert re.search(r"people: 0 of 2 people have 2 photos that show their face", done.stderr), done.stderr
    assert "(ada/1.png is not a photo" in done.stderr
    assert "ada/2.png: no face found" in done.stderr


class Heard:
    """Keeps how far the photos were at each report, in photos."""

    def __init__(self) -> None:
        self.begun = 0
        self.done: list[float] = []

    def begin(self, name: str) -> None:
        assert name
        self.begun += 1

    def report(self, stage: Stage) -> None:
        self.done.append(self.begun - 1 + stage.done / stage.of)


class AnsweringCrew:
    """Answers the worker's part of a photo with steps of progress, and the verifier's with one embedding."""

    roster = SimpleNamespace(judges=[SimpleNamespace(card=SimpleNamespace(name="one"))])

    def look(self, asked: Look) -> Looked:
        raise AssertionError(asked)

    def change(self, asked: Change, report: Callable[[Stage], None]) -> Changed:
        for step in range(1, 4):
            report(Stage("cloaking", len(asked.faces) * step / 3, len(asked.faces)))
        return Changed(asked.photo.beside(CANDIDATE, b""), ())

    def judge(self, asked: Any) -> Any:
        if isinstance(asked, Compare):
            return Compared(Jod(10.0, 10.0, None), None)
        return Embedded(None, True, {"one": {view: [1.0, 0.0] for view in asked.views}})


def test_progress_only_goes_on(tmp_path: Path) -> None:
    heard = Heard()
    plan = Plan(tmp_path, (), (), ("subtle", "strong"), VIEWS, 1e-3)
    face = Face((0, 0, 50, 50), ((10, 10), (40, 10), (25, 25), (12, 40), (38, 40)), 1.0)
    for number in range(2):
        heard.begin(f"{number}.jpg")
        work = Cloaking(AnsweringCrew(), plan, Policy(), tmp_path / "source", "photo", heard)  # type: ignore[arg-type]
        assert set(work.shot("Ada", face).takes) == {UNCLOAKED, "subtle", "strong"}
    assert heard.done == sorted(heard.done)
    assert heard.done[-1] == 2


@pytest.mark.slow
def test_real_photos_from_folder_to_page(
    real: tuple[ModelsHome, dict[str, str]], shared_data: Path, tmp_path: Path
) -> None:
    """The share that is linked falls with a cloak, on judges that it has not seen; few steps, so that it is quick."""
    home, environment = real
    folder = some_people(shared_data / "lfw" / "identities", tmp_path / "people", people=2, photos=2)
    person = next(folder.iterdir())
    (person / "copy.jpg").write_bytes((person / sorted(path.name for path in person.iterdir())[0]).read_bytes())
    others = some_people(shared_data / "lfw" / "distractors", tmp_path / "others", people=3, photos=1)
    options = ("--strength", "strong", "--set", "steps=4", "--view", "as-is", "--view", "jpeg-75")
    models = ("--licence", "research", "--distractors", others)
    code, content = home.json("evaluate", folder, "-o", tmp_path / "out", *options, *models, **environment)
    assert code == 0
    assert content == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (content["people"], content["distractors"], len(content["photos"])) == (2, 3, 4)
    assert {judge["name"] for judge in content["judges"]} == {"dlib-resnet", "openvino-0095"}
    assert not {judge["name"] for judge in content["judges"]} & set(content["surrogates"])
    assert [reason.split(":")[1].strip() for reason in content["left_out"]] == [f"a copy of {first_photo(person)}"]
    over_all = [each for each in content["findings"] if each["size"] == "all"]
    found = {(each["judge"], each["strength"], each["view"]): each for each in over_all}
    assert len(found) == 2 * 2 * 2
    for judge in ("dlib-resnet", "openvino-0095"):
        before, after = found[judge, "none", "as-is"], found[judge, "strong", "as-is"]
        assert before["match"]["value"] == before["rank1"]["value"] == before["linear_probe"]["value"] == 1
        assert after["match"]["value"] < 1
    none, strong = (each for each in content["strengths"] if each["size"] == "all")
    assert none["jod"]["desktop"] > 9.8 > strong["jod"]["desktop"] > strong["jod"]["zoom"]
    assert none["visibility"]["ssimulacra2"] > 90 > strong["visibility"]["ssimulacra2"] > 40
    assert content["machine"]["worker_bytes"] > 100e6
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.height > 2 * 200


def first_photo(person: Path) -> str:
    return min(path.name for path in person.iterdir() if path.is_symlink())

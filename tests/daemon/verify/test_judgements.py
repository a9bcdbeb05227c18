"""What counts as a link: any place, any view, too near, or an answer that proves nothing. No networks are needed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.protect.verifier import Verifier
from uncnn.daemon.verify.places import JITTERS
from uncnn.daemon.verify.verdict import Judgement
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.recognisers.cards import DEFAULT_MARGIN, Card
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FACE = Face((20, 20, 90, 110), ((40, 50), (70, 50), (55, 70), (43, 85), (67, 85)), 0.9)
MOVED = Face((25, 20, 95, 110), tuple((x + 5, y) for x, y in FACE.landmarks), 0.9)  # type: ignore[arg-type]
SAME, OTHER = (1.0, 0.0), (-1.0, 0.0)


def card(margin: float | None = None) -> Card:
    return Card.model_validate(
        {
            "name": "stern",
            "family": "Stern (of no network)",
            "role": "judge",
            "input": {"height": 112, "width": 112, "order": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1]},
            "template": "arcface-112",
            "embedding": 2,
            "metric": "euclidean",
            "thresholds": {1e-3: 0.5},
            "calibrated_on": "nothing",
            "sha256": "0" * 64,
            "licence": {"name": "MIT", "use": "permissive"},
            "margin": margin,
        }
    )


class Scripted(OnnxRecogniser):
    """Sees one person in a dark photo, and in a bright one another, `sees`, but at the place `knows`."""

    knows = -1
    sees: tuple[float, float] = OTHER
    unchanged: tuple[float, float] = SAME

    def embed(self, photo: Pixels, landmarks: np.ndarray) -> np.ndarray:
        bright = photo.mean() > 100
        rows = [type(self).sees if bright else SAME for _ in landmarks]
        if bright and 0 <= self.knows < len(rows):
            rows[type(self).knows] = SAME
        if not bright and photo[0, 0, 0] != 10:  # the dark photo in a view
            rows = [type(self).unchanged for _ in landmarks]
        return np.array(rows, np.float32)


class There:
    """A detector that finds the face where it was in a dark photo, and a little beside it in a bright one."""

    def detect(self, photo: Pixels) -> list[Face]:
        return [MOVED if photo.mean() > 100 else FACE]


def photo(grey: int) -> bytes:
    pixels = np.full((130, 120, 3), grey, np.uint8)
    pixels[0, 0] = 10  # gone under a blur
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def asked(scripted: type[Scripted], view: str = "as-is", margin: float | None = None) -> Judgement:
    verifier = Verifier(There(), [scripted(card(margin), None)])
    verdict = verifier.verify(photo(40), photo(200), 1e-3, (view,), 24, faces=[FACE])
    (judgement,) = verdict.faces[0].judgements
    return judgement


def test_nobody_links_where_every_place_is_another_person() -> None:
    judgement = asked(Scripted)
    assert not judgement.linked
    assert (judgement.before, judgement.after, judgement.family) == (0.0, 2.0, "stern")


@pytest.mark.parametrize("place", range(2 + len(JITTERS)))
def test_one_place_that_links_is_a_link(place: int) -> None:
    """Where it is found, beside that, and where it was."""

    class Knows(Scripted):
        knows = place

    assert asked(Knows).linked


@pytest.mark.parametrize(
    ("after", "margin", "linked"),
    [(0.51, 0.0, False), (0.5, 0.0, True), (0.51, 0.05, True), (0.53, 0.05, False), (0.51, None, True)],
)
def test_the_margin_of_the_card_counts(after: float, margin: float | None, linked: bool) -> None:
    class Near(Scripted):
        sees = (1.0, after)

    judgement = asked(Near, margin=margin)
    assert judgement.linked is linked
    assert judgement.margin == (DEFAULT_MARGIN if margin is None else margin)


def test_a_margin_of_the_policy_stands_in_for_that_of_the_card() -> None:
    class Near(Scripted):
        sees = (1.0, 0.53)

    verifier = Verifier(There(), [Near(card(0.05), None)])
    for margin, linked in ((0.0, False), (0.05, False), (0.2, True)):
        verdict = verifier.verify(photo(40), photo(200), 1e-3, ("as-is",), 24, faces=[FACE], margin=margin)
        assert verdict.faces[0].judgements[0].linked is linked


def test_who_does_not_know_the_unchanged_photo_counts_as_a_link() -> None:
    class Blind(Scripted):
        unchanged = (1.0, 0.6)

    judgement = asked(Blind, "blur-2")
    assert judgement.after == pytest.approx(2.0)
    assert judgement.blind
    assert judgement.linked


def test_it_is_enough_that_one_view_links() -> None:
    class Fooled(Scripted):
        def embed(self, photo: Pixels, landmarks: np.ndarray) -> np.ndarray:
            found = Scripted.embed(self, photo, landmarks)
            return np.array([SAME] * len(landmarks), np.float32) if photo[0, 0, 0] != 10 else found

    verifier = Verifier(There(), [Fooled(card(), None)])
    verdict = verifier.verify(photo(40), photo(200), 1e-3, ("as-is", "blur-2"), 24, faces=[FACE])
    assert [each.linked for each in verdict.faces[0].judgements] == [False, True]
    assert not verdict.protected

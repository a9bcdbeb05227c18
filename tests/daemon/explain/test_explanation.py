"""What every recogniser answers, from embeddings by name, goes into JSON and comes back the same."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
from pydantic import TypeAdapter

from uncnn.daemon.explain.explanation import ExplainedFace
from uncnn.daemon.explain.gallery import Member, gallery_of
from uncnn.daemon.explain.identification import answers
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import read_card

NAMES = ("openvino-0095", "dlib-resnet")
FACE = Face((10, 20, 110, 140), ((40, 60), (80, 60), (60, 80), (45, 100), (75, 100)), 0.9)


def test_each_recogniser_answers_by_its_own_embedding():
    cards = [read_card(EMBEDDED / name) for name in NAMES]
    generator = np.random.default_rng(0)
    ada = {card.name: (generator.normal(size=card.embedding) * 0.1).tolist() for card in cards}
    copy = {card.name: (generator.normal(size=card.embedding) * 0.1).tolist() for card in cards}
    member = Member("Ada", {card.sha256: [ada[card.name]] for card in cards})
    galleries = [gallery_of(card, EMBEDDED / card.name, [member]) for card in cards]
    found = answers(galleries, ada, copy)
    assert [each.recogniser for each in found] == list(NAMES)
    for each in found:
        assert each.names == 1001
        assert each.original.candidates[0].name == "Ada"
        assert each.original.named
        assert each.copy is not None
        assert each.copy.unaware is not None
        assert each.original.unaware is None
    face = ExplainedFace(1, FACE, FACE, True, found)
    assert TypeAdapter(ExplainedFace).validate_json(json.dumps(asdict(face))) == face
    assert all(each.copy is None for each in answers(galleries, ada, None))

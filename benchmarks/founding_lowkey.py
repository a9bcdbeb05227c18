"""LowKey's claim: clean photos looked up in a gallery that holds the person's cloaked photos alone, among strangers.

Cherepanova, Goldblum, Foley, Duan, Dickerson, Taylor, Goldstein, "LowKey: leveraging adversarial attacks to protect
social media users from facial recognition", ICLR 2021: the gallery is what was scraped, the probe is a new photo.
The photos, the method and the judges are those of `peers.py`; beside its judges, those that were attacked are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from common import CPU, REFERENCE, surrogates
from onepass import OUTSIDE
from peers import JUDGED, OTHERS, clean_of, people_of, short
from peers_kept import Kept, cloaked
from peers_methods import METHODS
from peers_table import Clean

from uncnn.daemon.evaluate.adversaries import Codes, Judge, identification
from uncnn.daemon.evaluate.intervals import rate
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

ASKED: Final = ("no cloak", "LowKey")
AT_ONCE: Final = 4  # people whose photos are one batch
HEAD: Final = "| gallery | asked | rank 1 | rank 50 |\n|---|---|---|---|"


def lowkey(lfw: Path, keep: Path, number: int, strangers: int, smoke: bool) -> Iterator[str]:
    """Yield a row a method and a group of judges; in the smoke test a method takes two steps."""
    attacked = surrogates()
    inside = [OnnxRecogniser.load(each.folder, CPU) for each in attacked]
    outside = [OnnxRecogniser.load(REFERENCE / name, CPU) for name in OUTSIDE]
    people = list(people_of(lfw / "identities", number, JUDGED, OTHERS))
    judges = [*inside, *outside]
    clean = clean_of(people, lfw / "distractors", strangers, judges, keep)
    names = {each.card.name for each in inside}
    yield f"{len(people)} people, {clean.strangers} distractors\n{HEAD}"
    for method in (short(each) if smoke else each for each in METHODS if each.name in ASKED):
        kept: dict[str, Kept] = {}
        for first in range(0, len(people), AT_ONCE):
            kept |= cloaked(method, people[first : first + AT_ONCE], keep, attacked, judges, True)
        for title, group in (("attacked", names), ("not attacked", {each.card.name for each in outside})):
            asked = [usual for usual, _ in clean.judges if usual.name in group]
            cells = [_rate(asked, clean, kept, rank) for rank in (1, 50)]
            yield f"| {method.name} | {title}: {len(group)} | {' | '.join(cells)} |"


def _rate(judges: list[Judge], clean: Clean, kept: Mapping[str, Kept], rank: int) -> str:
    """Return the mean over judges of the share of clean probes whose person is among the `rank` closest photos."""
    photos = len(clean.known[judges[0].name]) // len(clean.names)
    people = np.repeat(np.arange(len(clean.names)), photos)
    shares = []
    for judge in judges:
        copies = np.stack([kept[name].embeddings[judge.name] for name in clean.names])
        shares.append(found(judge, clean.known[judge.name], copies, people, clean.unknown[judge.name], rank))
    return str(rate(np.mean(shares, axis=0), people))


def found(
    judge: Judge, clean: Embeddings, copies: Embeddings, people: Codes, strangers: Embeddings, rank: int
) -> Floats:
    """Return for each photo, (N,), 1 where it is found among the cloaked ones; NaN for those that were cloaked.

    `clean` is (N, D), person by person; `copies`, (people, n, D), are of each person's first n photos.
    """
    shape = (len(copies), -1, clean.shape[1])
    probes, gallery = clean.astype(np.float64).reshape(shape), np.full(clean.shape, np.nan).reshape(shape)
    probes[:, : copies.shape[1]] = np.nan
    gallery[:, : copies.shape[1]] = copies
    return identification(judge, probes.reshape(clean.shape), gallery.reshape(clean.shape), people, strangers, rank)

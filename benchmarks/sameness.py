"""How often `people enroll` refuses photos of one person, and takes those of several: three photos a time.

Usage: python benchmarks/sameness.py [--people 80] [--data DIR] [--smoke]
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from common import is_missing, options_of

from uncnn.daemon.people.sameness import groups
from uncnn.daemon.people.store import Template
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Describe
from uncnn.daemon.settings import settings_for, taken, work

TRIES = 4000
PHOTOS = 4  # of each person


def main() -> None:
    """Describe photos of people once, then print the three shares."""
    parser = options_of(__doc__)
    parser.add_argument("--people", type=int, default=80)
    options = parser.parse_args()
    identities = options.data / "lfw" / "identities"
    if is_missing(identities):
        return
    folders = [folder for folder in sorted(identities.iterdir()) if len(list(folder.glob("*.jpg"))) > PHOTOS]
    people, cards = _described(folders[: 6 if options.smoke else options.people])
    sets = [photos for own in people for photos in combinations(own, 3)]
    print(f"{len(people)} people with three photos or more of one face")
    print(f"of one person: {sum(not _one_person(photos, cards) for photos in sets)} of {len(sets)} refused")
    choice, tries = random.Random(0), TRIES // 40 if options.smoke else TRIES
    for words, make in (("of three people", _three), ("two of one, one of another", _two_and_one)):
        passed = sum(_one_person(make(people, choice), cards) for _ in range(tries))
        print(f"{words}: {passed} of {tries} taken")


def _three(people: list[list[Any]], choice: random.Random) -> list[Any]:
    return [choice.choice(own) for own in choice.sample(people, 3)]


def _two_and_one(people: list[list[Any]], choice: random.Random) -> list[Any]:
    one, other = choice.sample(people, 2)
    return [*choice.sample(one, 2), choice.choice(other)]


def _one_person(photos: Sequence[Any], cards: dict[str, Any]) -> bool:
    return len(groups(_templates(photos), cards)) == 1


def _described(folders: Sequence[Path]) -> tuple[list[list[Any]], dict[str, Any]]:
    """Return the embeddings of some photos, person by person, and the recognisers' cards by their hash."""
    settings = settings_for(None, None, None, None, None, None, "cpu", any_policy=True)
    found: dict[str, list[Any]] = {}
    with work(settings.models, settings.device) as (engine, spool):
        for folder in folders:
            for photo in sorted(folder.glob("*.jpg"))[:PHOTOS]:
                copy = taken(photo, spool)
                answer = engine.judge(Describe(Content(copy.path), photo.name, False))
                copy.path.unlink()
                if answer.faces == 1:
                    found.setdefault(folder.name, []).append(answer.models)
        cards = {model.card.sha256: model.card for model in (*engine.roster.surrogates, *engine.roster.judges)}
    return [photos for photos in found.values() if len(photos) >= 3], cards


def _templates(photos: Sequence[Any]) -> list[Template]:
    models = enumerate(photos[0])
    return [Template(m.recogniser, m.sha256, [photo[place].embedding for photo in photos]) for place, m in models]


if __name__ == "__main__":
    main()

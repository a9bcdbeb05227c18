"""Whether a method protects some people less than others: rates of groups of people, and how far these are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from peers_kept import Kept
from peers_methods import Method
from peers_table import Clean, asked_of, means_of

from uncnn.daemon.evaluate.groups import Groups, category_of

ASKED: Final = ("own", "any judge", "cross", "cc")
GROUPED: Final = f"| | by | group | people | {' | '.join(ASKED)} |\n|" + "---|" * (4 + len(ASKED))


def groups_of(method: Method, kept: Mapping[str, Kept], clean: Clean, groups: Groups) -> Iterator[str]:
    """Yield a line a group, and one a category of how far its groups are apart, and how often they are by chance."""
    names, people, shares = asked_of(kept, clean)
    means = means_of(shares)
    asked = {name: means[name] for name in ASKED}
    for category, whose in groups.items():
        own = [whose.get(names[person], "") for person in people]
        found = category_of(method.name, category, own, people, asked)
        for group in found.groups:
            cells = " | ".join(str(group.rates[name]) for name in ASKED)
            yield f"| {method.name} | {category} | {group.name} | {group.people} | {cells} |"
        gaps = [found.gaps.get(name) for name in ASKED]
        cells = " | ".join("-" if gap is None else f"{gap.value:.0%}, by chance {gap.chance_words}" for gap in gaps)
        yield f"| {method.name} | {category} | *apart* | | {cells} |"

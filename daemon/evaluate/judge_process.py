"""The process that only an evaluation needs: recognisers from outside, so that they have no part in any verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from uncnn.daemon.evaluate.plan import EvaluationError
from uncnn.daemon.evaluate.visibility import LIKENESS
from uncnn.daemon.protect.messages import Embed
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.text import printable
from uncnn.exporters.registry.choice import Installed
from uncnn.exporters.registry.store import EMBEDDED, Roster
from uncnn.plugins.recognisers.cards import CARD_FILE, read_card

_SECONDS: Final = 3600.0  # for one photo, on a slow machine


@dataclass(frozen=True, slots=True)
class Aides:
    """The process, where it is needed, and the models in it."""

    models: tuple[Installed, ...] = ()
    notes: tuple[str, ...] = ()  # which models are passed over, and why
    outside: Child | None = None

    def embed(self, asked: Embed) -> dict[str, dict[str, list[float]]]:
        """Return the embeddings of a face by the recognisers from outside, by name and view. Raises as an engine."""
        if self.outside is None:
            return {}
        names = tuple(model.card.name for model in self.models)
        return self.outside.call(replace(asked, judges=names), _SECONDS).embeddings


NO_AIDES: Final = Aides()


@contextmanager
def aides(engine: ProcessEngine, folder: Path | None) -> Iterator[Aides]:
    """Yield the process, with the recognisers of `folder`; it ends with the block.

    Raises:
        EvaluationError: there is none in it. CardError: a card is broken.
    """
    models, notes = outside_models(engine.roster, folder)
    with ExitStack() as stack:
        outside = None
        if models:
            outside = engine.new_verifier(replace(engine.roster, surrogates=(), judges=models))
            stack.enter_context(closing(outside))
        yield Aides(models, notes, outside)


def outside_models(roster: Roster, folder: Path | None) -> tuple[tuple[Installed, ...], tuple[str, ...]]:
    """Return the recognisers in `folder` that have no part in the run, and why others of it are passed over.

    With them is the one that tells likeness, where it came with uncnn and is no judge.

    Raises:
        EvaluationError: there is none in it. CardError: a card is broken.
    """
    where = "" if folder is None else f"--judge-models {printable(folder)}"
    folders = [] if folder is None else sorted(card.parent for card in folder.glob(f"[!.]*/{CARD_FILE}"))
    if where and not folders:
        raise EvaluationError(
            f"{where}: no folder in it has a {CARD_FILE}: give a folder of model folders, "
            "as `uncnn-daemon models add` makes them"
        )
    used = {model.card.name: model.card.sha256 for model in (*roster.surrogates, *roster.judges)}
    models, notes = [], []
    for model in (Installed(each, read_card(each)) for each in folders):
        if model.card.name in used or model.card.sha256 in used.values():
            notes.append(f"{printable(model.folder.name)} is no judge outside: it is attacked or judges already")
        else:
            models.append(model)
    shipped = EMBEDDED / LIKENESS
    known = {model.card.name for model in (*roster.judges, *models)}
    if LIKENESS not in known and (shipped / CARD_FILE).is_file():
        models.append(Installed(shipped, read_card(shipped)))
    return tuple(models), tuple(notes)

"""The processes that only an evaluation needs: recognisers from outside, and ColorVideoVDP.

Recognisers from outside have a process of their own, so that they have no part in any verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from uncnn.daemon.crew import Crew
from uncnn.daemon.evaluate.looks import LIKENESS
from uncnn.daemon.evaluate.plan import EvaluationError
from uncnn.daemon.photos import decode
from uncnn.daemon.processes import Child, Handler, Message, Report
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.daemon.verify.displays import JOD, Jod, installed, on_displays
from uncnn.daemon.verify.verdict import FACE
from uncnn.daemon.wording import printable
from uncnn.exporters.choice import Installed
from uncnn.exporters.store import EMBEDDED, Roster
from uncnn.plugins.api import Face
from uncnn.plugins.cards import CARD_FILE, read_card

_SECONDS: Final = 3600.0  # for one photo, on a slow machine


class Displays:
    """ColorVideoVDP's process: started when it is first asked, since its imports take seconds."""

    def __init__(self, spool: Path) -> None:
        """Nothing is started yet; the photos to be compared lie in `spool`."""
        self._spool = spool
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id; None: it was not started."""
        return None if self._child is None else self._child.pid

    def ask(self, request: Message) -> Jod:
        """Return how far a photo shows as changed. Raises RequestError, ProcessDied."""
        if self._child is None:
            sandbox = sandbox_for(self._spool, [], "cpu")
            self._child = Child("displays", make_displays, sandbox, ["uncnn.daemon.evaluate.aides", "torch"])
        return JOD.validate_python(self._child.call(request, _SECONDS))

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()


@dataclass(frozen=True, slots=True)
class Aides:
    """The processes, and the models in them. Those that are not needed are not there."""

    models: tuple[Installed, ...] = ()
    notes: tuple[str, ...] = ()  # which models are passed over, and why
    outside: Child | None = None
    displays: Displays | None = None

    def embed(self, request: Message) -> Message:
        """Return what the recognisers from outside make of a face: embeddings by name and view. Raises as a crew."""
        if self.outside is None:
            return {}
        names = [model.card.name for model in self.models]
        answer: Message = self.outside.call({**request, "judges": names}, _SECONDS)["embeddings"]
        return answer

    def jod(self, original: Path, released: Path, name: str, face: Face) -> Jod | None:
        """Return how far a released photo shows as changed on displays; None: nothing is installed that tells it."""
        if self.displays is None:
            return None
        asked = {"original": str(original), "released": str(released), "name": name}
        return self.displays.ask({**asked, "face": FACE.dump_python(face, mode="json")})


NO_AIDES: Final = Aides()


@contextmanager
def aides(crew: Crew, spool: Path, folder: Path | None) -> Iterator[Aides]:
    """Yield the processes, with the recognisers of `folder`; they end with the block.

    Raises:
        EvaluationError: there is none in it. CardError: a card is broken.
    """
    models, notes = outside_models(crew.roster, folder)
    with ExitStack() as stack:
        outside = None
        if models:
            outside = crew.new_verifier(replace(crew.roster, surrogates=(), judges=models))
            stack.enter_context(closing(outside))
        displays = stack.enter_context(closing(Displays(spool))) if installed() else None
        yield Aides(models, notes, outside, displays)


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


def make_displays() -> Handler:
    """Return the handler of the process that tells how far a change shows: of two files of one photo, and a face."""

    def handle(request: Message, _report: Report) -> Message:
        before, after = (
            decode(Path(request[key]).read_bytes(), request["name"]).pixels for key in ("original", "released")
        )
        found: Message = JOD.dump_python(on_displays(before, after, [FACE.validate_python(request["face"])]))
        return found

    return handle

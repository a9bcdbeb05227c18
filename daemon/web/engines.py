"""What dropped photos are cloaked with: the running service's processes, else some of the page's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.config import Models
from uncnn.daemon.control.messages import Footing
from uncnn.daemon.control.service_engine import EitherEngine, served
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.workspace import workspace
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.remote.engine import engine_for


@dataclass(frozen=True, slots=True)
class Lent:
    """An engine, and the folder that its processes see."""

    engine: EitherEngine
    own: ProcessEngine
    spool: Path

    def end(self) -> None:
        """Let whoever waits for an answer have an error instead, from any thread."""
        self.engine.end()
        self.own.kill()


@contextmanager
def lent_engine(models: Models, device: str, servers: Sequence[str] = ()) -> Iterator[Lent]:
    """Lend an engine: nothing is started before it is asked, and what was started is ended with the block.

    Raises FolderError, AddressError.
    """
    data = data_dir()
    with (
        workspace() as spool,
        engine_for(models, device, data, spool, servers) as own,
        served(Footing.of(models, device, data), own) as engine,
    ):
        yield Lent(engine, own, spool)

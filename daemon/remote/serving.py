"""The server's side: changes faces for one client over a pair of pipes, stores nothing and opens nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.remote.frames import FrameError, receive
from uncnn.daemon.remote.hello import Hello, Welcome, load_now
from uncnn.daemon.remote.work import Pipes, ServingError
from uncnn.daemon.sandbox.entering import enter
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.exporters.registry.store import installed

if TYPE_CHECKING:
    from uncnn.daemon.remote.serving_torch import Serving


def serve(data: Path, device: str) -> int:
    """Serve the client at standard input and output until it ends; return the exit status.

    `data` is the folder of the user's models. Nothing but frames goes to standard output, whatever a library prints.
    """
    pipes = Pipes(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        _serve(pipes, data, device)
    except FrameError as error:
        sys.stderr.write(f"the client: {error}\n")
        return 1
    return 0


def _serve(pipes: Pipes, data: Path, device: str) -> None:
    first = receive(pipes.source)
    if first is None:
        return
    try:
        folders = _folders(Hello.model_validate(first.said.get("hello")), data)
        serving = _loaded(folders, device)
    except Exception as error:  # said, so that a person reads it at the other end
        pipes.say(error=RequestError.of(error).values)
        return
    pipes.say(welcome=Welcome(device=serving.device, load=load_now()).model_dump())
    while (frame := receive(pipes.source)) is not None:
        try:
            packed, notes = serving.changed(frame, pipes)
        except FrameError:
            raise
        except Exception as error:  # one batch's failure does not end the connection
            pipes.say(error=RequestError.of(error).values)
        else:
            pipes.say(packed, notes=list(notes), load=load_now())


def _folders(hello: Hello, data: Path) -> list[Path]:
    """Return the folders of the client's surrogates. Raises ServingError: another version, or not the same models."""
    hello.check_version()
    known = {(model.card.name, model.card.sha256): model.folder for model in installed(data)}
    missing = [name for name, sha256 in hello.surrogates if (name, sha256) not in known]
    if missing or not hello.surrogates:
        names = ", ".join(missing) or "none named"
        raise ServingError(f"the server has other models than this machine: {names}; install the same on both")
    return [known[name, sha256] for name, sha256 in hello.surrogates]


_NOWHERE: Final = Path("/nonexistent")


def _loaded(folders: Sequence[Path], device: str) -> Serving:
    """Return what serves, from inside a sandbox in which no file can be written and no connection opened."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts none: Landlock would not hold for them
    from uncnn.daemon.remote.serving_torch import Serving  # torch

    inside = [file.resolve() for folder in folders for file in (folder, *folder.iterdir())]
    enter(replace(sandbox_for(_NOWHERE, inside, device), writes=(), scratch=None))
    return Serving.load(folders, device)

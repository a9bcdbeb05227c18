"""The pull of a model that a person asked for on the page: one at a time, each in a process of its own."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, replace
from typing import Final

from uncnn.daemon.protect.processes import Child, ProcessDied
from uncnn.daemon.protect.wire import Handlers, RequestError, Stage
from uncnn.daemon.web.changes import Changes
from uncnn.daemon.web.messages import PullModel

LONGEST_SECONDS: Final = 24 * 3600.0
"""A large model over a slow line; what was fetched of one that takes longer is kept for the next pull."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull: how far it is, or what became of it."""

    name: str  # of the model
    stage: Stage | None = None  # while it is in work
    state: str = "working"  # then installed, present, refused, failed
    message: str = ""


class Pulls:
    """Begins pulls, and knows the last one."""

    def __init__(self, changes: Changes, possible: bool) -> None:
        """`possible`: this process has a network, as the page has none that systemd starts."""
        self.possible = possible
        self.mirror = os.environ.get("UNCNN_MIRROR") or None  # as `models pull` takes it
        self.last: Pull | None = None
        self._changes = changes
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._closed = False

    def begin(self, name: str, licences: tuple[str, ...]) -> bool:
        """Begin to pull a model; return whether that is so: another one may be on its way."""
        with self._lock:
            if self._closed or (self.last is not None and self.last.state == "working"):
                return False
            self._child = Child("pull", _make_puller)
            self.last = Pull(name)
        asked = PullModel(name, licences, self.mirror)
        threading.Thread(target=self._work, args=(self._child, asked), name="uncnn-pull", daemon=True).start()
        self._changes.tell()
        return True

    def close(self) -> None:
        """End the process; what was fetched so far is kept for the next pull."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.end_now()

    def _work(self, child: Child, asked: PullModel) -> None:
        try:
            done = child.call(asked, LONGEST_SECONDS, self._report)
            self._note(Pull(asked.name, None, done.state, done.message))
        except (RequestError, ProcessDied) as error:
            self._note(Pull(asked.name, None, "failed", str(error)))
        except Exception:
            _LOG.exception("the pull of %s failed", asked.name)
            self._note(Pull(asked.name, None, "failed", "the terminal of uncnn-daemon web says why"))
        finally:
            child.close()

    def _report(self, stage: Stage) -> None:
        if self.last is not None:
            self._note(replace(self.last, stage=stage))

    def _note(self, pull: Pull) -> None:
        self.last = pull
        self._changes.tell()


def _make_puller() -> Handlers:
    from uncnn.daemon.web.puller import make_puller  # what speaks HTTP: only in the spawned process

    return make_puller()

"""The same work on Ray: actors that keep their models, each photo done by `do_photo` as in `archive work`.

Keys travel, bytes do not: an actor is given rows of the list, and fetches, puts and records by itself. It works with
the two sandboxed processes, not with the engine in line: an actor speaks to the cluster and the store, and what decodes
strangers' files must not; a decoder that crashes costs one photo and no actor, and one that hangs is ended.

Ray makes calls again whose actor died, but not those that raised an exception (ray#39800), and knows no deadline for a
batch (ray#45661). So whatever is the matter comes back as a row, and the deadline is that of a photo.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from uncnn.daemon.archive.manifest import Row
from uncnn.daemon.archive.photo import MachineFault, do_photo
from uncnn.daemon.archive.records import Record, read_record
from uncnn.daemon.archive.working import Share, started_site
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import USAGE
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError
from uncnn.plugins.extras import require

BLOCK_ROWS: Final = 8
"""Photos that an actor is given at a time, and that are looked at once more where it dies meanwhile."""

ROUND_ROWS: Final = 50_000
"""Photos whose keys are in the cluster's memory at a time."""

STORE_BYTES: Final = 100_000_000
"""Of a cluster that the command starts: keys and records, no photos."""

_START_SECONDS: Final = 300  # a machine that does much else
_REACH_SECONDS: Final = 20.0
_THIS_MACHINE: Final = ("127.0.0.1", "localhost")  # which Ray takes for the machine's own address in its network
_RESULT: Final = pa.schema([pa.field("record", pa.string()), pa.field("fault", pa.string())])


class ClusterError(UncnnError):
    """A cluster that is not to be connected to."""

    exit_status: ClassVar[int] = USAGE


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where actors run, and how many."""

    actors: int = 1
    gpus_per_actor: float = 0.0
    address: str | None = None  # None: one of its own on this machine, which ends with the command
    device: str = "auto"
    photo_seconds: float = 3600.0


class ArchiveActor:
    """Works rows with models that it keeps. Whatever keeps it from that, it says in each answer."""

    def __init__(self, share: Share, cluster: Cluster) -> None:
        """Load the models."""
        _spawn_without_ray()
        self._fault, self._stack = "", ExitStack()
        try:
            sweep_workspaces()
            spool = self._stack.enter_context(workspace())
            engine = self._stack.enter_context(self.engine(share, cluster, spool))
            self._site = started_site(share.plan, engine, spool, cluster.photo_seconds)
        except (UncnnError, OSError) as error:
            self._fault = str(error)
        self._failed = share.failed

    def engine(self, share: Share, cluster: Cluster, spool: Path) -> ProcessEngine:
        """Return what photos are done with. Raises UncnnError."""
        return ProcessEngine(share.plan.models, cluster.device, data_dir(), spool)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Do some photos; return the record of each, or what kept it from being done."""
        answers = [self._answer(Row(**values)) for values in rows.to_pylist()]
        return pa.Table.from_pylist(answers, schema=_RESULT)

    def _answer(self, row: Row) -> dict[str, str]:
        if not self._fault:
            try:
                record = do_photo(self._site, row, silent, row.id in self._failed)
                return {"record": replace(record, verdict={}).packed().decode(), "fault": ""}
            except (UncnnError, OSError) as error:
                self._fault = str(error)
        return {"record": "", "fault": self._fault}


def records_by_ray(share: Share, cluster: Cluster, actor: type[ArchiveActor] = ArchiveActor) -> Iterator[Record]:
    """Yield the record of each photo of a share, without its verdict, as it is done.

    Raises MissingPackage, ClusterError, StoreError. MachineFault: an actor cannot go on.
    """
    require("ray")
    with _connected(cluster) as data:
        rows, sent = share.rows(), replace(share, done=frozenset())  # actors are given what is left
        while some := list(islice(rows, ROUND_ROWS)):
            yield from _round(data, some, sent, cluster, actor)


def _round(
    data: Any, rows: Sequence[Row], share: Share, cluster: Cluster, actor: type[ArchiveActor]
) -> Iterator[Record]:
    names = ("photo", "size", "stamp", "copy")
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
    tables = [pa.table({name: [getattr(row, name) for row in block] for name in names}) for block in blocks]
    answers = data.from_arrow(tables).map_batches(
        actor,
        fn_constructor_args=(share, cluster),
        batch_size=None,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(size=min(cluster.actors, len(blocks)), max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=cluster.gpus_per_actor or None,
    )  # actors that die are started again, as often as it takes, and so are their calls: Ray Data's defaults
    for answer in answers.iter_rows():
        if answer["fault"]:
            raise MachineFault(answer["fault"])
        yield read_record(answer["record"].encode(), "an actor's answer")


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Yield `ray.data`, connected to a cluster that takes nobody without its token; nothing is sent to Ray's makers.

    Raises ClusterError.
    """
    own: dict[str, Any] = {}
    if cluster.address is None:
        own = _own_cluster(cluster)
    else:
        _check_token()
        _check_reached(cluster.address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="uncnn-ray-", ignore_cleanup_errors=True) as folder:
        if cluster.address is None:
            own["_temp_dir"] = folder
        try:
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # of Ray's, of gRPC's, of the system's
            remedy = "check the address, the token and the logs of Ray"
            raise ClusterError(
                f"Ray cannot be used at {cluster.address or 'this machine'}: {error}; {remedy}"
            ) from error
        try:
            yield ray.data
        finally:
            ray.shutdown()


def _own_cluster(cluster: Cluster) -> dict[str, Any]:
    """Return how a cluster of this command's own is started: with a token that nobody else knows."""
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux too: it listens on 127.0.0.1 alone
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(_START_SECONDS))
    os.environ.setdefault("RAY_agent_register_timeout_ms", str(_START_SECONDS * 1000))
    return {
        "num_cpus": max(cluster.actors, 2),
        "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
    }


def _check_token() -> None:
    """Check that a token is sent, without which anybody in the network could use the cluster. Raises ClusterError."""
    token = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    is_there = bool(token) or (Path.home() / ".ray" / "auth_token").is_file()
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token" or not is_there:
        raise ClusterError(
            "a cluster without a token lets anybody in its network use it: start it with RAY_AUTH_MODE=token, and set"
            " RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) here"
        )


def _check_reached(address: str) -> None:
    """Check that something listens there: Ray itself goes on asking for minutes. Raises ClusterError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host or host in _THIS_MACHINE:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        words = getattr(error, "strerror", None) or error
        raise ClusterError(
            f"nothing answers at --address {printable(address)} ({words}): check it, and that the cluster runs"
        ) from error


def _spawn_without_ray() -> None:
    """Keep processes that this one starts from running Ray's main module once more, which loads all of Ray."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        del main.__file__

"""On Ray: the same set and the same bytes as `work` makes, whichever actor or driver was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from planned_archive import Archive
from running import descendants

from uncnn.daemon.archive.cluster import Cluster, ClusterError, records_by_ray
from uncnn.daemon.archive.shards import Shard
from uncnn.daemon.archive.working import Share

PROGRAM = Path(__file__).parents[1] / "spawned" / "stub_archive_ray.py"
PATIENCE_SECONDS = 1200.0  # Ray starts eight processes
KILLS = int(os.environ.get("UNCNN_RAY_KILLS", "3"))
"""Thirty of them take a quarter of an hour, most of it for Ray to start again."""

PHOTOS = 10 + 10 * KILLS


@pytest.mark.parametrize("archive", ["folder"], indirect=True)
@pytest.mark.parametrize(
    "environment", [{}, {"RAY_AUTH_MODE": "token"}, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "0" * 64}]
)
def test_a_cluster_is_not_connected_to_without_a_token(
    archive: Archive, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive.put("a.jpg", "one")
    archive.planned()
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    share = Share.of(archive.plan, Shard())
    with pytest.raises(ClusterError, match="RAY_AUTH_MODE=token"):
        list(records_by_ray(share, Cluster(address="127.0.0.1:1")))


class Running:
    """`archive ray` at work, with its cluster."""

    def __init__(self, archive: Archive, tmp_path: Path) -> None:
        self._store = archive.store
        self._said = tmp_path / "ray.log"
        environment = {**os.environ, "UNCNN_STATE": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path / "data")}
        with self._said.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), archive.plan, "1"], env=environment, stdout=log, stderr=log
            )

    def until(self, records: int) -> None:
        """Wait for so many records."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(list(self._store.keys("done/"))) < records:
            assert self.process.poll() is None, self._said.read_text()
            assert time.monotonic() < deadline, self._said.read_text()
            time.sleep(0.05)

    def kill_the_actor(self) -> None:
        for process in self._actors():
            os.kill(process, signal.SIGKILL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def finish(self) -> None:
        assert self.process.wait(PATIENCE_SECONDS) == 0, self._said.read_text()

    def _actors(self) -> Iterator[int]:
        for process in descendants(self.process.pid):
            try:
                title = Path(f"/proc/{process}/cmdline").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if title.startswith("ray::MapWorker"):
                yield process


@pytest.mark.parametrize("archive", ["folder"], indirect=True)
@pytest.mark.parametrize("port", ["1", "99999"])
def test_a_cluster_that_is_not_there_is_said_at_once(
    archive: Archive, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    archive.put("a.jpg", "one")
    archive.planned()
    share = Share.of(archive.plan, Shard())
    with pytest.raises(ClusterError, match=rf"nothing answers at --address 127\.0\.0\.2:{port} \("):
        list(records_by_ray(share, Cluster(address=f"127.0.0.2:{port}")))


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["folder"], indirect=True)
def test_killed_actors_and_a_killed_driver_change_nothing_of_what_comes_out(archive: Archive, tmp_path: Path) -> None:
    kinds = ("one {}", "unprotected {}", "damaged {}", "no face {}", "the same")
    for number in range(PHOTOS):
        archive.put(f"{number % 3}/{number}.jpg", kinds[number % len(kinds)].format(number))
    archive.planned()
    quiet = archive.beside("quiet")
    quiet.planned()
    quiet.worked()
    running = Running(archive, tmp_path)
    for number in range(KILLS):
        running.until(3 + 7 * number)
        if number % 5 == 1:
            running.kill()
            running = Running(archive, tmp_path)
        else:
            running.kill_the_actor()
    running.finish()
    expected = {name: {**each.result(), "same_as": ""} for name, each in quiet.records().items()}
    assert {name: {**each.result(), "same_as": ""} for name, each in archive.records().items()} == expected
    assert archive.copies() == quiet.copies()
    assert archive.told(audit=True)["problems"] == []

"""A person's folders, with processes that do what a photo says in words instead of networks."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

from uncnn.daemon.commands.run_once import run_once
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.ledger.schema import APPLICATION_ID, MIGRATIONS


class Scene:
    """A watched folder, a publish folder, a configuration and a state folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.watch, self.publish, self.state = root / "in", root / "out", root / "state"
        self.services: list[subprocess.Popen[bytes]] = []
        self.watch.mkdir()
        self.configure()

    def configure(self, policy: str = "{}", more: str = "", settle: float = 0) -> None:
        folder = f"{{watch: {self.watch}, publish: {self.publish}, settle_seconds: {settle}}}"
        text = f"version: 1\nfolders: [{folder}{more}]\npolicies: {{everyday: {policy}}}\n"
        (self.root / "config.yaml").write_text(text)

    def put(self, name: str, content: str) -> Path:
        """Put a photo into the watched folder, whole at once: a service that lets nothing settle takes it as it is."""
        path = self.watch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(".put.part")  # a name that no service takes
        written.write_text(content)
        return written.replace(path)

    def run(self, as_json: bool = False) -> int:
        return run_once(self.root / "config.yaml", as_json)

    def close(self) -> None:
        """End the services that a test left at work."""
        for service in self.services:
            service.kill()
            service.wait()

    def jobs(self) -> dict[str, Job]:
        if not (self.state / "ledger.sqlite3").exists():
            return {}
        with Ledger(self.state / "ledger.sqlite3") as ledger:
            return {os.fspath(job.relative): job for job in ledger.jobs() if job.state is not State.SUPERSEDED}

    def states(self) -> dict[str, State]:
        return {name: job.state for name, job in self.jobs().items()}

    def published(self) -> dict[str, str]:
        found = {}
        for path in self.publish.rglob("*"):
            with suppress(FileNotFoundError, IsADirectoryError):  # a temporary file that has its name by now
                found[os.fspath(path.relative_to(self.publish))] = path.read_text()
        return found

    def looked(self) -> int:
        return self._logged("looked")

    def cloaked(self) -> int:
        return self._logged("cloaked")

    def _logged(self, name: str) -> int:
        log = self.root / "data" / "uncnn" / name
        return len(log.read_bytes().splitlines()) if log.exists() else 0

    def make_ledger_older(self, version: int) -> None:
        """Put the rows of the ledger into one as an older uncnn wrote it."""
        file, before = self.state / "ledger.sqlite3", self.root / "old"
        with closing(sqlite3.connect(before)) as old:
            for statement in chain(*MIGRATIONS[:version]):
                old.execute(statement)
            old.commit()
            old.execute("ATTACH ? AS new", (str(file),))
            for table in ("folders", "jobs", "runs"):
                columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
                old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
            old.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")
            old.execute(f"PRAGMA main.user_version = {version}")
            old.commit()
        before.replace(file)

    def check(self) -> None:
        """Hold the publish folder against the ledger: exactly what was verified, each once."""
        with Ledger(self.state / "ledger.sqlite3") as ledger:
            published = ledger.jobs(state=State.PUBLISHED)
        files = {self.publish / job.published: job.released_sha256 for job in published if job.published}
        there = [path for path in self.publish.rglob("*") if path.is_file()]
        assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in there} == files

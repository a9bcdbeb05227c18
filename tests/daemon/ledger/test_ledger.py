"""The ledger: real SQLite files, real processes, kills in the middle."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from uncnn.daemon.ledger import Job, Ledger, LedgerError, Run, State, TransitionError
from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.schema import APPLICATION_ID, MIGRATIONS
from uncnn.daemon.ledger.states import ALLOWED, ATTEMPTS, DECIDABLE, IN_WORK, REPLACEABLE, retry_seconds
from uncnn.daemon.ledger.view import view

POLICY = "policy digest"

WAYS: dict[State, tuple[State, ...]] = {
    State.QUEUED: (),
    State.RUNNING: (State.RUNNING,),
    State.VERIFIED: (State.RUNNING, State.VERIFIED),
    State.PUBLISHING: (State.RUNNING, State.VERIFIED, State.PUBLISHING),
    State.PUBLISHED: (State.RUNNING, State.VERIFIED, State.PUBLISHING, State.PUBLISHED),
    State.RETRY: (State.RUNNING, State.RETRY),
    State.QUARANTINED: (State.QUARANTINED,),
    State.HELD: (State.RUNNING, State.HELD),
    State.SKIPPED: (State.RUNNING, State.SKIPPED),
    State.SUPERSEDED: (State.SUPERSEDED,),
    State.BLOCKED: (State.BLOCKED,),
}
"""How a queued photo gets into each state."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(file: Path) -> Ledger:
    opened = Ledger(file)
    opened.folders.watch([(Path("/in"), Path("/out"))])
    return opened


def queued(ledger: Ledger, name: str = "a.jpg", content: str = "1", policy: str = POLICY) -> Job:
    return ledger.enqueue(1, Path(name), content, policy, "1:2:3:4:5")


def brought_to(ledger: Ledger, state: State, name: str = "a.jpg") -> Job:
    job = queued(ledger, name)
    for step in WAYS[state]:
        job = ledger.move(job, step)
    return job


@pytest.mark.parametrize("before", State)
def test_every_step_that_the_design_does_not_have_is_refused(ledger: Ledger, before: State) -> None:
    for after in State:
        job = brought_to(ledger, before, f"{after}.jpg")
        if after in ALLOWED[before]:
            assert ledger.move(job, after).state is after
            continue
        with pytest.raises(TransitionError, match=f"that is {before} cannot become {after}"):
            ledger.move(job, after)
        assert ledger.jobs(state=before)[-1] == job


def test_the_states_are_those_of_the_design() -> None:
    path = [State.QUEUED, State.RUNNING, State.VERIFIED, State.PUBLISHING, State.PUBLISHED]
    assert all(after in ALLOWED[before] for before, after in pairwise(path))
    assert not ALLOWED[State.PUBLISHED]
    assert {before for before in State if State.PUBLISHED in ALLOWED[before]} == {State.PUBLISHING}
    assert {before for before in State if State.PUBLISHING in ALLOWED[before]} == {
        State.VERIFIED,
        State.HELD,  # a person lets the judged copy go
    }
    assert State.PUBLISHING not in REPLACEABLE


def test_one_row_for_each_folder_path_content_and_policy(ledger: Ledger) -> None:
    ledger.folders.watch([(Path("/in"), Path("/out")), (Path("/more"), Path("/out"))])
    keys = list(product((1, 2), ("a.jpg", "b.jpg"), ("1", "2"), ("p", "q")))
    first = [ledger.enqueue(folder, Path(name), content, policy, "s").id for folder, name, content, policy in keys]
    again = [ledger.enqueue(folder, Path(name), content, policy, "s").id for folder, name, content, policy in keys]
    assert first == again
    assert len(set(first)) == len(keys)


def test_a_row_remembers_all_of_it(file: Path, ledger: Ledger) -> None:
    job = brought_to(ledger, State.VERIFIED, "sub/a.jpg")
    job = ledger.move(job, State.PUBLISHING, "1 face\nprotected", released_sha256="2", published=Path("sub/a.jpg"))
    ledger.move(job, State.PUBLISHED, "1 face protected", published=Path("sub/a (2).jpg"))
    ledger.close()
    with Ledger(file) as again:
        (row,) = again.jobs()
    assert (row.relative, row.published, row.released_sha256) == (Path("sub/a.jpg"), Path("sub/a (2).jpg"), "2")
    assert (row.state, row.attempts, row.reason, row.sha256) == (State.PUBLISHED, 0, "1 face protected", "1")
    assert timedelta(0) <= datetime.now(UTC) - row.changed < timedelta(seconds=30)


def test_a_claim_spends_an_attempt_and_after_three_the_photo_is_quarantined(ledger: Ledger) -> None:
    job = queued(ledger)
    for attempt in range(1, ATTEMPTS + 1):
        job = ledger.claim(job)
        assert (job.state, job.attempts) == (State.RUNNING, attempt)
        (job,) = ledger.recover()
    assert job.state is State.QUARANTINED
    assert "3 attempts" in job.reason


def test_a_claim_without_attempts_left_quarantines(ledger: Ledger) -> None:
    job = queued(ledger)
    with ledger.database.transaction() as connection:
        connection.execute("UPDATE jobs SET attempts = 3")
    assert ledger.claim(job).state is State.QUARANTINED


def test_a_failure_waits_longer_each_time_and_ends_in_quarantine(ledger: Ledger) -> None:
    job = queued(ledger)
    for attempt in range(1, ATTEMPTS):
        job = ledger.retry(ledger.claim(job), "the worker ended")
        assert job.state is State.RETRY
        assert job.due is not None
        wait = (job.due - job.changed).total_seconds()
        assert 30 * 4 ** (attempt - 1) - 1 <= wait <= 30 * 4 ** (attempt - 1) * 1.25 + 1
        (job,) = ledger.wake()
    job = ledger.retry(ledger.claim(job), "the worker ended")
    assert (job.state, job.reason) == (State.QUARANTINED, "the worker ended")
    assert [retry_seconds(attempts, 0.0) for attempts in range(1, 6)] == [30, 120, 480, 1920, 3600]


def test_what_is_not_due_waits_but_not_for_a_clock_that_was_set_back(ledger: Ledger) -> None:
    ledger.retry(ledger.claim(queued(ledger)), "later")
    now = datetime.now(UTC)
    assert ledger.wake(now) == []
    assert [job.state for job in ledger.wake(now - timedelta(days=365))] == [State.QUEUED]
    ledger.retry(ledger.claim(queued(ledger)), "later")
    assert [job.state for job in ledger.wake(now + timedelta(minutes=3))] == [State.QUEUED]


def test_a_fault_of_the_machine_spends_no_attempt(ledger: Ledger) -> None:
    job = ledger.give_back(ledger.claim(queued(ledger)), State.BLOCKED, "the disk is full")
    assert (job.state, job.attempts, job.reason) == (State.BLOCKED, 0, "the disk is full")
    (job,) = ledger.wake(datetime.now(UTC))
    assert job.state is State.QUEUED


@pytest.mark.parametrize("state", sorted(IN_WORK))
def test_what_a_dead_process_had_in_work_is_queued_again(ledger: Ledger, state: State) -> None:
    job = brought_to(ledger, state)
    published = brought_to(ledger, State.PUBLISHED, "b.jpg")
    assert [(each.id, each.state) for each in ledger.recover()] == [(job.id, State.QUEUED)]
    assert ledger.jobs(state=State.PUBLISHED) == [published]


def test_where_a_person_may_decide_about_a_face(ledger: Ledger) -> None:
    decision = FaceDecision("leave", (1, 2, 3, 4), "page", "2026-01-02T03:04:05+00:00")
    for number, state in enumerate(State):
        job = brought_to(ledger, state, f"{number}.jpg")
        if state in DECIDABLE:
            job = ledger.decide(job, [decision])
            assert (job.state, job.decisions, job.attempts) == (State.QUEUED, (decision,), 0)
            assert ledger.decide(job, []).decisions == ()
        else:
            with pytest.raises(TransitionError, match=f"it is {state}"):
                ledger.decide(job, [decision])
    assert {*State} - DECIDABLE == {*IN_WORK, State.PUBLISHED, State.SUPERSEDED}


def test_a_strength_is_for_one_attempt_at_a_persons_word(ledger: Ledger) -> None:
    job = ledger.let_go(brought_to(ledger, State.HELD))
    job = ledger.again(ledger.move(ledger.claim(job), State.HELD), "strong")
    assert (job.strength, job.anyway) == ("strong", False)
    job = ledger.again(ledger.move(ledger.claim(job), State.HELD))
    assert job.strength is None


@pytest.mark.parametrize("state", State)
def test_a_changed_photo_takes_the_place_of_what_waits(ledger: Ledger, state: State) -> None:
    old = brought_to(ledger, state)
    new = queued(ledger, content="2")
    assert new.state is State.QUEUED
    kept = ledger.jobs()[0]
    replaced = state in REPLACEABLE or state is State.SUPERSEDED
    assert kept.state is (State.SUPERSEDED if replaced else state)
    assert kept.id == old.id


def test_a_content_that_comes_back_is_done_after_all(ledger: Ledger) -> None:
    first = ledger.claim(queued(ledger))
    queued(ledger, content="2")
    again = queued(ledger, content="1")
    assert (again.id, again.state, again.attempts) == (first.id, State.QUEUED, 0)
    assert [job.state for job in ledger.jobs()] == [State.QUEUED, State.SUPERSEDED]


def test_a_row_that_is_given_up_says_whether_the_photo_or_its_policy_is_another(ledger: Ledger) -> None:
    queued(ledger)
    ledger.enqueue(1, Path("a.jpg"), "1", "another policy", "1:2:3:4:5")
    queued(ledger, content="2")
    assert [job.reason for job in ledger.jobs()] == ["the policy changed", "the photo changed", ""]


def test_a_row_that_moved_on_is_not_moved_by_who_missed_it(ledger: Ledger) -> None:
    job = queued(ledger)
    running = ledger.claim(job)
    queued(ledger, content="2")
    with pytest.raises(TransitionError, match=r"a\.jpg is superseded by now"):
        ledger.move(running, State.VERIFIED)
    with pytest.raises(TransitionError):
        ledger.claim(job)


def test_names_that_are_not_utf8_are_kept_to_the_byte(file: Path, ledger: Ledger) -> None:
    names = [b"\xff\xfe.jpg", b"caf\xc3\xa9.jpg", b"cafe\xcc\x81.jpg", b"line\nbreak.jpg", b"sub/\x80.jpg"]
    for name in names:
        job = ledger.claim(queued(ledger, os.fsdecode(name)))
        job = ledger.move(job, State.QUARANTINED, f"{os.fsdecode(name)} is no photo")
    ledger.close()
    with Ledger(file) as again:
        assert [os.fsencode(job.relative) for job in again.jobs()] == names
        assert all(job.reason.isprintable() for job in again.jobs())


def test_only_this_user_can_read_it(file: Path) -> None:
    file.touch(0o666)
    file.chmod(0o666)
    with Ledger(file) as ledger:
        ledger.folders.watch([(Path("/in"), Path("/out"))])
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert found == {file.name: 0o600, f"{file.name}-wal": 0o600, f"{file.name}-shm": 0o600}


def test_it_is_opened_as_the_design_says(ledger: Ledger) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "busy_timeout": 5000}
    wanted |= {"application_id": APPLICATION_ID, "user_version": len(MIGRATIONS)}
    assert {name: ledger.database.rows(f"PRAGMA {name}")[0][0] for name in wanted} == wanted
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        ledger.enqueue(99, Path("a.jpg"), "1", POLICY, "s")


def test_it_is_not_opened_through_a_link(file: Path, tmp_path: Path) -> None:
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="symbolic link"):
        Ledger(file)
    assert not (tmp_path / "elsewhere").exists()


def foreign(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.executescript("PRAGMA application_id = 7; CREATE TABLE albums (name TEXT)")
    connection.close()


def nameless(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE jobs (name TEXT)")
    connection.close()


def newer(file: Path) -> None:
    Ledger(file).close()
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()


def overwritten(file: Path) -> None:
    with Ledger(file) as ledger:
        ledger.folders.watch([(Path(f"/in{number}" * 20), Path("/out")) for number in range(200)])
    content = bytearray(file.read_bytes())
    content[5000 : len(content) - 1000] = b"\xa5" * (len(content) - 6000)
    file.write_bytes(content)


def no_database(file: Path) -> None:
    file.write_bytes(b"my notes, not a database\n" * 100)


SPOILT = [
    (foreign, "belongs to another application"),
    (nameless, "belongs to another application"),
    (newer, f"newer uncnn .version {len(MIGRATIONS) + 1}, this uncnn knows up to {len(MIGRATIONS)}.: update"),
    (overwritten, "is damaged .* move it away"),
    (no_database, "is damaged .* move it away"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_a_file_that_is_not_our_ledger_is_said_and_left_alone(file: Path, spoil, words: str) -> None:
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(LedgerError, match=words):
        Ledger(file)
    assert file.read_bytes() == before
    if spoil is not overwritten:  # a reader does not look through all of it
        with pytest.raises(LedgerError, match=words):
            view(file, 20)
    assert file.read_bytes() == before


def test_a_new_schema_is_added_to_an_old_file(file: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(ledger)
    ledger.close()
    more = (*MIGRATIONS, ("CREATE TABLE people (name TEXT)", "ALTER TABLE jobs ADD COLUMN note TEXT"))
    monkeypatch.setattr("uncnn.daemon.ledger.file.MIGRATIONS", more)
    with Ledger(file) as newer:
        assert newer.database.rows("PRAGMA user_version")[0][0] == len(more)
        assert newer.jobs()[0].relative == Path("a.jpg")


def test_a_schema_that_fails_half_way_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(file).close()
    more = (*MIGRATIONS, ("CREATE TABLE people (name TEXT)", "CREATE TABLE jobs (name TEXT)"))
    with monkeypatch.context() as patched:
        patched.setattr("uncnn.daemon.ledger.file.MIGRATIONS", more)
        with pytest.raises(LedgerError, match="jobs already exists"):
            Ledger(file)
    with Ledger(file) as ledger:
        assert ledger.database.rows("SELECT 1 FROM sqlite_master WHERE name = 'people'") == []


def test_a_reader_cannot_write(file: Path, ledger: Ledger) -> None:
    reader = Database(file, read_only=True)
    with pytest.raises(LedgerError, match="readonly"):
        reader.rows("DELETE FROM folders")
    reader.close()


def test_a_locked_ledger_is_said(file: Path, ledger: Ledger) -> None:
    ledger.database.rows("PRAGMA busy_timeout = 100")
    other = Database(file)
    with other.transaction(), pytest.raises(LedgerError, match="locked by another process"):
        queued(ledger)
    other.close()
    assert queued(ledger).state is State.QUEUED


def test_many_processes_may_make_it_at_once_and_each_photo_is_claimed_once(file: Path) -> None:
    photos = 40
    command = [sys.executable, "-c", CLAIMER, str(file), str(photos)]
    claimers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = [claimer.communicate(timeout=300)[0].split() for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0, 0, 0]
    claimed = [name for own in lines for name in own]
    assert sorted(claimed) == sorted(f"{number}.jpg" for number in range(photos))


CLAIMER = """
import sys
from pathlib import Path
from uncnn.daemon.ledger import Ledger, TransitionError
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.folders.watch([(Path("/in"), Path("/out"))])
    jobs = [ledger.enqueue(1, Path(f"{number}.jpg"), "1", "p", "s") for number in range(int(sys.argv[2]))]
    for job in jobs:
        try:
            print(ledger.claim(job).relative, flush=True)
        except TransitionError:
            pass
"""


@pytest.mark.parametrize("committed", [1, 7, 23, 60])
def test_a_kill_in_the_middle_loses_no_step_that_was_reported(file: Path, committed: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [writer.stdout.readline().split() for _ in range(committed)]
    writer.kill()
    told += [line.split() for line in writer.stdout.read().splitlines() if line.count(" ") == 2]
    writer.wait()
    assert writer.returncode == -signal.SIGKILL
    with Ledger(file) as ledger:
        order = list(WAYS[State.PUBLISHED])
        states = {job.relative.name: job.state for job in ledger.jobs()}
        for name, state, _end in told:
            reached = states[name]
            assert reached == state or order.index(reached) > order.index(State(state))
        last = [job for job in ledger.jobs() if job.state in IN_WORK]
        assert len(last) <= 1
        ledger.recover()
        assert not [job for job in ledger.jobs() if job.state in IN_WORK]


WRITER = """
import sys
from itertools import count
from pathlib import Path
from uncnn.daemon.ledger import Ledger, State
ledger = Ledger(Path(sys.argv[1]))
ledger.folders.watch([(Path("/in"), Path("/out"))])
for number in count():
    job = ledger.enqueue(1, Path(f"{number}.jpg"), "1", "p", "s")
    job = ledger.claim(job)
    print(job.relative, job.state, ".", flush=True)
    for state in (State.VERIFIED, State.PUBLISHING, State.PUBLISHED):
        job = ledger.move(job, state)
        print(job.relative, job.state, ".", flush=True)
"""


def test_a_step_that_is_broken_off_leaves_nothing(ledger: Ledger) -> None:
    job = queued(ledger)

    def broken_off() -> None:
        with ledger.database.transaction() as connection:
            connection.execute("UPDATE jobs SET state = 'published'")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert ledger.jobs() == [job]
    assert ledger.claim(job).state is State.RUNNING


def test_folders_that_are_no_longer_configured_are_kept_but_not_watched(file: Path, ledger: Ledger) -> None:
    assert ledger.folders.watch([(Path("/in"), Path("/out")), (Path("/in2"), Path("/out2"))]) == [1, 2]
    assert ledger.folders.watch([(Path("/in2"), Path("/elsewhere"))]) == [2]
    assert ledger.folders.paths(2) == (Path("/in2"), Path("/elsewhere"))
    with Run(file).beating():
        seen = view(file, 20)
    assert seen is not None
    assert [folder.watch for folder in seen.folders] == [Path("/in2")]


def test_ten_thousand_photos_are_asked_for_quickly(ledger: Ledger) -> None:
    rows = [(f"{number}.jpg".encode(), str(number)) for number in range(10_000)]
    with ledger.database.transaction() as connection:
        columns = "folder, relative, sha256, policy, source, state, changed"
        connection.executemany(f"INSERT INTO jobs ({columns}) VALUES (1, ?, ?, 'p', 's', 'queued', '')", rows)
    plan = ledger.database.rows("EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE folder = 1 AND relative = x'00'")
    assert "USING INDEX" in plan[0]["detail"]
    plan = ledger.database.rows("EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE state = 'queued' ORDER BY id")
    assert "USING INDEX jobs_by_state" in plan[0]["detail"]


def test_a_run_beats_until_it_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.daemon.ledger.runs.BEAT_SECONDS", 0.02)
    with Run(file).beating() as run:
        first = view(file, 20)
        deadline = time.monotonic() + 120
        while (later := view(file, 20)) and first and later.run and first.run and later.run.beat == first.run.beat:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.works_with("cpu", ["one"], ["two", "three"])
        run.exit_status = 4
    last = view(file, 20)
    assert last is not None
    assert last.run is not None
    assert last.run.ended is not None
    assert (last.run.exit_status, last.run.device, last.run.judges) == (4, "cpu", ("two", "three"))
    assert "uncnn-heartbeat" not in {thread.name for thread in threading.enumerate()}


class Photos(RuleBasedStateMachine):
    """Any order of steps on a few paths: the ledger and a plain dictionary say the same."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(Path(os.environ["UNCNN_TEST_FOLDER"]) / f"{time.monotonic_ns()}.sqlite3")
        self.ledger.folders.watch([(Path("/in"), Path("/out"))])
        self.states: dict[int, State] = {}
        self.paths: dict[int, str] = {}
        self.attempts: dict[int, int] = {}

    def teardown(self) -> None:
        self.ledger.close()

    def now(self, number: int) -> Job:
        return next(job for job in self.ledger.jobs() if job.id == number)

    @rule(target=jobs, name=st.sampled_from("ab"), content=st.sampled_from("12"))
    def enqueue(self, name: str, content: str) -> int:
        job = queued(self.ledger, name, content)
        for other, path in self.paths.items():
            if path == name and other != job.id and self.states[other] in REPLACEABLE:
                self.states[other] = State.SUPERSEDED
        if self.states.get(job.id, State.SUPERSEDED) is State.SUPERSEDED:
            self.states[job.id], self.attempts[job.id] = State.QUEUED, 0
        self.paths[job.id] = name
        return job.id

    @rule(number=jobs)
    def claim(self, number: int) -> None:
        if self.states[number] is not State.QUEUED:
            with pytest.raises(TransitionError):
                self.ledger.claim(self.now(number))
        elif self.attempts[number] == ATTEMPTS:
            self.states[number] = self.ledger.claim(self.now(number)).state
            assert self.states[number] is State.QUARANTINED
        else:
            self.ledger.claim(self.now(number))
            self.states[number] = State.RUNNING
            self.attempts[number] += 1

    @rule(number=jobs, state=st.sampled_from(State))
    def move(self, number: int, state: State) -> None:
        if state in ALLOWED[self.states[number]]:
            self.ledger.move(self.now(number), state)
            self.states[number] = state
        else:
            with pytest.raises(TransitionError):
                self.ledger.move(self.now(number), state)

    @rule()
    def recover(self) -> None:
        self.ledger.recover()
        for number, state in self.states.items():
            if state in IN_WORK:
                spent = self.attempts[number] >= ATTEMPTS
                self.states[number] = State.QUARANTINED if spent else State.QUEUED

    @rule()
    def wake(self) -> None:
        self.ledger.wake()
        waiting = {State.RETRY, State.BLOCKED}
        self.states |= {number: State.QUEUED for number, state in self.states.items() if state in waiting}

    @invariant()
    def they_agree(self) -> None:
        assert {job.id: job.state for job in self.ledger.jobs()} == self.states
        assert {job.id: job.attempts for job in self.ledger.jobs()} == self.attempts


@pytest.mark.slow
def test_any_order_of_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setenv("UNCNN_TEST_FOLDER", str(tmp_path))
    limits = settings(max_examples=20, stateful_step_count=25, suppress_health_check=list(HealthCheck), database=None)
    run_state_machine_as_test(Photos, settings=limits)

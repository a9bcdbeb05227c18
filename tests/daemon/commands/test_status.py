"""The status: from real ledgers, alone and as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.audit.last import LastAudit
from uncnn.daemon.commands.status import print_status, status_json, status_lines
from uncnn.daemon.ledger import Job, Ledger, LedgerError, Proof, Run, State
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.ledger.view import View, exit_status, view
from uncnn.daemon.output import DEGRADED, NOT_RUNNING, OK
from uncnn.daemon.service.metrics import write_metrics
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

HEAVY = ("torch", "onnxruntime", "numpy", "PIL", "rich", "pydantic", "yaml", "multiprocessing")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path))
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(file) as opened:
        opened.folders.watch([(Path("/home/me/in"), Path("/home/me/out"))])
        yield opened


def put(ledger: Ledger, name: str, *states: State, reason: str = "") -> Job:
    job = ledger.enqueue(1, Path(name), "1", "policy", "1:2:3:4:5")
    for state in states:
        job = ledger.move(job, state, reason)
    return job


def seen(file: Path) -> View:
    found = view(file, 20)
    assert found is not None
    return found


def text(file: Path) -> str:
    return "\n".join(status_lines(seen(file), datetime.now(UTC)))


def test_nothing_has_been_run_yet(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_status(as_json=False) == NOT_RUNNING
    assert "the service has not been started yet" in capsys.readouterr().out
    assert print_status(as_json=True) == NOT_RUNNING
    assert json.loads(capsys.readouterr().out)["service"] == {"state": "not-run"}
    assert not file.exists()


def test_a_file_that_is_just_being_made_is_no_error(file: Path) -> None:
    file.touch()
    assert print_status(as_json=False) == NOT_RUNNING


def test_it_is_well_while_a_run_is_at_work_and_not_running_after_it(file: Path, ledger: Ledger) -> None:
    with Run(file).beating() as run:
        run.works_with("cuda", ["one", "two"], ["three"])
        run.exit_status = 0
        assert print_status(as_json=False) == OK
        assert f"process {os.getpid()}" in text(file)
    assert print_status(as_json=False) == NOT_RUNNING
    said = text(file)
    for words in ("not running", "exit status 0", "device: cuda", "attacked recognisers: one, two", "judges: three"):
        assert words in said
    assert said.endswith("nothing needs your attention")


def test_a_run_that_was_killed_is_told_from_one_that_ended(file: Path, ledger: Ledger) -> None:
    code = f"from pathlib import Path; from uncnn.daemon.ledger import Run; Run(Path({str(file)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "the process was killed" in text(file)
    assert print_status(as_json=False) == NOT_RUNNING


def test_a_run_without_a_sign_of_life_is_degraded(file: Path, ledger: Ledger) -> None:
    Run(file)
    found = seen(file)
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert exit_status(found, later) == DEGRADED
    assert "not responding" in "\n".join(status_lines(found, later))
    assert status_json(found, later)["service"]["beat_age_seconds"] >= 300


def test_each_folder_has_its_counts(file: Path, ledger: Ledger) -> None:
    ledger.folders.scanned(1, found=9, new=4)
    for number in range(3):
        put(ledger, f"{number}.jpg", State.RUNNING, State.VERIFIED, State.PUBLISHING)
        job = ledger.jobs()[-1]
        ledger.move(job, State.PUBLISHED, published=Path(f"{number} (2).jpg"))
    put(ledger, "queued.jpg")
    Run(file).end()
    said = text(file)
    assert "/home/me/in -> /home/me/out" in said
    assert re.search("scanned (just now|[0-9]+ seconds? ago): 9 photos found, 4 of them new", said)
    assert "1 queued, 3 published" in said
    assert "last published: 2 (2).jpg" in said
    (folder,) = status_json(seen(file), datetime.now(UTC))["folders"]
    assert (folder["counts"]["published"], folder["counts"]["held"], folder["new"]) == (3, 0, 4)
    assert folder["last_published"]["path"] == "2 (2).jpg"


def test_what_needs_a_person_comes_last_and_is_not_endless(file: Path, ledger: Ledger) -> None:
    Run(file).end()
    for number in range(24):
        put(ledger, f"{number}.jpg", State.RUNNING, State.HELD, reason="dlib links the face")
    put(ledger, "bad.jpg", State.QUARANTINED, reason="bad.jpg is empty")
    ledger.folders.block(1, "the disk is full")
    assert print_status(as_json=False) == DEGRADED
    lines = text(file).splitlines()
    last = lines[[line == "needs your attention (26):" for line in lines].index(True) :]
    assert last[1] == "  and 5 photos more: uncnn-daemon held list"
    assert last[-4] == "  quarantined 25: /home/me/in/bad.jpg: bad.jpg is empty"
    assert [line.split(":")[0].strip() for line in last[-3:]] == ["quarantined", "held", "blocked"]
    assert "uncnn-daemon retry NUMBER" in last[-3]
    assert "held release NUMBER" in last[-2]
    assert last[-1] == "  blocked: /home/me/in: the disk is full"
    assert len(last) == 1 + 1 + 20 + 2 + 1
    answer = status_json(seen(file), datetime.now(UTC))
    assert (len(answer["needs_you"]), answer["needs_you_in_all"]) == (20, 26)


def test_the_service_says_how_it_watches_what_waits_and_what_it_does(file: Path, ledger: Ledger) -> None:
    run = Run(file, "service")
    run.works_with("cpu", ["a"], ["b"])
    run.report("", "/home/me/in/party.jpg: cloaking, balanced 40%", published=4, faces=9, busy_seconds=80.0)
    ago = datetime.now(UTC) - timedelta(minutes=3)
    ledger.folders.watching(1, "events", ago, missed=2)
    ledger.folders.waiting(1, 7, ago)
    assert exit_status(seen(file), datetime.now(UTC)) == OK
    said = text(file)
    for words in (
        "now: /home/me/in/party.jpg: cloaking, balanced 40%",
        "published since the start: 4 photos with 9 protected faces, 20 s each",
        "watched by events, the last one 3 minutes ago; 2 photos arrived without an event",
        "7 photos waiting, the oldest since 3 minutes ago",
    ):
        assert words in said
    answer = status_json(seen(file), datetime.now(UTC))
    assert (answer["service"]["kind"], answer["folders"][0]["waiting"]) == ("service", 7)
    run.report("", "", published=1, faces=1, busy_seconds=0.0)
    assert "published since the start: 1 photo with 1 protected face\n" in text(file)


def test_it_says_which_models_know_the_known_faces(file: Path, ledger: Ledger) -> None:
    run = Run(file, "service")
    assert status_json(seen(file), datetime.now(UTC))["service"]["canaries"] == []
    asked = (datetime.now(UTC) - timedelta(minutes=3)).isoformat(timespec="seconds")
    sound = CanaryAnswers(asked, ("detector",), process="worker")
    numb = CanaryAnswers(asked, ("detector",), ("a",), "a links two strangers: nothing is published", "verifier")
    run.canaries_said([sound, numb])
    said = text(file).splitlines()
    lines = [
        "  canaries of the worker, asked 3 minutes ago: passed by detector",
        "  canaries of the verifier, asked 3 minutes ago: passed by detector",
        "    failed by a: a links two strangers: nothing is published",
    ]
    assert said[2:5] == lines, "before any model is in use"
    run.works_with("cpu", ["a"], ["b"])
    assert "\n".join(lines) in text(file)
    answer = json.loads(json.dumps(status_json(seen(file), datetime.now(UTC))))
    worker, verifier = answer["service"]["canaries"]
    assert worker == {"asked": asked, "passed": ["detector"], "failed": [], "problem": None, "process": "worker"}
    assert (verifier["failed"], verifier["problem"]) == (["a"], "a links two strangers: nothing is published")


def test_it_says_how_it_stands_with_servers(file: Path, ledger: Ledger) -> None:
    run = Run(file, "service")
    run.works_with("https://box, ssh://old", ["a"], ["b"])
    assert status_json(seen(file), datetime.now(UTC))["service"]["servers"] == []
    run.servers_seen([ServerState("https://box", "cuda"), ServerState("ssh://old", problem="ssh://old: not reached")])
    lines = [
        "  server https://box: connected, cuda",
        "  server ssh://old: not connected",
        "    when it was last asked: ssh://old: not reached",
    ]
    assert "\n".join(lines) in text(file)
    box, old = json.loads(json.dumps(status_json(seen(file), datetime.now(UTC))))["service"]["servers"]
    assert box == {"address": "https://box", "device": "cuda", "problem": None}
    assert (old["device"], old["problem"]) == (None, "ssh://old: not reached")


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_is_over_before_it_loaded_models_waits_for_no_photo(
    file: Path, ledger: Ledger, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(file, "service")
    put(ledger, "a.jpg")
    run.report("", "a.jpg: loading the models", 0, 0, 0.0)
    if killed:
        monkeypatch.setattr("uncnn.daemon.ledger.view._is_alive", lambda _process: False)
    else:
        run.end()
    assert "  it ended before any models were loaded: " in text(file)
    assert "  now: " not in text(file)


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_is_over_does_nothing_and_is_connected_to_nobody(
    file: Path, ledger: Ledger, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(file, "service")
    run.works_with("https://box, ssh://old", ["a"], ["b"])
    run.report("", "a.jpg: asking a server", 0, 0, 0.0)
    run.servers_seen([ServerState("https://box", "cuda"), ServerState("ssh://old", problem="ssh://old: not reached")])
    assert "  now: a.jpg: asking a server" in text(file)
    if killed:
        monkeypatch.setattr("uncnn.daemon.ledger.view._is_alive", lambda _process: False)
    else:
        run.end()
    lines = [
        "  server https://box: not asked any more",
        "  server ssh://old: not asked any more",
        "    when it was last asked: ssh://old: not reached",
    ]
    assert "\n".join(lines) in text(file)
    assert "  now: " not in text(file)
    service = status_json(seen(file), datetime.now(UTC))["service"]
    assert (service["state"], service["doing"]) == ("died" if killed else "ended", None)
    assert [each["device"] for each in service["servers"]] == [None, None]


def test_what_keeps_the_service_from_working_degrades_it_while_it_runs(file: Path, ledger: Ledger) -> None:
    run = Run(file, "service")
    run.report("the judge is missing: pull it", "", 0, 0, 0.0)
    assert text(file).splitlines()[-1] == "  all photos are waiting: the judge is missing: pull it"
    assert exit_status(seen(file), datetime.now(UTC)) == DEGRADED
    run.report("", "", 0, 0, 0.0)
    assert exit_status(seen(file), datetime.now(UTC)) == OK
    ledger.folders.refused(1, "link.jpg: it is a symbolic link: put the photo itself there")
    assert "cannot be used: /home/me/in: link.jpg: it is a symbolic link" in text(file)
    assert exit_status(seen(file), datetime.now(UTC)) == DEGRADED


@pytest.mark.parametrize("state", [State.HELD, State.QUARANTINED])
def test_a_photo_that_needs_a_person_degrades_even_a_running_daemon(file: Path, ledger: Ledger, state: State) -> None:
    put(ledger, "a.jpg", *([State.RUNNING] if state is State.HELD else []), state)
    with Run(file).beating():
        assert print_status(as_json=False) == DEGRADED


def test_times_are_said_as_people_do(file: Path, ledger: Ledger) -> None:
    Run(file)
    found = seen(file)
    assert found.run is not None
    start = found.run.started
    for passed, words in ((30, "30 seconds"), (90, "1 minute"), (7300, "2 hours"), (86400 * 3, "3 days")):
        assert f"started {words} ago" in "\n".join(status_lines(found, start + timedelta(seconds=passed)))
    earlier = replace(found.run, ended=None)
    lines = "\n".join(status_lines(replace(found, run=earlier), start - timedelta(days=365)))
    assert "clock that has been set back" in lines


def test_names_that_a_terminal_would_obey_are_written_out(file: Path, ledger: Ledger) -> None:
    Run(file).end()
    put(ledger, os.fsdecode(b"\x1b[31m\xff.jpg"), State.QUARANTINED, reason="why")
    said = text(file)
    assert "\x1b" not in said
    assert r"\x1b[31m\udcff.jpg: why" in said
    said.encode()


def test_a_damaged_ledger_is_said(file: Path) -> None:
    file.write_bytes(b"not a database at all, but long enough to be taken for one" * 10)
    with pytest.raises(LedgerError, match="is damaged"):
        print_status(as_json=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("uncnn-daemon")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)


def test_the_command_answers(file: Path, ledger: Ledger) -> None:
    put(ledger, "a.jpg", State.QUARANTINED, reason="a.jpg is empty")
    Run(file).end()
    plain, as_json = command("status"), command("status", "--json")
    assert (plain.returncode, as_json.returncode) == (DEGRADED, DEGRADED)
    assert "quarantined 1: /home/me/in/a.jpg: a.jpg is empty" in plain.stdout
    answer: dict[str, Any] = json.loads(as_json.stdout)
    assert (answer["schema_version"], answer["needs_you_in_all"]) == (2, 1)
    assert "--json" in command("status", "--help").stdout
    assert command("status", "--nonsense").returncode == 2


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["status", "--json"]])
def test_nothing_heavy_is_imported(file: Path, ledger: Ledger, arguments: list[str]) -> None:
    Run(file).end()
    code = f"""
import sys
sys.argv = ["uncnn-daemon", *{arguments!r}]
from uncnn.daemon.cli.entry import main
try:
    main()
except SystemExit:
    pass
print("imported", *sorted(sys.modules))
"""
    bare = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # coverage imports much
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=300, check=True)
    imported = re.split(r"\s+", done.stdout[done.stdout.rindex("imported") :])
    assert [name for name in HEAVY if name in imported] == []


def proof(faces: int, uncertain: int = 0, provisional: bool = False) -> Proof:
    return Proof("{}", b"", faces, uncertain, provisional)


def test_no_release_is_quiet(file: Path, ledger: Ledger, tmp_path: Path) -> None:
    """What went out without a face, with uncertain ones or on one judge's word is counted; the uncertain are named."""
    Run(file).end()
    proofs = [proof(0), proof(2, 1), proof(3, 3, provisional=True), proof(1, provisional=True), proof(1), None]
    for number, each in enumerate(proofs):
        job = put(ledger, f"{number}.jpg", State.RUNNING)
        job = ledger.move(job, State.VERIFIED, "1 face protected, 1 may be an animal", proof=each)
        job = ledger.move(job, State.PUBLISHING, job.reason, published=Path(f"{number}.jpg"))
        ledger.move(job, State.PUBLISHED, job.reason)
    ledger.move(
        put(ledger, "held.jpg", State.RUNNING), State.HELD, "not protected", proof=proof(1, 1, provisional=True)
    )
    said = text(file)
    for words in (
        "  1 photo published in which no face to protect was found",
        "  2 photos published with uncertain faces, which may be animals or pictures",
        "  2 photos protected provisionally: all judges are of one family",
        "uncertain 2: /home/me/in/1.jpg: 1 face protected, 1 may be an animal\nuncertain 3: /home/me/in/2.jpg: ",
        "needs your attention (1)",
    ):
        assert words in said
    answer = status_json(seen(file), datetime.now(UTC))
    assert answer["folders"][0]["released"] == {"without_face": 1, "uncertain": 2, "provisional": 2}
    assert [Path(each["photo"]).name for each in answer["uncertain"]] == ["2.jpg", "1.jpg"]
    write_metrics(tmp_path / "metrics", seen(file), LastAudit(datetime.now(UTC), True, 6, 6, {"missing": 2}))
    told = (tmp_path / "metrics").read_text()
    assert 'uncnn_released_photos{doubt="without-face",folder="/home/me/in"} 1.0' in told
    assert 'uncnn_audit_findings{kind="missing"} 2.0' in told


def test_photos_given_to_cloak_are_counted_though_no_service_ever_ran(file: Path, ledger: Ledger) -> None:
    number = ledger.folders.given(Path("/home/me/pictures"), Path("/home/me/out"))
    job = ledger.enqueue(number, Path("a.jpg"), "0" * 64, "policy", "1:2:3:4:5")
    job = ledger.claim(job)
    ledger.move(job, State.HELD, "not protected")
    said = text(file)
    assert "given to uncnn-daemon cloak: 1 held" in said
    assert "  held: uncnn-daemon held show NUMBER" in said
    assert status_json(seen(file), datetime.now(UTC))["given"] == {
        state.value: int(state is State.HELD) for state in State
    }

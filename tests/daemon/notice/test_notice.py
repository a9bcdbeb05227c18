"""Messages to people who are not at the machine: really sent, to the test's own server, by the sender's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from uncnn.daemon.ledger import Ledger, Run, State
from uncnn.daemon.ledger.view import View, view
from uncnn.daemon.notice import elsewhere, growth
from uncnn.daemon.notice.elsewhere import BY_UNIT, Elsewhere
from uncnn.daemon.notice.growth import Growth
from uncnn.daemon.notice.notice import Notice, notice_file, read_notice, write_notice

SECONDS = 240.0  # a machine that does much else


class Inbox:
    """A server that keeps what is sent to it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.status = 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"json://me:secret@127.0.0.1:{self.server.server_port}/"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def wait_for(self, number: int) -> None:
        deadline = time.monotonic() + SECONDS
        while len(self.messages) < number:
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.05)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    pytest.importorskip("apprise")
    made = Inbox()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with a configuration that names the inbox."""
    (tmp_path / "apprise.txt").write_text(f"{inbox.address}\n")
    (tmp_path / "apprise.txt").chmod(0o600)
    (tmp_path / "config.yaml").write_text("service: {apprise: apprise.txt}\nfolders: []\n")
    for name, value in {"HOME": tmp_path, "UNCNN_STATE": tmp_path / "state"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv(BY_UNIT, raising=False)
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def found(tmp_path: Path) -> View:
    """Return a ledger in which a photo is held."""
    file = tmp_path / "ledger.sqlite3"
    with Ledger(file) as ledger:
        ledger.folders.watch([(tmp_path / "in", tmp_path / "out")])
        job = ledger.enqueue(1, Path("our wedding.jpg"), "1", "policy", "1:2:3:4:5")
        ledger.move(ledger.claim(job), State.HELD, "dlib links the face")
        Run(file, "service").report("", "", published=5, faces=7, busy_seconds=12.5)
    seen = view(file, 5)
    assert seen is not None
    return seen


def notify(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uncnn", "notify", "--config", str(home / "config.yaml"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


def test_a_test_message_arrives_and_no_secret_is_shown(home: Path, inbox: Inbox) -> None:
    answer = notify(home, "--test")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [message["title"] for message in inbox.messages] == ["uncnn: test message"]
    assert "sent" in answer.stdout
    assert "secret" not in answer.stdout
    assert sorted(path.name for path in home.iterdir()) == ["apprise.txt", "config.yaml", "state"]


@pytest.mark.slow
def test_what_waits_is_sent_once_and_without_names(home: Path, inbox: Inbox, found: View) -> None:
    assert notify(home).returncode == 0
    assert inbox.messages == []
    write_notice(notice_file(home / "state"), Notice.of(found))
    assert notify(home, "--json").returncode == 0
    assert inbox.messages[0]["message"] == "1 photo waits for your decision.\nuncnn-daemon status shows the details."
    assert not notice_file(home / "state").exists()
    write_notice(notice_file(home / "state"), Notice.of(found, names=True))
    notify(home)
    assert "our wedding.jpg: dlib links the face" in inbox.messages[1]["message"]


def test_what_reaches_nobody_waits(home: Path, inbox: Inbox, found: View) -> None:
    inbox.status = 500
    write_notice(notice_file(home / "state"), Notice.of(found))
    answer = notify(home)
    assert answer.returncode == 1
    assert "failed" in answer.stdout
    assert read_notice(notice_file(home / "state")) == Notice.of(found)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("json://127.0.0.1/\n", 0o644, "chmod 600"),
        ("no address\n", 0o600, "contains no address that Apprise knows"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_addresses_that_will_not_do_are_named(home: Path, content: str | None, mode: int, words: str) -> None:
    file = home / "apprise.txt"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
        file.chmod(mode)
    answer = notify(home, "--test")
    assert answer.returncode == 78
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_without_addresses_it_says_where_to_put_them(home: Path) -> None:
    (home / "config.yaml").write_text("folders: []\n")
    answer = notify(home, "--test")
    assert answer.returncode == 78
    assert "service.apprise" in answer.stderr


def test_the_service_has_it_sent_and_sent_again(
    home: Path, inbox: Inbox, found: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.status = 500
    telling = Elsewhere(home / "state")
    telling.tell(found, names=False, config=home / "config.yaml")
    inbox.wait_for(1)
    sender = telling._sender
    assert sender is not None
    assert sender.wait(SECONDS) == 1
    telling.tell(found, names=False, config=home / "config.yaml")
    assert telling._sender is sender  # not at once
    inbox.status = 200
    monkeypatch.setattr(elsewhere, "AGAIN_SECONDS", 0.0)
    telling.tell(found, names=False, config=home / "config.yaml")
    inbox.wait_for(2)
    assert telling._sender is not None
    assert telling._sender.wait(SECONDS) == 0
    telling.tell(found, names=False, config=home / "config.yaml")
    assert len(inbox.messages) == 2


def test_where_a_unit_sends_the_service_only_writes(
    home: Path, inbox: Inbox, found: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BY_UNIT, "1")
    telling = Elsewhere(home / "state")
    telling.tell(found, names=False, config=home / "config.yaml")
    assert telling._sender is None
    assert read_notice(notice_file(home / "state")) == Notice(1, 0, False)
    assert notice_file(home / "state").stat().st_mode & 0o777 == 0o600


def test_nobody_is_told_twice_or_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Growth()
    assert [told.is_news(number) for number in (0, 1, 1, 2)] == [False, True, False, False]
    monkeypatch.setattr(growth, "QUIET_SECONDS", 0.0)
    assert [told.is_news(number) for number in (2, 2, 1, 1, 2)] == [True, False, False, False, True]

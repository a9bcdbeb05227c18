"""What the service tells others: Prometheus, the desktop, systemd; and the commands on the configuration."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from uncnn.daemon.commands.config_check import check_config, show_config
from uncnn.daemon.config import ConfigError
from uncnn.daemon.files.names import Reason
from uncnn.daemon.ledger import Ledger, Run, State
from uncnn.daemon.ledger.view import View, view
from uncnn.daemon.notice.desktop import Desktop
from uncnn.daemon.output import OK
from uncnn.daemon.service.metrics import write_metrics
from uncnn.daemon.service.notify import notify, watchdog_seconds


@pytest.fixture
def found(tmp_path: Path) -> View:
    file = tmp_path / "ledger.sqlite3"
    with Ledger(file) as ledger:
        ledger.folders.watch([(Path('/home/me/the "in" folder'), Path("/home/me/out"))])
        job = ledger.enqueue(1, Path("a.jpg"), "1", "policy", "1:2:3:4:5")
        ledger.move(ledger.claim(job), State.HELD, "dlib links the face")
        ledger.folders.waiting(1, 3, None)
        ledger.folders.scanned(1, 4, 3, {Reason.DELETED: 2})
        Run(file, "service").report("", "", published=5, faces=7, busy_seconds=12.5)
    seen = view(file, 1)
    assert seen is not None
    return seen


def test_measures_are_what_prometheus_reads(found: View, tmp_path: Path) -> None:
    file = tmp_path / "uncnn.prom"
    write_metrics(file, found)
    samples = [sample for family in text_string_to_metric_families(file.read_text()) for sample in family.samples]
    folder = {"folder": '/home/me/the "in" folder'}
    values = {(sample.name, tuple(sample.labels.items())): sample.value for sample in samples}
    assert values["uncnn_photos", (("folder", folder["folder"]), ("state", "held"))] == 1
    assert values["uncnn_waiting_photos", tuple(folder.items())] == 3
    assert values["uncnn_ignored_files", (("folder", folder["folder"]), ("reason", "deleted"))] == 2
    assert values["uncnn_published_photos", ()] == 5
    assert values["uncnn_status", ()] == 4
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["uncnn.prom"]


def test_the_desktop_is_told_once(found: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    desktop = Desktop()
    desktop.tell(found)
    desktop.tell(found)
    told = (tmp_path / "told").read_text()
    assert told.count("--app-name=uncnn") == 1
    assert "a.jpg: dlib links the face" in told


def test_systemd_is_told_on_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notify(READY="1")  # nobody listens: nothing happens
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify(READY="1", STATUS="two\nlines")
        assert listening.recv(1000) == b"READY=1\nSTATUS=two lines"
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    assert watchdog_seconds() == 120.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text("folders: [{watch: in, publish: out}]\npolicies: {everyday: {no_face: hold}}\n")
    (tmp_path / "in" / "trip").mkdir(parents=True)
    return file


def test_a_configuration_that_is_right_is_said_to_be(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_config(configuration) == OK
    right, *facts, sandbox = capsys.readouterr().out.splitlines()
    assert any("watched by" in line for line in facts)
    assert right.endswith("config.yaml has no errors: 1 folder, policies everyday")
    assert "sandbox" in sandbox
    file = configuration.parent / "in" / "trip" / ".uncnn.yaml"
    file.write_text("unprotected: publish-anyway\n")
    with pytest.raises(ConfigError, match=r"trip/\.uncnn\.yaml:1: unprotected"):
        check_config(configuration)


def test_what_holds_is_shown_with_its_defaults(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_config(configuration, None, as_json=False) == OK
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["policies"]["everyday"]["no_face"] == "hold"
    assert shown["policies"]["everyday"]["protect"] == {
        "far": 1e-3,
        "views": ["as-is", "jpeg-75", "half-size", "blur-1"],
        "margin": "calibrated",
    }
    (configuration.parent / "in" / "trip" / ".uncnn.yaml").write_text("uncertain: hold\noutput: {format: webp}\n")
    show_config(configuration, configuration.parent / "in" / "trip" / "a.jpg", as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["policy"]["uncertain"] == "hold"
    assert answer["published"] == str(configuration.parent / "out" / "trip" / "a.webp")
    with pytest.raises(ConfigError, match="none of them contains"):
        show_config(configuration, Path("/elsewhere/a.jpg"), as_json=False)

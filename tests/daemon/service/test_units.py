"""The units of systemd: hardened as far as the design asks, by systemd's own judgement; installed and removed whole."""

from __future__ import annotations

import getpass
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from systemd_checks import ANALYZE, SHIPPED, exposure, needs_systemd

from uncnn.daemon.config import ConfigError, Folder
from uncnn.daemon.sandbox.entering import offered
from uncnn.daemon.service import installing, units
from uncnn.daemon.service.audit_units import audit_system_unit, audit_timer, audit_user_unit
from uncnn.daemon.service.installing import Wanted, install, show, uninstall
from uncnn.daemon.service.notify_units import (
    notify_system_path,
    notify_system_unit,
    notify_user_path,
    notify_user_unit,
)
from uncnn.daemon.service.units import UnitError, folders_conf, system_unit, user_unit

FILTER = Path(__file__).parents[1] / "spawned" / "under_filter.py"


def folder(watch: str, publish: str) -> Folder:
    return Folder(watch=Path(watch), publish=Path(publish))


def test_what_is_in_the_repository_is_what_comes_out() -> None:
    assert (SHIPPED / "uncnn@.service").read_text() == system_unit()
    assert (SHIPPED / "uncnn.service").read_text() == user_unit()
    assert (SHIPPED / "uncnn@.service.d" / "gpu.conf").read_text() == units.GPU
    assert (SHIPPED / "uncnn-audit@.service").read_text() == audit_system_unit()
    assert (SHIPPED / "uncnn-audit.service").read_text() == audit_user_unit()
    for name in ("uncnn-audit.timer", "uncnn-audit@.timer"):
        assert (SHIPPED / name).read_text() == audit_timer()
    assert (SHIPPED / "uncnn-notify@.service").read_text() == notify_system_unit()
    assert (SHIPPED / "uncnn-notify.service").read_text() == notify_user_unit()
    assert (SHIPPED / "uncnn-notify@.path").read_text() == notify_system_path()
    assert (SHIPPED / "uncnn-notify.path").read_text() == notify_user_path()


@needs_systemd
@pytest.mark.parametrize(("gpu", "bar"), [(False, 1.0), (True, 1.2)])
def test_systemd_finds_the_units_safe(tmp_path: Path, gpu: bool, bar: float) -> None:
    unit = tmp_path / "uncnn@.service"
    unit.write_text(system_unit())
    more = tmp_path / "uncnn@.service.d"
    more.mkdir()
    (more / "folders.conf").write_text(folders_conf([folder("/home/alice/Outgoing", "/home/alice/Cloaked photos")]))
    if gpu:
        (more / "gpu.conf").write_text(units.GPU)
    assert exposure(unit) < bar


@needs_systemd
@pytest.mark.parametrize(("namespaces", "bar"), [(True, 3.0), (False, 6.0)])
def test_systemd_finds_a_users_own_unit_safe(tmp_path: Path, namespaces: bool, bar: float) -> None:
    """Where users get no namespaces, little can be had."""
    unit = tmp_path / "uncnn.service"
    unit.write_text(user_unit(namespaces=namespaces))
    assert exposure(unit) < bar


def test_a_machine_without_namespaces_for_its_users_gets_a_unit_that_starts(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("true", "false"):
        program = machine / "bin" / name / "unshare"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nexec /bin/{name}\n")
        program.chmod(0o755)
        monkeypatch.setattr(units.shutil, "which", lambda _name, found=program: str(found))
        assert units.gives_namespaces() is (name == "true")
        assert ("PrivateUsers=yes" in user_unit(namespaces=units.gives_namespaces())) is (name == "true")
    monkeypatch.setattr(units.shutil, "which", lambda _name: None)
    assert not units.gives_namespaces()


@needs_systemd
@pytest.mark.parametrize("name", ["uncnn@alice.service", "uncnn.service"])
def test_systemd_has_nothing_to_say_against_them(tmp_path: Path, name: str) -> None:
    program = Path(sys.executable).with_name("uncnn-daemon")
    unit = tmp_path / name
    unit.write_text(system_unit(program) if "@" in name else user_unit(program))
    if "@" in name:
        more = tmp_path / "uncnn@alice.service.d"
        more.mkdir()
        (more / "folders.conf").write_text(
            folders_conf([folder("/srv/100% alice/out", "/srv/out")], [program.parents[1]])
        )
    answer = subprocess.run([str(ANALYZE), "verify", str(unit)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert "uncnn" not in answer.stderr


@needs_systemd
@pytest.mark.slow
def test_a_photo_is_cloaked_under_the_system_calls_of_the_unit(tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()[:256, 96:352]).save(tmp_path / "face.png")
    program = Path(sys.executable).with_name("uncnn-daemon")
    command = [program, "cloak", tmp_path / "face.png", "-o", tmp_path / "out", "--device", "cpu", "-v"]
    own = {"HOME": str(tmp_path), "UNCNN_STATE": str(tmp_path / "state"), "UNCNN_MODELS": str(tmp_path / "none")}
    answer = subprocess.run(
        [sys.executable, FILTER, *command], env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "out" / "face.png").is_file()
    assert "decoders run in a sandbox: " in answer.stderr or offered().missing
    assert ("missing" in answer.stderr) is bool(offered().missing), answer.stderr


@needs_systemd
def test_the_audit_is_hardened_as_the_service_is(tmp_path: Path) -> None:
    (tmp_path / "uncnn-audit@.service").write_text(audit_system_unit())
    (tmp_path / "uncnn.service").write_text(user_unit())
    (tmp_path / "uncnn-audit.service").write_text(audit_user_unit())
    assert exposure(tmp_path / "uncnn-audit@.service") < 1.0
    assert exposure(tmp_path / "uncnn-audit.service") <= exposure(tmp_path / "uncnn.service")


@needs_systemd
@pytest.mark.parametrize("name", ["uncnn-audit@alice", "uncnn-audit"])
def test_systemd_has_nothing_to_say_against_the_audit(tmp_path: Path, name: str) -> None:
    program = Path(sys.executable).with_name("uncnn-daemon")
    unit = audit_system_unit(program) if "@" in name else audit_user_unit(program)
    (tmp_path / f"{name}.service").write_text(unit)
    (tmp_path / f"{name}.timer").write_text(audit_timer())
    command = [str(ANALYZE), "verify", str(tmp_path / f"{name}.timer"), str(tmp_path / f"{name}.service")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "uncnn" not in answer.stderr


def test_the_audit_is_at_low_priority_and_made_up_for() -> None:
    for unit in (audit_user_unit(), audit_system_unit()):
        for line in ("Type=oneshot", "Nice=19", "CPUSchedulingPolicy=idle", "IOSchedulingClass=idle"):
            assert unit.count(f"\n{line}\n") == 1
        assert not any(
            word in unit for word in ("Restart=", "WatchdogSec", "ExecReload", "RuntimeDirectory", "Type=notify")
        )
    assert "\nExecStart=/usr/local/bin/uncnn-daemon audit\n" in audit_user_unit()
    assert "\nUser=%i\n" in audit_system_unit()
    assert "\nPersistent=true\n" in audit_timer()


def test_folders_are_bound_and_what_systemd_would_misread_is_refused() -> None:
    text = folders_conf([folder("/home/alice/100% mine", "/srv/out")])
    assert 'BindReadOnlyPaths="/home/alice/100%% mine"' in text
    assert "BindPaths=/srv/out" in text
    assert "RequiresMountsFor=/srv/out" in text
    with pytest.raises(UnitError, match="rename it"):
        folders_conf([folder("/home/alice/a:b", "/srv/out")])


def test_the_systems_service_is_installed_and_removed_whole(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = Wanted(getpass.getuser(), gpu=True, root=machine)
    assert install(wanted, start=True) == 0
    said = capsys.readouterr().out
    assert f"systemctl enable uncnn@{getpass.getuser()}.service" in said
    assert f"systemctl enable --now uncnn-audit@{getpass.getuser()}.timer" in said
    folder = machine / "etc" / "systemd" / "system"
    own = folder / f"uncnn@{getpass.getuser()}.service.d"
    assert {path.name for path in own.iterdir()} == {"folders.conf", "gpu.conf"}
    assert f"\nBindPaths={machine}/out" in (own / "folders.conf").read_text()
    audit = folder / f"uncnn-audit@{getpass.getuser()}.service.d" / "folders.conf"
    assert f"\nBindReadOnlyPaths={machine}/out" in audit.read_text()
    assert "\nBindPaths" not in audit.read_text()
    assert uninstall(wanted) == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("servers", ["[https://box]", "[https://box, ssh://box]"])
def test_a_service_with_servers_may_reach_them_and_one_without_may_not(machine: Path, servers: str) -> None:
    configuration = machine / "etc" / "uncnn" / getpass.getuser() / "config.yaml"
    without, wanted = configuration.read_text(), Wanted(getpass.getuser(), root=machine, web_port=8500)
    folder = machine / "etc" / "systemd" / "system"
    drop_ins = [folder / f"uncnn{more}@{getpass.getuser()}.service.d" / "servers.conf" for more in ("", "-web")]
    install(wanted, start=False)
    assert not any(file.exists() for file in drop_ins)
    configuration.write_text(f"servers: {servers}\n{without}")
    install(wanted, start=False)
    for file in drop_ins:
        assert "\nPrivateNetwork=no\n" in file.read_text()
        keys = Path(pwd.getpwnam(getpass.getuser()).pw_dir) / ".ssh"
        assert (f"\nBindReadOnlyPaths=-{keys}\n" in file.read_text()) is ("ssh" in servers)
    audit = folder / f"uncnn-audit@{getpass.getuser()}.service.d"
    assert {path.name for path in audit.iterdir()} == {"folders.conf"}, "the audit changes no faces"
    install(Wanted(getpass.getuser(), root=machine), start=False)
    assert all(file.exists() for file in drop_ins), "the page stays, and stays able"
    configuration.write_text(without)
    install(Wanted(getpass.getuser(), root=machine), start=False)
    assert not any(file.exists() for file in drop_ins)
    configuration.write_text(f"servers: {servers}\n{without}")
    install(wanted, start=False)
    uninstall(wanted)
    assert list(folder.iterdir()) == []


def test_a_users_own_service_may_reach_its_servers(machine: Path) -> None:
    configuration = machine / "config" / "uncnn" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("servers: [ssh://box]\n")
    install(Wanted(""), start=False)
    drop_in = machine / "config" / "systemd" / "user" / "uncnn.service.d" / "servers.conf"
    assert drop_in.read_text() == units.SERVERS + (units.NO_FILES_OF_ROOT if units.gives_namespaces() else "")
    uninstall(Wanted(""))
    assert list(drop_in.parents[1].iterdir()) == []


def test_ssh_is_kept_from_roots_files_where_they_belong_to_nobody_alone() -> None:
    assert units.servers_conf(["https://box", "ssh://box"]) == units.SERVERS + units.NO_FILES_OF_ROOT
    assert units.servers_conf(["https://box"]) == units.SERVERS
    assert units.servers_conf(["ssh://box"], namespaces=False) == units.SERVERS
    assert "PrivateUsers" not in units.servers_conf(["ssh://box"], Path("/home/alice"))


@needs_systemd
def test_systemd_has_nothing_to_say_against_servers(tmp_path: Path) -> None:
    unit = tmp_path / "uncnn@.service"
    unit.write_text(system_unit())
    (tmp_path / "uncnn@.service.d").mkdir()
    drop_in = units.servers_conf(["ssh://box"], Path("/home/alice"))
    (tmp_path / "uncnn@.service.d" / "servers.conf").write_text(drop_in)
    assert exposure(unit) < 3.0


def test_a_folder_that_is_not_there_is_named_before_anything_is_written(machine: Path) -> None:
    (machine / "out").rmdir()
    with pytest.raises(UnitError, match=f"mkdir -p {machine}/out"):
        install(Wanted(getpass.getuser(), root=machine), start=True)
    assert not (machine / "etc" / "systemd").exists()


def test_what_uncnn_runs_from_is_bound_where_home_directories_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing.sys, "prefix", "/home/ada/uncnn/.venv")
    monkeypatch.setattr(installing.sys, "base_prefix", "/run/user/7/python")
    monkeypatch.setattr(installing.units, "__file__", "/home/ada/uncnn/daemon/service/units.py")
    text = folders_conf([], [*installing._software(), Path("/opt/uncnn")])
    assert text.splitlines()[-2:] == ["BindReadOnlyPaths=/home/ada/uncnn", "BindReadOnlyPaths=/run/user/7/python"]


def test_another_users_service_stays(machine: Path) -> None:
    wanted = Wanted(getpass.getuser(), root=machine)
    install(wanted, start=False)
    other = machine / "etc" / "systemd" / "system" / "uncnn@bob.service.d"
    other.mkdir()
    uninstall(wanted)
    for name in ("uncnn@.service", "uncnn-audit@.service", "uncnn-audit@.timer"):
        assert (other.parent / name).exists()


def test_a_users_own_service_needs_a_configuration(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml: there is no such file"):
        install(Wanted(""), start=True)
    configuration = machine / "config" / "uncnn" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("folders: []\n")
    assert install(Wanted(""), start=True) == 0
    assert "systemctl --user enable uncnn.service" in capsys.readouterr().out
    unit = machine / "config" / "systemd" / "user" / "uncnn.service"
    assert "uncnn-daemon run\n" in unit.read_text()
    assert show(Wanted("")) == 0
    assert str(unit) in capsys.readouterr().out
    assert {path.name for path in unit.parent.iterdir()} == {
        "uncnn.service",
        "uncnn-audit.service",
        "uncnn-audit.timer",
        "uncnn-notify.service",
        "uncnn-notify.path",
    }
    uninstall(Wanted(""))
    assert "systemctl --user disable --now uncnn-audit.timer" in capsys.readouterr().out
    assert list(unit.parent.iterdir()) == []


def test_an_unknown_user_is_named(machine: Path) -> None:
    with pytest.raises(UnitError, match="no user 'nobody-here'"):
        install(Wanted("nobody-here", root=machine), start=True)

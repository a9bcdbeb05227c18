"""The units of the page: hardened as the service is, installed where they are asked for and removed with it."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path

import pytest
from systemd_checks import ANALYZE, SHIPPED, exposure, needs_systemd

from uncnn.daemon.service.installing import Wanted, install, uninstall
from uncnn.daemon.service.units import user_unit
from uncnn.daemon.service.web_units import web_socket, web_system_unit, web_user_unit


def test_what_is_in_the_repository_is_what_comes_out() -> None:
    assert (SHIPPED / "uncnn-web.socket").read_text() == web_socket()
    assert (SHIPPED / "uncnn-web.service").read_text() == web_user_unit()
    assert (SHIPPED / "uncnn-web@.service").read_text() == web_system_unit()


@needs_systemd
def test_systemd_finds_them_safe(tmp_path: Path) -> None:
    (tmp_path / "uncnn-web@.service").write_text(web_system_unit())
    (tmp_path / "uncnn.service").write_text(user_unit())
    (tmp_path / "uncnn-web.service").write_text(web_user_unit())
    assert exposure(tmp_path / "uncnn-web@.service") < 1.0
    assert exposure(tmp_path / "uncnn-web.service") <= exposure(tmp_path / "uncnn.service")


@needs_systemd
@pytest.mark.parametrize("name", ["uncnn-web@alice", "uncnn-web"])
def test_systemd_has_nothing_to_say_against_them(tmp_path: Path, name: str) -> None:
    program = Path(sys.executable).with_name("uncnn-daemon")
    (tmp_path / f"{name}.service").write_text(web_system_unit(program) if "@" in name else web_user_unit(program))
    (tmp_path / f"{name}.socket").write_text(web_socket(8000))
    command = [str(ANALYZE), "verify", *map(str, tmp_path.iterdir())]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "uncnn" not in answer.stderr


def test_the_page_has_no_network_and_no_address_but_this_machines() -> None:
    assert "\nPrivateNetwork=yes\n" in web_system_unit()
    assert "\nRestrictAddressFamilies=AF_UNIX\n" in web_system_unit()
    assert "\nListenStream=127.0.0.1:8000\n" in web_socket(8000)


def test_each_users_page_is_installed_and_removed(
    machine: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = getpass.getuser()
    wanted = Wanted(name, root=machine, web_port=8500)
    assert install(wanted, start=True) == 0
    said = capsys.readouterr().out
    assert f"systemctl restart uncnn-web@{name}.socket" in said
    folder = machine / "etc" / "systemd" / "system"
    assert "127.0.0.1:8500" in (folder / f"uncnn-web@{name}.socket").read_text()
    assert f"BindPaths={machine}/out" in (folder / f"uncnn-web@{name}.service.d" / "folders.conf").read_text()
    assert uninstall(Wanted(name, root=machine)) == 0
    assert f"systemctl disable --now uncnn-web@{name}.socket" in capsys.readouterr().out
    assert list(folder.iterdir()) == []


def test_a_users_own_page_is_installed_where_it_is_asked_for(
    machine: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration = machine / "config" / "uncnn" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("folders: []\n")
    folder = machine / "config" / "systemd" / "user"
    assert install(Wanted(""), start=True) == 0
    assert "uncnn-web" not in capsys.readouterr().out
    assert install(Wanted("", web_port=8487), start=True) == 0
    assert "systemctl --user restart uncnn-web.socket" in capsys.readouterr().out
    assert (folder / "uncnn-web.service").exists()
    assert uninstall(Wanted("")) == 0
    assert list(folder.iterdir()) == []

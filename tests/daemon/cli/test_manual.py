"""The ways in which people look for help: -h, help, --version, completion, the manual page, python -m uncnn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from every_command import commands, options_of
from models_home import PROGRAM, ModelsHome

from uncnn.daemon.cli.manual import page
from uncnn.daemon.output import ERROR, NOT_RUNNING, OK, USAGE

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    return ModelsHome(tmp_path_factory.mktemp("home"))


def test_the_manual_page_says_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "uncnn-daemon.1").read_text() == page(), "make manual writes it anew"
    for command in commands():
        assert f"\n.SS {command} " in page().replace("\\-", "-")


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_manual_page_can_be_set() -> None:
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "uncnn-daemon" in done.stdout


def test_the_version_is_said_in_both_ways(home: ModelsHome) -> None:
    for option in ("--version", "-V"):
        answer = home.run(option)
        assert (answer.returncode, answer.stdout) == (OK, f"uncnn-daemon {version('uncnn')}\n")


@pytest.mark.slow
def test_help_is_found_in_every_way(home: ModelsHome) -> None:
    wanted = home.run("held", "list", "--help")
    assert wanted.returncode == OK
    assert "Example: uncnn-daemon held list" in wanted.stdout
    assert home.run("held", "list", "-h").stdout == wanted.stdout
    assert home.run("help", "held", "list").stdout == wanted.stdout
    assert home.run("help").stdout == home.run("--help").stdout == home.run("-h").stdout
    assert home.run("help", "nonsense").returncode == USAGE


def test_quiet_says_nothing_but_what_is_wrong(home: ModelsHome, tmp_path: Path) -> None:
    answer = home.run("status", "-q")
    assert (answer.returncode, answer.stdout, answer.stderr) == (NOT_RUNNING, "", "")
    wrong = home.run("config", "check", "--quiet", "--config", tmp_path / "none.yaml")
    assert wrong.stdout == ""
    assert "there is no such file" in wrong.stderr


def test_quiet_names_the_photos_that_are_not_well(home: ModelsHome, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.jpg").symlink_to("broken.jpg")
    (tmp_path / "config.yaml").write_text("folders: [{watch: in, publish: out}]\n")
    answer = home.run("run", "--once", "-q", "--config", tmp_path / "config.yaml")
    assert answer.returncode == ERROR
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"{tmp_path}/in/link.jpg: error: ")


@pytest.mark.parametrize("program", [[sys.executable, "-m", "uncnn"], [str(PROGRAM.with_name("uncnn"))]])
def test_it_answers_to_its_short_name(home: ModelsHome, program: list[str]) -> None:
    done = subprocess.run(
        [*program, "held", "list"], env=home.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "no photo waits for your decision\n"


@pytest.mark.parametrize("name", ["uncnn-daemon", "uncnn"])
def test_a_shell_completes_commands_and_options(home: ModelsHome, name: str) -> None:
    variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
    program = str(PROGRAM.with_name(name))
    from_bash = ["bash", "-c", '"$0" --show-completion; exit $?', program]  # it asks which shell has started it
    script = subprocess.run(from_bash, env=home.environment(), capture_output=True, text=True, check=True)
    assert f"{variable}=complete_bash" in script.stdout
    for typed, wanted in (
        (f"{name} he", {"held", "help"}),
        (f"{name} config ", {"add-folder", "add-server", "check", "init", "set", "show", "unset"}),
        (f"{name} cloak --pol", {"--policy"}),
    ):
        words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
        environment = home.environment(**{variable: "complete_bash"}, **words)
        done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == wanted


def test_a_fault_of_our_own_is_shown_whole_when_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from uncnn.daemon.commands import jobs\n"
        "def broken(*given): raise KeyError('x')\n"
        "jobs.print_held = broken\n"
        "sys.argv = ['uncnn-daemon', 'held', 'list', *sys.argv[1:]]\n"
        "from uncnn.daemon.cli.entry import main; main()\n"
    )
    for more, shown in (([], False), (["-v"], True)):
        done = subprocess.run(
            [sys.executable, "-c", code, *more],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("Traceback" in done.stderr) == shown
        assert "internal error, KeyError: 'x'; please report it" in done.stderr


@pytest.mark.slow
def test_a_device_that_there_is_not_is_refused_by_every_command_that_takes_one(home: ModelsHome) -> None:
    takers = [(name, least) for name, least in commands().items() if "--device" in options_of(name)]
    assert len(takers) >= 9
    for name, least in takers:
        answer = home.run(*name.split(), *least, "--device", "gpu")
        assert answer.returncode == USAGE, answer
        assert "'gpu' is no device: use auto, cpu, cuda or cuda:N" in " ".join(answer.stderr.split())

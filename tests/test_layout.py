"""The layout holds: every package ships, nothing is imported under a second name, the checks know all of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOPS = ("daemon", "exporters", "plugins")


def test_every_package_folder_ships() -> None:
    folders = {
        "uncnn." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOPS
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {"uncnn", *folders}  # uncnn has __main__ alone
    assert [path.name for path in (ROOT / "uncnn").glob("*.py")] == ["__main__.py"]
    loose = [path for top in TOPS for path in (ROOT / top).rglob("*.py") if not (path.parent / "__init__.py").is_file()]
    assert not loose, "a module outside of any package is missing from the wheel"


@pytest.mark.parametrize("top", TOPS)
def test_type_checkers_see_every_module(top: str) -> None:
    link = ROOT / "typings" / "uncnn" / top
    assert link.is_symlink()
    assert link.resolve() == ROOT / top


def test_every_attack_file_is_registered() -> None:
    registered = {entry.value.split(":")[0] for entry in entry_points(group="uncnn.attacks")}
    files = {f"uncnn.plugins.attacks.{path.stem}" for path in (ROOT / "plugins" / "attacks").glob("[!_]*.py")}
    assert files <= registered
    for entry in entry_points(group="uncnn.attacks"):
        assert hasattr(entry.load(), "perturb")


def test_nothing_is_loaded_under_a_bare_name() -> None:
    code = (
        "import sys, importlib, pkgutil, uncnn.daemon, uncnn.plugins, uncnn.exporters\n"
        "for top in (uncnn.daemon, uncnn.plugins, uncnn.exporters):\n"
        "    for found in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
        "bare = {'daemon', 'plugins', 'exporters'} & set(sys.modules)\n"
        "assert not bare, bare\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def test_the_api_imports_nothing_of_uncnn() -> None:
    code = (
        "import sys, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('api', {str(ROOT / 'plugins' / 'api.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['api'] = module\n"
        "spec.loader.exec_module(module)\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] in {'uncnn', 'torch'}]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_pins_are_hashed_and_name_no_host(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if "://" in line and not line.startswith("#")]
    pinned = [line for line in lines if line and line[0] not in " #-"]
    assert all("==" in line and line.endswith("\\") for line in pinned)
    wanted = {text.split(";")[0].split(">")[0].strip().lower() for text in PROJECT["project"]["dependencies"]}
    names = {line.split("==")[0].split("[")[0].lower().replace("_", "-") for line in pinned}
    assert wanted <= names


def test_the_readme_and_ci_run_the_same_test_command() -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme.split("<!-- test command -->")[1].split("```sh\n")[1].split("```")[0]
    assert "-m pytest" in block
    assert "requirements-dev.txt" in block
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text()

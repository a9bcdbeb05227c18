"""The layout holds: every package ships, nothing is imported under a second name, the checks know all of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

from uncnn.plugins.extras import REMEDIES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOPS = ("daemon", "exporters", "plugins")
OPTIONAL = {"lpips", "retinaface"}  # used where they are installed, and asked for by no extra
BROUGHT = {"_typeshed", "pydantic_core"}  # by a type checker, and by pydantic


def test_every_package_folder_ships() -> None:
    folders = {
        "uncnn." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOPS
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {"uncnn", *folders}
    assert {path.name for path in (ROOT / "uncnn").glob("*.py")} == {"__init__.py", "__main__.py", "augment.py"}
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


@pytest.mark.parametrize(
    ("name", "extra"), [("requirements.txt", "cuda"), ("requirements-dev.txt", "cuda"), ("requirements-cpu.txt", "cpu")]
)
def test_pins_are_hashed_and_name_no_host(name: str, extra: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if "://" in line and not line.startswith("#")]
    pinned = [line for line in lines if line and line[0] not in " #-"]
    bare = {line.split("==")[0] for line in pinned if not line.endswith("\\")}
    assert bare == ({"torch", "torchvision"} if extra == "cpu" else set()), "torch's build for CPUs has other hashes"
    assert all("==" in line for line in pinned)
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"][extra]]
    names = {line.split("==")[0].split("[")[0].lower().replace("_", "-") for line in pinned}
    assert set(map(distribution, wanted)) <= names


def test_without_cuda_nothing_of_it_is_pinned() -> None:
    pinned = (ROOT / "requirements-cpu.txt").read_text().splitlines()
    assert not [line for line in pinned if line.startswith(("nvidia", "cuda", "triton", "onnxruntime-gpu"))]
    assert [line for line in pinned if line.startswith("onnxruntime==")]


def distribution(requirement: str) -> str:
    """Return the name of the package that a requirement is of."""
    return re.split(r"[;>\[]", requirement)[0].strip().lower()


def imported() -> set[str]:
    """Return the names of all packages that the product's code imports anywhere."""
    found = set()
    for file in (file for top in (*TOPS, "uncnn") for file in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"uncnn"}


def test_what_is_declared_is_imported_and_what_is_imported_is_declared() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    declared = {distribution(each) for own in (PROJECT["project"]["dependencies"], *extras.values()) for each in own}
    by_name = packages_distributions()
    found = {re.sub(r"[-_.]+", "-", by_name[name][0]).lower() for name in imported() - OPTIONAL - BROUGHT}
    assert declared - {"onnxruntime", "onnxruntime-gpu"} == found - {"onnxruntime", "onnxruntime-gpu"}


def test_a_missing_package_is_of_the_extra_that_its_remedy_names() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for package, remedy in REMEDIES.items():
        for extra in re.findall(r"uncnn\[(\w+)\]", remedy):
            assert package in {distribution(each).removesuffix("-gpu") for each in extras[extra]}, (package, extra)


def test_the_portrait_of_the_readme_is_that_of_scikit_image() -> None:
    """NASA's, in the public domain: no other picture of a person is in here."""
    (published,) = Path(sys.prefix).glob("lib/python3*/site-packages/skimage/data/astronaut.png")
    assert "docs/examples/astronaut.png" in (ROOT / "README.md").read_text()
    assert (ROOT / "docs" / "examples" / "astronaut.png").read_bytes() == published.read_bytes()


def test_the_readme_and_ci_run_the_same_test_command() -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme.split("<!-- test command -->")[1].split("```sh\n")[1].split("```")[0]
    assert "-m pytest" in block
    assert "requirements-dev.txt" in block
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text()


def test_the_page_on_the_architecture_names_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:daemon|plugins|exporters|protect|docs|config)/[\w/.]*)`", page))
    named = {f"daemon/{name}" if name.startswith(("protect/", "config/")) else name for name in named}
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]
    walk = re.findall(r"^\| \d+ \| `([\w/.]+)`", page, re.MULTILINE)
    assert len(walk) <= 15, "a newcomer follows a photo in a minute"


def test_publishing_has_one_caller() -> None:
    callers = [path for top in TOPS for path in (ROOT / top).rglob("*.py") if "import publish\n" in path.read_text()]
    assert [path.name for path in callers] == ["release.py"]

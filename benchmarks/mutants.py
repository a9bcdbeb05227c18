"""Single-line weakenings of the rules that fail closed, and whether a test catches each.

    python benchmarks/mutants.py [--smoke] [--only decide] [--workers 2]

Each mutant changes one place of a rule in `TARGETS`: a condition is negated or never holds, `<` becomes `<=`, `any`
becomes `all`, a `not`, a raise, a statement, a filter or a row of a table is left out, "hold" becomes "publish", an
answer becomes True or False. Nothing is written: a forked process puts the mutated code into the place of the rule and
runs the tests that guard it. Exit status 1: a mutant survived that `HARMLESS` does not explain, or a target is gone.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300  # for the tests of one mutant: one that takes longer is caught too
A_SMOKE = 12  # mutants of each target at most
QUIET: Final = (
    "-q",
    *(f"-pno:{name}" for name in ("cacheprovider", "xdist", "unraisableexception", "threadexception")),
)


@dataclass(frozen=True)
class Target:
    """Rules of one file: functions, methods as `Class.name` and tables; and the tests that guard them."""

    file: str
    names: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        """Return the name under which the file is imported."""
        return "uncnn." + self.file.removesuffix(".py").replace("/", ".")


GUARD: Final = "tests/daemon/test_fail_closed.py"
CARDS: Final = "tests/plugins/recognisers/test_cards.py"
TABLE: Final = "tests/daemon/config/test_tightening.py"
RULES: Final = tuple(f"{name}.objection" for name in ("Ranked", "Number", "AllOf", "Longer"))
TARGETS: Final = [
    Target("daemon/protect/pipeline.py", ("_decided",), (GUARD,)),
    Target("daemon/verify/decided.py", ("applied", "_meant"), ("tests/daemon/verify/test_decided.py",)),
    Target("daemon/verify/verdict.py", ("FaceVerdict.protected", "Verdict.protected", "Judgement.blind"), (GUARD,)),
    Target("daemon/protect/verifier.py", ("_paired",), (GUARD,)),
    Target("daemon/protect/verifier.py", ("_judgement",), (GUARD, "tests/daemon/verify/test_judgements.py")),
    Target("daemon/verify/places.py", ("places",), ("tests/daemon/verify/test_places.py",)),
    Target("plugins/geometry.py", ("same_face",), (GUARD,)),
    Target(
        "plugins/recognisers/cards.py",
        ("Card.threshold", "Card.matches", "Card.links", "distance", "compare", "_check_file"),
        (CARDS,),
    ),
    Target("daemon/config/tightening.py", ("TABLE", *RULES), (TABLE,)),
    Target("daemon/config/overrides.py", ("_files", "_merged", "_given", "_over"), (GUARD, TABLE)),
    Target("daemon/files/publish.py", ("_fill",), (GUARD,)),
    Target("daemon/files/standing.py", ("holds", "reads_as"), (GUARD,)),
    Target("daemon/files/opening.py", ("open_file",), (GUARD,)),
    Target("daemon/jobs/photo_job.py", ("_judge",), (GUARD,)),
    Target(
        "plugins/recognisers/canaries.py",
        ("check_detector", "check_second_detector", "_check_sight", "check_recognisers", "_check_answers", "_is_at"),
        ("tests/plugins/recognisers/test_canaries.py",),
    ),
]
"""A guard has to be quick: it runs once for every mutant."""

_FILE: Final = "a regular file is asked for twice, by name and by descriptor: each alone refuses another"
_DIGEST: Final = "the digest is of all bytes and one more: another size has another"
_OPEN: Final = "a descriptor stays open, and nothing is claimed that was not"
_WORDS: Final = "only the words of the remedy are others"
_SHOWN: Final = "the policy's value is only shown: a folder may not say such a field at all"
_REMEDY: Final = (
    """remedy = shown(own) + (f" or {'more' if self.up else 'less'}" if isinstance(own, int | float) else "")"""
)
HARMLESS: Final[dict[tuple[str, str], str]] = {
    (
        "if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):",
        "never",
    ): _FILE,
    ("return found.st_size == size and reads_as(folder, name, size, sha256)", "part 1 left out"): _DIGEST,
    ("os.close(opened)", "left out"): _OPEN,
    ("os.close(reader)", "left out"): _OPEN,
    (
        'raise PublishError.of(error, name, "read") from error',
        "left out",
    ): "what was not read has no hash to compare: it fails all the same",
    (
        "rates = [rate for rate in self.thresholds if rate >= far * (1 - 1e-9)]  # 0.1**3 is a hair above 1e-3",
        ">= -> >",
    ): "no rate is written to the last bit of that product",
    (
        'return math.sqrt(max(2 * (1 - value), 0.0)) if metric == "cosine" and not math.isnan(value) else value',
        "part 2 left out",
    ): "the root of NaN is NaN",
    ("if numbers and (said > own) == self.up:", "> -> >="): "the policy's own value is let through before",
    (_REMEDY, "negated"): _WORDS,
    (_REMEDY, "never"): _WORDS,
    (
        "if any(order.index(said[place]) < order.index(before) for before in said[:place]):",
        "< -> <=",
    ): "a strength that stands twice is refused before",
    ('yield (*above, name), (own.model_extra or {}).get(name, "not set"), value', "or -> and"): _SHOWN,
    ('yield (*above, name), (own.model_extra or {}).get(name, "not set"), value', "part 1 left out"): _SHOWN,
    (
        'yield (*above, name), (own.model_extra or {}).get(name, "not set"), value',
        "part 2 left out",
    ): "an attack always has a table of its own parameters: the other part is for the type checker",
    (
        "return bool(np.linalg.norm(np.array(face.landmarks) - landmarks, axis=1).max() < NEAR * eyes)",
        "< -> <=",
    ): "landmarks that lie at the limit to the last bit",
}
"""By the line and the change: why a mutant that survives weakens nothing."""


@dataclass(frozen=True)
class Mutant:
    """One change in one place."""

    target: Target
    name: str
    line: int
    source: str  # the line as it is
    change: str
    tree: ast.Module

    @property
    def excuse(self) -> str | None:
        """Return why it may survive."""
        return HARMLESS.get((self.source, self.change))


SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    one: other
    for pair in [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)]
    for one, other in (pair, pair[::-1])
} | {ast.And: ast.Or, ast.Or: ast.And}
SIGNS: Final = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in"}
SIGNS |= {ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.And: "and", ast.Or: "or"}
NAMES: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
WORDS: Final = {"hold": "publish", "publish": "hold"}


def changes(node: ast.AST, is_answer: bool) -> Iterator[tuple[str, ast.AST]]:
    """Yield the changes of one node in words, with what stands in its place."""
    yield from _of_expression(node)
    if isinstance(node, ast.If | ast.IfExp):
        for words, test in (("negated", ast.UnaryOp(ast.Not(), node.test)), ("never", ast.Constant(False))):
            other = copy.copy(node)
            other.test = test
            yield words, other
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "filter left out", ast.comprehension(node.target, node.iter, [], node.is_async)
    elif isinstance(node, ast.Raise | ast.AugAssign) or (isinstance(node, ast.Expr) and not _is_text(node.value)):
        yield "left out", ast.Pass()
    elif isinstance(node, ast.Return) and is_answer:
        for answer in (True, False):
            if not (isinstance(node.value, ast.Constant) and node.value.value is answer):
                yield f"return {answer}", ast.Return(ast.Constant(answer))


def _of_expression(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            other = copy.copy(node)
            other.ops = [SWAPPED[type(each)]() if at == number else each for at, each in enumerate(node.ops)]
            yield f"{SIGNS[type(operator)]} -> {SIGNS[SWAPPED[type(operator)]]}", other
    elif isinstance(node, ast.BoolOp):
        other_operator = SWAPPED[type(node.op)]
        yield f"{SIGNS[type(node.op)]} -> {SIGNS[other_operator]}", ast.BoolOp(other_operator(), node.values)
        for number, value in enumerate(node.values):
            rest = [each for each in node.values if each is not value]
            yield f"part {number + 1} left out", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", node.operand
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield f"{node.id} -> {NAMES[node.id]}", ast.Name(NAMES[node.id], ast.Load())
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WORDS:
        yield f"{node.value!r} -> {WORDS[node.value]!r}", ast.Constant(WORDS[node.value])
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and not _is_text(node):
        plus = isinstance(node.op, ast.Add)
        yield "+ -> -" if plus else "- -> +", ast.BinOp(node.left, ast.Sub() if plus else ast.Add(), node.right)


def rows(table: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """Yield each row of the first table in `table` in words, with the table, and the table without it."""
    kinds = ast.Dict | ast.Set | ast.List | ast.Tuple
    node = next(each for each in ast.walk(table) if isinstance(each, kinds))
    for number, row in enumerate(node.keys if isinstance(node, ast.Dict) else node.elts):
        words = f"row {ast.unparse(row) if row else number} left out"
        if isinstance(node, ast.Dict):
            kept = [at for at in range(len(node.keys)) if at != number]
            yield words, node, ast.Dict([node.keys[at] for at in kept], [node.values[at] for at in kept])
        else:
            other = copy.copy(node)
            other.elts = [each for each in node.elts if each is not row]
            yield words, node, other


def _is_text(node: ast.AST) -> bool:
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else (node,)
    return any(
        isinstance(each, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        for each in parts
    )


def found(tree: ast.Module, name: str) -> ast.AST | None:
    """Return the function, method or table of a module that is called so."""
    scope: Sequence[ast.stmt] = tree.body
    node: ast.AST | None = None
    for part in name.split("."):
        node = next((each for each in scope if part in _names_of(each)), None)
        scope = node.body if isinstance(node, ast.ClassDef) else ()
    return node


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for each in targets if isinstance(each, ast.Name)]


def sites(root: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """Yield every change of a rule in words, with the node, and what stands in its place."""
    if not isinstance(root, ast.FunctionDef):
        yield from rows(root)
        return
    is_answer = root.returns is not None and ast.unparse(root.returns) == "bool"
    for statement in root.body:
        for node in ast.walk(statement):
            for words, other in changes(node, is_answer):
                yield words, node, other


def mutants(target: Target) -> list[Mutant]:
    """Return all mutants of a target; each has a tree of its own.

    Raises SystemExit: one of its names is not in the file.
    """
    text = (ROOT / target.file).read_text()
    lines, made = text.splitlines(), []
    for name in target.names:
        root = found(ast.parse(text), name)
        if root is None:
            raise SystemExit(f"{target.file} has no {name}: name in TARGETS what became of it")
        for number in range(len(list(sites(root)))):
            tree = ast.parse(text)
            words, node, other = list(sites(found(tree, name) or tree))[number]
            put(tree, node, other)
            line = getattr(node.iter if isinstance(node, ast.comprehension) else node, "lineno", 0)
            made.append(Mutant(target, name, line, lines[line - 1].strip(), words, ast.fix_missing_locations(tree)))
    return made


def put(tree: ast.AST, node: ast.AST, other: ast.AST) -> None:
    """Put `other` in the place of `node`."""
    if hasattr(node, "lineno"):
        ast.copy_location(other, node)
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, other)
                return
            if isinstance(value, list) and any(each is node for each in value):
                setattr(parent, field, [other if each is node else each for each in value])
                return


def weaken(mutant: Mutant) -> None:
    """Put a mutant into the place of its rule in this process, whoever has imported that already."""
    module = importlib.import_module(mutant.target.module)
    root = found(mutant.tree, mutant.name)
    if isinstance(root, ast.FunctionDef):
        code = compile(mutant.tree, ROOT / mutant.target.file, "exec")
        function_in(module, mutant.name).__code__ = code_in(code, mutant.name)
        return
    value = ast.Expression(root.value)
    fewer = eval(compile(value, ROOT / mutant.target.file, "eval"), vars(module))
    table = getattr(module, mutant.name)  # a dictionary or a set
    table.clear()
    table.update(fewer)


def function_in(module: ModuleType, name: str) -> FunctionType:
    """Return the function, method or getter of a module that is called so, without what decorates it."""
    each: Any = module
    for part in name.split("."):
        each = vars(each)[part]
    return inspect.unwrap(getattr(each, "fget", None) or getattr(each, "__func__", each))


def code_in(code: CodeType, name: str) -> CodeType:
    """Return the compiled body of a function of a compiled module."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_qualname == name:
                return each
            if name.startswith(f"{each.co_qualname}."):
                return code_in(each, name)
    raise LookupError(name)


def ran(tests: Sequence[str], mutant: Mutant | None) -> int:
    """Run tests in a forked process, with a mutant in the place of its rule, and return pytest's exit status."""
    process = os.fork()
    if process == 0:
        status = 3
        try:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            signal.alarm(SECONDS)
            if mutant is not None:
                weaken(mutant)
            status = pytest.main([*QUIET, "-x", *tests])
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(ended)


def main() -> int:
    """Try the mutants, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Weaken the rules that fail closed, line by line, and run their tests."
    )
    parser.add_argument("--smoke", action="store_true", help=f"at most {A_SMOKE} mutants of each target")
    parser.add_argument("--only", help="the targets whose file or names have this in them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    began = time.monotonic()
    os.chdir(ROOT)
    targets = [
        each for each in TARGETS if not asked.only or any(asked.only in name for name in (each.file, *each.names))
    ]
    made = []
    with redirect_stdout(StringIO()):
        pytest.main([*QUIET, "--collect-only", *sorted({test for target in targets for test in target.tests})])
    for tests in dict.fromkeys(target.tests for target in targets):
        if ran(tests, None) != 0:
            raise SystemExit(f"{' '.join(tests)} fail as they are: fix them first")
    for target in targets:
        every = mutants(target)
        made += every[:: -(-len(every) // A_SMOKE)] if asked.smoke else every
    gc.freeze()  # the processes share what is there by now
    with ThreadPoolExecutor(asked.workers) as pool:
        survived = [each for each, status in zip(made, pool.map(_status, made), strict=True) if status == 0]
    return report(targets, made, survived, time.monotonic() - began)


def _status(mutant: Mutant) -> int:
    return ran(mutant.target.tests, mutant)


def report(targets: Sequence[Target], made: Sequence[Mutant], survived: Sequence[Mutant], seconds: float) -> int:
    """Print what was caught, and what was not, and return the exit status."""
    print("| rule | mutants | caught | harmless | survived |\n|---|---|---|---|---|")
    for target in targets:
        for name in target.names:
            own = [each for each in made if (each.target, each.name) == (target, name)]
            left = [each for each in survived if (each.target, each.name) == (target, name)]
            excused = sum(each.excuse is not None for each in left)
            counts = (len(own), len(own) - len(left), excused, len(left) - excused)
            print(f"| `{name}` in {target.file} | {' | '.join(map(str, counts))} |")
    bad = [each for each in survived if each.excuse is None]
    print(f"\n{len(made)} mutants, {len(made) - len(survived)} caught, {seconds:.0f} s")
    for each in survived:
        print(
            f"survived: {each.target.file}:{each.line} {each.change}: {each.source}"
            + (f" ({each.excuse})" if each.excuse else "")
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

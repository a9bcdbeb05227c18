"""The command `verify`: the verdict on a copy of a photo, whoever made it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from uncnn.daemon.config import Policy
from uncnn.daemon.output import DEGRADED, NO_FACE, OK, print_json
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Judge
from uncnn.daemon.protect.pipeline import people_for, terms_of
from uncnn.daemon.settings import Settings, taken, work
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.terminal.results import say_line, width_of
from uncnn.daemon.terminal.verdict_table import verdict_lines
from uncnn.daemon.verify.figures import verdict_json
from uncnn.daemon.verify.statement import verify_words
from uncnn.daemon.verify.verdict import Verdict


def verify_pair(settings: Settings, original: Path, cloaked: Path, surrogates: bool, as_json: bool) -> int:
    """Print the verdict on `cloaked` as a copy of `original` and return the exit status."""
    policy = settings.policy
    with progress_bar(1, as_json), work(settings.models, settings.device) as (engine, spool):
        first, second = taken(original, spool), taken(cloaked, spool)
        verdict = engine.judge(Judge(Content(first.path), Content(second.path), terms_of(policy, people_for(policy))))
    if as_json:
        print_json({"original": str(original), "cloaked": str(cloaked), "verdict": verdict_json(verdict)})
    else:
        _print_verdict(verdict, cloaked, policy, surrogates)
    return {"protected": OK, "not-protected": DEGRADED, "no-face": NO_FACE}[verdict.kind]


def _print_verdict(verdict: Verdict, cloaked: Path, policy: Policy, surrogates: bool) -> None:
    colour = {"protected": "green", "not-protected": "red", "no-face": "yellow"}[verdict.kind]
    say_line(str(cloaked), verdict.kind.replace("-", " "), f": {verify_words(verdict, policy)}", colour)
    console = Console()
    for line in verdict_lines(verdict, surrogates=surrogates, width=width_of(console)):
        console.print(line, soft_wrap=True, highlight=False)

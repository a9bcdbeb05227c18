"""What each registered attack comes to: its row in the table of `uncnn-daemon evaluate`, on the same photos.

    python benchmarks/attacks.py                                 every attack, four photos of four people, balanced
    python benchmarks/attacks.py pgd "p-fgvm realism=1"          these, with parameters
    python benchmarks/attacks.py --licence research              with the recognisers that UNCNN_MODELS has for research
    python benchmarks/attacks.py --smoke                         two attacks, two steps: only shows that it runs

The recognisers are those that a user has: what comes with uncnn, and UNCNN_MODELS. Rates are those of the judge that
links most, in the view that is worst. Needs the photos of ../shared beside the checkout, or --folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from uncnn.daemon.evaluate.evaluation import Evaluation, evaluate
from uncnn.daemon.evaluate.plan import UNCLOAKED, Plan, make_plan
from uncnn.daemon.settings import settings_for
from uncnn.plugins.registry import STRENGTHS, attack_names

IDENTITIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "lfw" / "identities"
MEASURES = ("match", "own_photo", "linear_probe")
SMOKE = ("boundary", "veil")  # tests run each; these differ most
HEAD = f"{'':34}  SSIMULACRA2  Butteraugli  matches  own photo  probe  s/face"


def main() -> None:
    """Print a row an attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", help="names, each with parameters after it; default: all")
    parser.add_argument("--folder", type=Path, default=IDENTITIES, help="a folder of photos a person")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--photos", type=int, default=4, help="of each person")
    parser.add_argument("--steps", type=int, help="default: as the strength has them")
    parser.add_argument("--strength", default="balanced", choices=STRENGTHS)
    parser.add_argument("--licence", action="append", help="as for uncnn-daemon evaluate")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    people, photos, steps = (2, 2, 2) if options.smoke else (options.people, options.photos, options.steps)
    plan = make_plan(options.folder, strengths=(options.strength,), people=people, photos=photos)
    print(f"{plan.photos} photos of {len(plan.people)} people, {options.strength}")
    for number, asked in enumerate(options.attacks or (SMOKE if options.smoke else attack_names())):
        name, *settings = asked.split()
        if steps is not None:
            settings.append(f"steps={steps}")
        chosen = settings_for(None, None, name, options.strength, settings, options.licence, None)
        found = evaluate(chosen, plan)
        if not number:
            judges = ", ".join(judge.name for judge in found.judges)
            print(f"{len(found.surrogates)} surrogates: {', '.join(found.surrogates)}; judges: {judges}\n{HEAD}")
            print(_row("no cloak", found, plan, UNCLOAKED))
        print(_row(asked, found, plan, options.strength), flush=True)


def _row(title: str, found: Evaluation, plan: Plan, strength: str) -> str:
    (summary,) = [summary for summary in found.summaries_over_all if summary.strength == strength]
    assert summary.mean is not None, "the faces are large enough for the metrics"
    butteraugli = "-" if summary.mean.butteraugli is None else f"{summary.mean.butteraugli:.2f}"
    worst = {name: max(found.worst(name, strength, view).value for view in plan.views) for name in MEASURES}
    shares = f"{worst['match']:7.0%}  {worst['own_photo']:9.0%}  {worst['linear_probe']:5.0%}"
    return f"{title:34}  {summary.mean.ssimulacra2:11.1f}  {butteraugli:>11}  {shares}  {summary.seconds:6.1f}"


if __name__ == "__main__":
    main()

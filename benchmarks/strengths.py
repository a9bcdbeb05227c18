"""What each strength protects and how far it shows, and what the everyday policy makes of it.

    python benchmarks/strengths.py                 40 LFW photos, one a person
    python benchmarks/strengths.py --photos 4      fewer
    python benchmarks/strengths.py --folder DIR    the photos of a folder, group photos for example

A face counts as protected when the default policy says so: no recogniser that is asked links it to its own original in
any view, by a margin. Needs the models and photos of ../shared beside the checkout (or UNCNN_MODELS and --folder).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from uncnn.daemon.config import Models, Policy
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.publish import snapshot
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, people_for, protect
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.verify.figures import worst_views
from uncnn.plugins.registry import STRENGTHS

ROOT = Path(__file__).resolve().parents[1]
HEAD = f"{'':14s}  faces  protected  published      JOD at 2x zoom  s/face  each judge links"


def main() -> None:
    """Print a row a strength and one for the policy that escalates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=40, help="how many photos (default 40)")
    parser.add_argument("--folder", type=Path, help="a folder of photos; default: LFW, one photo a person")
    parser.add_argument("--strengths", nargs="*", default=[*STRENGTHS, "everyday"])
    options = parser.parse_args()
    shared = ROOT.parent / "shared"
    os.environ.setdefault("UNCNN_MODELS", str(shared / "models" / "reference"))
    photos = chosen(options.folder or shared / "data" / "lfw" / "identities", options.photos)
    models = Models(licences=("permissive", "research"))
    with tempfile.TemporaryDirectory() as spool, ProcessEngine(models, "cpu", data_dir(), Path(spool)) as engine:
        engine.start()
        print(f"{len(photos)} photos, {len(engine.roster.surrogates)} surrogates, {len(engine.roster.judges)} judges")
        print(HEAD)
        for name in options.strengths:
            policy = Policy() if name == "everyday" else Policy(attack={"strength": name}, escalate=())
            print(row(name, [outcome for photo in photos if (outcome := judged(engine, photo, policy, Path(spool)))]))


def chosen(folder: Path, number: int) -> list[Path]:
    """Return up to `number` photos of a folder, spread over it; one a sub-folder where it has any."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [sorted(path.iterdir())[0] for path in folders] or sorted(folder.iterdir())
    step = max(len(files) // number, 1)
    return files[::step][:number]


def judged(engine: ProcessEngine, photo: Path, policy: Policy, spool: Path) -> Outcome | None:
    """Return what the policy makes of a photo."""
    taken = snapshot(photo.parent, Path(photo.name), spool)
    try:
        return protect(
            engine, PhotoJob(Content(taken.path), photo.name, policy, people_for(policy)), lambda _stage: None
        )
    except RequestError as error:
        print(f"{photo.name}: {error}")
        return None


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """Return one line of the table."""
    faces = [face for outcome in outcomes for face in outcome.verdict.faces if face.required]
    seen = [face.zoom for face in faces if face.zoom is not None]
    linked: dict[str, int] = {}
    for face in faces:
        for worst in worst_views(face):
            if worst.role == "judge":
                linked[worst.recogniser] = linked.get(worst.recogniser, 0) + worst.linked
    links = ", ".join(f"{judge} {count / len(faces):.0%}" for judge, count in linked.items())
    safe = sum(face.protected for face in faces) / max(len(faces), 1)
    released = sum(outcome.decision == "publish" for outcome in outcomes) / max(len(outcomes), 1)
    worst_tenth = sorted(seen)[len(seen) // 10]
    seconds = sum(outcome.seconds for outcome in outcomes) / max(len(faces), 1)
    shown = f"{statistics.mean(seen):.2f}, 10 % below {worst_tenth:.1f}"
    return f"{name:14s} {len(faces):6d} {safe:10.0%} {released:10.0%} {shown:>20s} {seconds:7.1f}  {links}"


if __name__ == "__main__":
    main()

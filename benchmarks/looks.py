"""What the two looks at a photo make of it: faces that nobody mentions, turned photos, animals, photos without a face.

    python benchmarks/looks.py                the half of the photos that nothing was tuned on (40 minutes)
    python benchmarks/looks.py --half tuned   the half that thresholds were chosen on
    python benchmarks/looks.py --only turned  or widerface, faceless, people, time; --every 3: each third photo
    python benchmarks/looks.py --smoke        a few photos of each kind: only shows that it runs

Photos are parted by the sha256 of their file's name. Nothing is cloaked: a face *counts* where the everyday policy
would cloak it, or else hold the photo; it is *mentioned* where it counts, or is reported as uncertain and left as it
is. "As it was" is the worker's upright look alone, before there was a second one.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import common
import numpy as np
from common import WEIGHTS, is_missing, set_torch_up
from PIL import Image, ImageFilter, ImageOps

from uncnn.daemon.photos import decode
from uncnn.daemon.photos.fingerprint import fingerprint
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change
from uncnn.daemon.protect.torch_worker import TorchChanger
from uncnn.daemon.protect.verifier import Verifier
from uncnn.daemon.protect.worker import Worker
from uncnn.daemon.verify.detection import ANIMAL, Detection
from uncnn.daemon.verify.opinion import load_opinion
from uncnn.daemon.verify.second_look import load_second_detector
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.detectors.turned import looking

SMALLEST_PX = 24
COVERED = 0.3  # IoU from which on a face lies where an annotated one does
LARGEST_PX = 640
ANIMALS = frozenset(
    f"{name}.jpg"
    for name in """
    n02077923_sea_lion n02085782_Japanese_spaniel n02086079_Pekinese n02086240_Shih-Tzu n02088364_beagle
    n02089078_black-and-tan_coonhound n02090379_redbone n02090721_Irish_wolfhound n02091134_whippet
    n02091467_Norwegian_elkhound n02093428_American_Staffordshire_terrier n02093754_Border_terrier
    n02093991_Irish_terrier n02094114_Norfolk_terrier n02094258_Norwich_terrier n02096177_cairn
    n02096585_Boston_bull n02097209_standard_schnauzer n02099849_Chesapeake_Bay_retriever n02102318_cocker_spaniel
    n02104365_schipperke n02105162_malinois n02105251_briard n02107312_miniature_pinscher
    n02107574_Greater_Swiss_Mountain_dog n02109047_Great_Dane n02110806_basenji n02110958_pug n02113624_toy_poodle
    n02113799_standard_poodle n02114367_timber_wolf n02117135_hyena n02123597_Siamese_cat n02124075_Egyptian_cat
    n02128385_leopard n02132136_brown_bear n02326432_hare n02391049_zebra n02412080_ram n02437616_llama
    n02442845_mink n02443114_polecat n02457408_three-toed_sloth
    """.split()  # noqa: SIM905
)
"""Those of `noface` that show an animal's face, dogs above all; told by looking at each."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is made of one photo."""

    before: list[Face]  # the worker's upright look
    detections: list[Detection]

    @property
    def counted(self) -> list[Face]:
        """Return the faces that are cloaked, or hold the photo, under the everyday policy."""
        faces = (each.face for each in self.detections if each.counts("cloak"))
        return [face for face in faces if face.size_px >= SMALLEST_PX]

    @property
    def mentioned(self) -> list[Face]:
        """Return those, and what is reported as uncertain."""
        return [*self.counted, *(each.face for each in self.detections if each.uncertain)]


class Looks:
    """The worker's look and the verifier's, in this process."""

    def __init__(self) -> None:
        self.detector = common.detector()
        second = load_second_detector(common.CPU)
        self.verifier = Verifier(self.detector, [], load_opinion(common.CPU), second_detector=second)

    def at(self, photo: Pixels) -> Found:
        """Return what both make of `photo`."""
        before, found = self.detector.detect(photo), looking(self.detector, "auto").detect(photo)
        second = self.verifier.second_look
        return Found(before, second.detections(second.at("", photo, "auto"), found))


def main() -> None:
    """Print one row a measure: as it was, and now, with its bar."""
    parser = common.options_of(__doc__)
    parser.add_argument("--half", choices=["untuned", "tuned"], default="untuned")
    parser.add_argument("--only", choices=["widerface", "turned", "faceless", "people", "time"])
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    if is_missing(options.data, WEIGHTS):
        return
    set_torch_up()
    looks, step = Looks(), 40 if options.smoke else options.every

    def half(files: Iterable[Path]) -> list[Path]:
        return [file for file in sorted(files) if is_tuned(file) is (options.half == "tuned")]

    print(f"the {options.half} half\n{'measure':58}{'as it was':>10}{'now':>8}  bar")
    measures: dict[str, Callable[[], None]] = {
        "widerface": lambda: _widerface(looks, options.data / "widerface", half, step),
        "turned": lambda: _turned(looks, half(_portraits(options.data))[::step]),
        "faceless": lambda: _faceless(looks, half((options.data / "noface").rglob("*.jpg"))[::step]),
        "people": lambda: _people(looks, half(_portraits(options.data))[::step]),
        "time": lambda: _time(looks, 1 if options.smoke else 5, options.data / "noface"),
    }
    for name, measure in measures.items():
        if options.only in (None, name):
            measure()


def is_tuned(file: Path) -> bool:
    """Return whether a file is of the half that thresholds were chosen on."""
    return hashlib.sha256(file.name.encode()).digest()[0] % 2 == 0


def _widerface(looks: Looks, folder: Path, half: Callable[[Iterable[Path]], list[Path]], step: int) -> None:
    """Print the share of photos with an annotated face of 24 px and more that nobody covers."""
    annotated = json.loads((folder / "boxes.json").read_text())
    missed = []
    for file in half(folder.rglob("*.jpg"))[::step]:
        boxes = np.array(annotated[file.name]["boxes"], np.float32).reshape(-1, 4)
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= SMALLEST_PX]
        if len(boxes):
            found = looks.at(_read(file))
            missed.append([_uncovered(boxes, each) for each in (found.before, found.mentioned, found.counted)])
    before, mentioned, counted = np.mean(missed, axis=0)
    _row(f"widerface: a face of 24 px and more unmentioned, of {len(missed)}", before, mentioned, "< 5 %")
    _row("widerface: one neither cloaked nor held for", before, counted, "")


def _uncovered(boxes: np.ndarray, faces: Sequence[Face]) -> bool:
    found = np.array([face.box for face in faces], np.float32).reshape(-1, 4) + 0.5
    return not all((overlap(box, found) >= COVERED).any() for box in boxes)


def _portraits(data: Path) -> list[Path]:
    """Return photos of people: 160 of LFW, chosen by hash, and those of `people`."""
    lfw = sorted((data / "lfw" / "identities").rglob("*.jpg"), key=lambda file: _digest(file.name))[:160]
    return [*lfw, *sorted((data / "people").rglob("*.jpg"))]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _turned(looks: Looks, files: Sequence[Path]) -> None:
    """Print the share of photos, lying or on their heads, of which nothing is cloaked or held for."""
    for turns in (1, 2):
        found = [looks.at(np.ascontiguousarray(np.rot90(_read(file), turns))) for file in files]
        before = np.mean([not any(face.size_px >= SMALLEST_PX for face in each.before) for each in found])
        now = np.mean([not each.counted for each in found])
        _row(f"turned by {90 * turns} degrees, published untouched, of {len(found)}", before, now, "< 1 %")


def _faceless(looks: Looks, files: Sequence[Path]) -> None:
    """Print the share of photos without a human face that are changed, or held for one; of animals' faces apart."""
    found = {file: looks.at(_read(file)) for file in files}
    pets = {file: each for file, each in found.items() if file.name in ANIMALS}
    for name, some in (("without a face", found), ("with an animal's face", pets)):
        before = [any(face.size_px >= SMALLEST_PX for face in each.before) for each in some.values()]
        now = [bool(each.counted) for each in some.values()]
        said = [bool(each.mentioned) for each in some.values()]
        if some:
            _row(f"photos {name}, changed or held, of {len(some)}", np.mean(before), np.mean(now), "< 5 %")
            _row(f"photos {name}, with something mentioned", np.mean(before), np.mean(said), "")


def _people(looks: Looks, files: Sequence[Path]) -> None:
    """Print the share of real faces, made hard to see, that are taken for animals and would not be cloaked."""
    for name, spoil in SPOILT.items():
        photos = [np.asarray(spoil(Image.fromarray(_read(file)))) for file in files]
        sure = [each for photo in photos for each in looks.at(photo).detections if each.known]
        dismissed = [each.uncertain == ANIMAL and not each.certain_enough for each in sure]
        _row(f"real faces taken for animals, {name}, of {len(sure)}", None, np.mean(dismissed), "< 0.5 %")


SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as they are": lambda image: image,
    "dark": lambda image: image.point(lambda value: round(value * 0.2)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 100)),
    "a quarter of the size": lambda image: image.resize((image.width // 4, image.height // 4)),
}


def _time(looks: Looks, runs: int, folder: Path) -> None:
    """Print how long a photo of 12 megapixels without a face takes, as it was and now, taken in turns."""
    file = next(file for file in sorted(folder.rglob("*.jpg")) if not looks.detector.detect(_read(file)))
    buffer = io.BytesIO()
    Image.open(file).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    before, now = [], []
    with tempfile.TemporaryDirectory() as folder_name:
        source = Path(folder_name) / "photo.jpg"
        source.write_bytes(buffer.getvalue())
        for _ in range(runs):
            before.append(_timed(lambda: _as_it_was(looks, source)))
            now.append(_timed(lambda: _now(looks, source)))
    ratio = np.median(np.array(now) / np.array(before))
    print(
        f"{'12 Mpx without a face, seconds; times as long':58}{np.median(before):9.2f}s{np.median(now):7.2f}s", end=""
    )
    print(f"  <= 1.5: {ratio:.2f}")


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _as_it_was(looks: Looks, source: Path) -> None:
    """Do what was done before: the worker's upright look, and the verifier's at the published photo."""
    _worked(looks, source, False)
    decode(source.read_bytes(), "photo.jpg")
    released = decode(_candidate(source).read_bytes(), "photo.jpg")
    fingerprint(released)
    looks.detector.detect(released.pixels)


def _now(looks: Looks, source: Path) -> None:
    faces = _worked(looks, source, "auto")
    verifier = replace(looks.verifier, memory={})
    data, released = source.read_bytes(), _candidate(source).read_bytes()
    detections = verifier.second_look.detections(verifier.look(data, "photo.jpg", "auto"), faces)
    assert not any(each.counts("cloak") for each in detections), "the photo is to have no face"
    verifier.verify(data, released, 1e-3, ("as-is",), SMALLEST_PX, faces, rotated="auto")


def _worked(looks: Looks, source: Path, rotated: bool | str) -> list[Face]:
    worker = Worker(looks.detector, TorchChanger([]))
    faces = worker.look(Content(source), "photo.jpg", rotated).faces  # type: ignore[arg-type]
    attack = AttackChoice("veil", {})
    asked = Change(Content(source), "photo.jpg", rotated, (), (), attack, "same", "same")  # type: ignore[arg-type]
    worker.change(asked, lambda _: None)
    return list(faces)


def _candidate(source: Path) -> Path:
    return source.with_suffix(".candidate")


def _read(file: Path) -> Pixels:
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    if file.parts[-2:-1] != ("noface",):
        image.thumbnail((LARGEST_PX, LARGEST_PX))
    return np.asarray(image)


def _row(measure: str, before: float | None, now: float, bar: str) -> None:
    first = "" if before is None else f"{before:.1%}"
    print(f"{measure:58}{first:>10}{now:>8.1%}  {bar}", flush=True)


if __name__ == "__main__":
    main()

"""A transformer that no attack knows, to judge with: taught by a recogniser that none attacks, as far as time allows.

    python benchmarks/transformer.py --keep DIR        a small one, on one core; what was stopped goes on there
    python benchmarks/transformer.py --keep DIR --samples 6000000 --width 384 --depth 12 --device cuda    a useful one
    python benchmarks/transformer.py --smoke           32 crops

It is a vision transformer of insightface's layout, with patches of 16 pixels, and learns to give of a face what the
teacher gives (cosine). DIR has `transformer.pt` then, which `uncnn-daemon models add` takes:

    uncnn-daemon models add DIR/transformer.pt --architecture vit-8-heads --role judge --template arcface-112 \\
      --order RGB --mean 127.5 --std 127.5 --metric cosine --licence-name own --licence-use research --calibrate FACES

Said is, of people of `faces-144` that it was not taught with: how alike its answers are to the teacher's, and how many
pairs of one person are linked where one in a thousand of two people's is; the teacher's own share stands beside it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from common import REFERENCE, is_missing, options_of, save_whole
from torch import Tensor
from torch.nn import functional

from uncnn.exporters.convert.networks.vit import Shape, VisionTransformer
from uncnn.exporters.train.descent import Descent
from uncnn.exporters.train.faces import read_faces
from uncnn.exporters.train.robust import draw
from uncnn.plugins.api import Pixels
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

FILE: Final = "transformer.pt"
TEACHER: Final = "mobilefacenet-y1"  # never attacked, and no judge of any verdict
SIDE: Final = 112
PART: Final = "transformer.part.pt"
PATCH: Final = 16  # pixels: a quarter of the tokens of the published ones, for a sixth of the work
HEADS: Final = 8
BATCH: Final = 32
RATE: Final = 1e-3
AVERAGE: Final = 0.99
FAR: Final = 1e-3
SAID_EVERY: Final = 100  # steps
KEPT_EVERY: Final = 10 * SAID_EVERY


def main() -> None:
    """Teach it, say what came of it, and keep it."""
    parser = options_of(__doc__)
    parser.add_argument("--keep", type=Path, help="the folder to keep the weights in")
    parser.add_argument("--samples", type=int, default=20_000, help="crops that it is shown")
    parser.add_argument("--width", type=int, default=192, help="numbers of a token")
    parser.add_argument("--depth", type=int, default=6, help="blocks")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    options = parser.parse_args()
    folder = options.data / "faces-144"
    if is_missing(folder, REFERENCE / TEACHER):
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher = load_recogniser(REFERENCE / TEACHER, options.device)
    faces, _ = read_faces(folder, training=True)
    others, people = read_faces(folder, training=False)
    began = time.process_time()
    samples = 32 if options.smoke else options.samples
    network = taught(faces, teacher, untaught(options.width, options.depth), samples, options.keep)
    print(f"taught in {time.process_time() - began:.0f} core s", flush=True)
    number = 60 if options.smoke else len(people)
    _say(network, teacher, others[:number], people[:number])
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        torch.save(network.cpu().state_dict(), options.keep / FILE)
        (options.keep / PART).unlink(missing_ok=True)


def untaught(width: int, depth: int) -> VisionTransformer:
    """Return the network with random weights; its embedding is as long as the teacher's, 128."""
    network = VisionTransformer(Shape(SIDE, PATCH, width, 4 * width, depth, 128, HEADS, biased=False))
    torch.nn.init.normal_(network.pos_embed, std=0.02)
    return network


def taught(
    faces: Pixels, teacher: Recogniser, network: VisionTransformer, samples: int, keep: Path | None = None
) -> VisionTransformer:
    """Return the moving average of the network, which learned of `samples` crops of `faces`, (N, 144, 144, 3).

    In the folder `keep` it leaves what it goes on with where it was stopped.
    """
    device, steps = teacher.mean.device, max(samples // BATCH, 1)
    descent, done = Descent(network, device, steps, RATE, 0.05, AVERAGE), 0
    part = keep / PART if keep else None
    if part and part.exists():
        try:
            done = descent.take_up(torch.load(part, device, weights_only=True))
        except (RuntimeError, ValueError) as error:
            raise SystemExit(f"{part}: {error}; name another --keep") from error
        print(f"goes on after {done * BATCH} crops", flush=True)
    random = np.random.default_rng(done)
    for step in range(done, steps):
        crops = draw(faces, teacher, BATCH, random).to(device)
        with torch.no_grad():
            wanted = teacher.outputs(crops)
        descent.step({"cosine": 1 - functional.cosine_similarity(_asked(descent.network, crops), wanted).mean()})
        if step % SAID_EVERY == SAID_EVERY - 1:
            print(f"{(step + 1) * BATCH} crops: {descent.running['cosine']:.3f} from the teacher", flush=True)
        if part and step % KEPT_EVERY == KEPT_EVERY - 1:
            save_whole(descent.state(), part)
    return descent.kept


def _asked(network: VisionTransformer, crops: Tensor) -> Tensor:
    """Return the embeddings, (N, 128), of crops (N, 3, 112, 112) RGB in 0..255."""
    embeddings: Tensor = network((crops - 127.5) / 127.5)
    return embeddings


@torch.no_grad()
def _say(network: VisionTransformer, teacher: Recogniser, faces: Pixels, people: list[str]) -> None:
    """Print what the network makes of people that it was not taught with."""
    edge = (faces.shape[1] - SIDE) // 2
    crops = torch.from_numpy(faces[:, edge:-edge, edge:-edge].copy()).permute(0, 3, 1, 2).float()
    batches = crops.to(teacher.mean.device).split(64)
    own = torch.cat([_asked(network, each) for each in batches]).cpu()
    known = torch.cat([teacher.outputs(each) for each in batches]).cpu()
    alike = float(functional.cosine_similarity(own, known).mean())
    print(f"{len(faces)} faces of {len(set(people))} other people: cosine {alike:.3f} to the teacher")
    for name, embeddings in (("the transformer", own), (teacher.card.name, known)):
        share, accuracy = linked(functional.normalize(embeddings, dim=1).double().numpy(), people)
        print(
            f"{name}: {share:.1%} of pairs linked at FAR {FAR:g}, {accuracy:.1%} of pairs right at the best threshold"
        )


def linked(faces: npt.NDArray[np.float64], people: list[str]) -> tuple[float, float]:
    """Return the share of one person's pairs that is linked, and the best mean of both kinds' right answers.

    `faces`, (N, D), are unit embeddings; the threshold of the first is where FAR of the pairs of two people is linked.
    """
    rows, columns = np.triu_indices(len(faces), 1)
    alike = (faces @ faces.T)[rows, columns]
    _, codes = np.unique(people, return_inverse=True)
    same = codes[rows] == codes[columns]
    genuine, impostors = np.sort(alike[same]), np.sort(alike[~same])
    right = np.searchsorted(impostors, genuine) / len(impostors) + 1 - np.arange(len(genuine)) / len(genuine)
    return float((genuine >= np.quantile(impostors, 1 - FAR)).mean()), float(right.max() / 2)


if __name__ == "__main__":
    main()

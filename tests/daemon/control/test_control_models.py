"""The control socket with the models that come with uncnn: a photo is the same through the service, and sooner done."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from models_home import PROGRAM, ModelsHome
from PIL import Image
from running import descendants

PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Served:
    """A home with two photos, and with the copies that a command made of them before the service ran."""

    home: ModelsHome
    photos: tuple[Path, Path]
    copies: dict[str, bytes]
    watch: Path
    publish: Path
    service: int  # the process

    def cloak(self, *photos: Path, output: str) -> tuple[dict[str, bytes], str]:
        folder = self.home.root / output
        answer = self.home.run("cloak", *photos, "-o", folder, "--verbose", "--again")
        assert answer.returncode == 0, answer
        return {path.name: path.read_bytes() for path in folder.iterdir()}, answer.stderr


@pytest.fixture(scope="module")
def served(own_detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    skimage = pytest.importorskip("skimage")
    home = ModelsHome(tmp_path_factory.mktemp("home")).having(own_detector_folder)
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    photos = home.root / "a.png", home.root / "b.png"
    face.save(photos[0])
    face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((230, 230)).save(photos[1])
    watch, publish = home.root / "watch", home.root / "publish"
    watch.mkdir()
    alone = Served(home, photos, {}, watch, publish, 0)
    first, said = alone.cloak(photos[0], output="alone")
    assert "processes of this command" in said
    both, _ = alone.cloak(photos[1], output="alone")
    folder = f"{{watch: {watch}, publish: {publish}, settle_seconds: 0}}"
    (home.root / "config.yaml").write_text(f"version: 1\nfolders: [{folder}]\n")
    command = [PROGRAM, "run", "--config", home.root / "config.yaml"]
    with subprocess.Popen(command, env=home.environment()) as service:
        until((home.root / "state" / "control.sock").exists)
        try:
            yield Served(home, photos, first | both, watch, publish, service.pid)
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0


def until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_photo_is_the_same_through_the_service_and_no_model_is_loaded_for_it(served: Served) -> None:
    served.cloak(served.photos[0], output="loading")
    loaded = descendants(served.service)
    copies, said = served.cloak(served.photos[0], output="served")
    assert "processes of the running service" in said
    assert copies == {"a.png": served.copies["a.png"]}
    assert descendants(served.service) == loaded
    pair = served.photos[0], served.home.root / "served" / "a.png"
    status, ours = served.home.json("verify", *pair)
    _, own = served.home.json("verify", *pair, UNCNN_LPIPS="/another")  # not on the service's footing
    assert ours == own
    assert status == 0


@pytest.mark.slow
def test_photos_come_out_the_same_whose_calls_alternate(served: Served) -> None:
    watched = served.watch / "b.png"
    (served.watch / ".b.png.part").write_bytes(served.photos[1].read_bytes())
    (served.watch / ".b.png.part").rename(watched)
    for number in range(3):
        copies, said = served.cloak(served.photos[0], output=f"alternating {number}")
        assert "processes of the running service" in said
        assert copies == {"a.png": served.copies["a.png"]}
    until((served.publish / "b.png").exists)
    assert (served.publish / "b.png").read_bytes() == served.copies["b.png"]

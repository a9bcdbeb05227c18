"""What a server does to faces, with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.protect.torch_worker import loaded
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.packing import pack_patches, unpack_faces
from uncnn.daemon.remote.work import Pipes, ServingError, Work
from uncnn.plugins.engine.host import perturb_cut
from uncnn.plugins.engine.targets import Gallery
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import asks_for_people, make_attack, make_budget, make_target, notes_of


@dataclass(frozen=True, slots=True)
class Serving:
    """The models of a server, loaded once."""

    surrogates: Sequence[Recogniser]
    device: str

    @classmethod
    def load(cls, folders: Sequence[Path], device: str) -> Serving:
        """Return the models of these folders on a device. Raises CardError, GraphError, UncnnError: no such GPU."""
        chosen, surrogates = loaded(folders, device)
        return cls(surrogates, chosen)

    def changed(self, frame: Frame, pipes: Pipes) -> tuple[bytes, tuple[str, ...]]:
        """Return what is done to the faces of a frame, and what a person should know of the attack.

        Raises:
            ServingError, PackingError, UnknownAttack, PluginError, TargetError: it is nothing that can be done.
            pydantic.ValidationError: it is no request. FrameError: the client ended.
        """
        work = Work.model_validate(frame.said.get("change"))
        if asks_for_people(work.parameters):
            raise ServingError("the target is an enrolled person: no server is told of people")
        attack = make_attack(work.attack, work.parameters)
        patches = perturb_cut(
            unpack_faces(frame.content),
            attack,
            self.surrogates,
            make_budget(work.strength, work.parameters),
            make_target(work.parameters, Gallery),
            lambda step, steps: pipes.say(progress=[step, steps]),
        )
        return pack_patches(patches), notes_of(attack)

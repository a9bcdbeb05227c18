"""A teacher that says what it gives between its parts, not only at its end.

A cut of a network is a place where all that goes on passes through one tensor: the end of a residual block, or anything
outside of one. A student that gives the same at some of the cuts can be taught part by part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx
from torch.fx.passes.shape_prop import ShapeProp

from uncnn.exporters.train.augment import crop
from uncnn.exporters.train.faces import TrainingError
from uncnn.plugins.recogniser import Recogniser


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where a student meets its teacher: `count` of the cuts of this shape, evenly chosen, the last among them."""

    channels: int
    side: int
    count: int


@dataclass(frozen=True, slots=True)
class Teacher:
    """A recogniser, and its network as one that gives the tensor of each cut, its embedding last."""

    recogniser: Recogniser
    parts: torch.nn.Module

    def __call__(self, views: Tensor) -> list[Tensor]:
        """Return what it gives at each cut, and its embeddings (N, D), of views (N, 3, 128, 128) in 0..255."""
        pixels = (crop(views) - self.recogniser.mean) / self.recogniser.std
        *cuts, embeddings = self.parts(pixels.contiguous(memory_format=torch.channels_last))
        return [*cuts, embeddings.flatten(1)]


def make_teacher(recogniser: Recogniser, meetings: Sequence[Meeting]) -> Teacher:
    """Return a recogniser as a teacher of students that meet it there.

    Raises:
        TrainingError: it is not a plain graph, or has fewer cuts of a shape than a meeting asks for.
    """
    network = recogniser.network
    if not isinstance(network, fx.GraphModule):
        raise TrainingError(f"{recogniser.card.name} cannot teach: its network is no torch graph")
    if recogniser.card.input.order != "RGB":
        raise TrainingError(f"{recogniser.card.name} cannot teach: it reads {recogniser.card.input.order}")
    height, width = recogniser.card.input.height, recogniser.card.input.width
    ShapeProp(network).propagate(torch.zeros(2, 3, height, width, device=recogniser.mean.device))
    cuts, copied = _cuts(network.graph), dict[fx.Node, fx.Node]()
    chosen = [node for meeting in meetings for node in _met(recogniser.card.name, cuts, meeting)]
    graph = fx.Graph()
    output = graph.graph_copy(network.graph, copied)
    graph.output((*(copied[node] for node in chosen), output))
    parts = fx.GraphModule(network, graph).to(memory_format=torch.channels_last)
    return Teacher(recogniser, parts.eval().requires_grad_(False))


def _met(teacher: str, cuts: list[fx.Node], meeting: Meeting) -> list[fx.Node]:
    shape = (meeting.channels, meeting.side, meeting.side)
    fit = [node for node in cuts if tuple(node.meta["tensor_meta"].shape[1:]) == shape]
    if len(fit) < meeting.count:
        raise TrainingError(f"{teacher} cannot teach: it has {len(fit)} cuts of {shape}, not {meeting.count}")
    return [fit[round(place)] for place in np.linspace(len(fit) - 1, 0, meeting.count)[::-1]]


def _cuts(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes through which all passes that comes after them."""
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    place = {node: number for number, node in enumerate(graph.nodes)}
    waiting: set[fx.Node] = set()  # nodes that are read later
    cuts = []
    for node in nodes:
        waiting = {each for each in waiting if any(place[user] > place[node] for user in each.users)} | {node}
        if waiting == {node} and node.meta.get("tensor_meta") is not None:
            cuts.append(node)
    return cuts

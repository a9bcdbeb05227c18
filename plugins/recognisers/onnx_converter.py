"""onnx2torch, imported without torchvision.

It imports torchvision for two operations, NonMaxSuppression and RoiAlign, which recognisers rarely have, and
torchvision brings torch's compiler with it: more than half of the time that `import onnx2torch` takes. So these two are
registered when a graph has them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from onnx import ModelProto
from torch import fx

CONVERTERS = "onnx2torch.node_converters"
BY_TORCHVISION = {"NonMaxSuppression": f"{CONVERTERS}.nms", "RoiAlign": f"{CONVERTERS}.roialign"}
"""The module of onnx2torch that registers each operation which torchvision computes."""


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Let onnx2torch find empty modules in place of those that import torchvision."""
    stand_ins = {name: ModuleType(name) for name in BY_TORCHVISION.values() if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


with _without_torchvision():
    from onnx2torch import convert


def torch_graph(model: ModelProto) -> fx.GraphModule:
    """Return `model` as a torch graph. Raises whatever onnx2torch does where it cannot take it."""
    for node in model.graph.node:
        if node.op_type in BY_TORCHVISION:
            importlib.import_module(BY_TORCHVISION[node.op_type])
    graph: fx.GraphModule = convert(model)
    return graph

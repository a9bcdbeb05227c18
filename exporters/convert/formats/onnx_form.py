"""An ONNX graph brought into the form that every format gives: names, layout, batch and precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.onnx_entry import Entry
from uncnn.exporters.convert.formats.torch_export import plainly_named

IR_VERSION = 8


def in_form(path: Path, original: ModelProto, entry: Entry) -> ModelProto:
    """Return the graph from `input` (N, 3, H, W) to `embedding` (N, D), float32; D is left open.

    Raises:
        FormatError: what came out contradicts the standard.
    """
    model = ModelProto()
    model.CopyFrom(original)
    _widen(model)
    if entry.batch is not None:
        _free_batch(model, entry.batch)
    _rename(model, entry)
    _replace_ends(model, entry)
    model.ir_version = max(model.ir_version, IR_VERSION)  # before 4, weights were inputs too
    model.producer_name, model.producer_version = "", ""
    try:
        onnx.checker.check_model(plainly_named(model))
    except Exception as error:  # its C++ parts raise their own
        words = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: cannot be brought into form ({words}); export it again in float32") from error
    return model


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.type == AttributeProto.TENSOR)


def _widen(model: ModelProto) -> None:
    """Make float16 float32, in weights, constants and casts."""
    for tensor in _tensors(model):
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in {"to", "dtype"} and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT


def _free_batch(model: ModelProto, batch: int) -> None:
    """Let shapes that begin with the fixed batch take any: -1 where no other side is left open, else as it comes."""
    targets = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    made = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    shapes = [tensor for tensor in model.graph.initializer if tensor.name in targets]
    shapes += [attribute.t for name, node in made.items() if name in targets for attribute in node.attribute]
    for tensor in shapes:
        sides = numpy_helper.to_array(tensor)
        if sides.ndim == 1 and sides.size > 1 and sides[0] == batch:
            freed = np.concatenate([[0 if -1 in sides[1:] else -1], sides[1:]]).astype(np.int64)
            tensor.CopyFrom(numpy_helper.from_array(freed, tensor.name))


def _rename(model: ModelProto, entry: Entry) -> None:
    """Give every value a name that cannot be mistaken for the two ends, which get theirs."""
    names = {"": "", entry.output: "ending" if _is_long(model, entry) else "embedding"}
    names[entry.input] = "input" if entry.layout == "NCHW" else "input.last"

    def renamed(name: str) -> str:
        return names.setdefault(name, f"value.{len(names)}")

    for tensor in model.graph.initializer:
        tensor.name = renamed(tensor.name)
    for node in model.graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
        node.name = ""
    del model.graph.value_info[:]


def _is_long(model: ModelProto, entry: Entry) -> bool:
    """Return whether the embedding has sides of 1 after it."""
    (output,) = [value for value in model.graph.output if value.name == entry.output]
    return len(output.type.tensor_type.shape.dim) > 2


def _replace_ends(model: ModelProto, entry: Entry) -> None:
    nodes: list[NodeProto] = list(model.graph.node)
    if entry.layout == "NHWC":
        nodes.insert(0, helper.make_node("Transpose", ["input"], ["input.last"], perm=[0, 2, 3, 1]))
    if _is_long(model, entry):
        nodes.append(helper.make_node("Flatten", ["ending"], ["embedding"], axis=1))
    del model.graph.node[:]
    model.graph.node.extend(_needed(nodes))
    del model.graph.input[:], model.graph.output[:]
    picture: list[str | int | None] = ["N", 3, entry.height, entry.width]
    model.graph.input.append(helper.make_tensor_value_info("input", TensorProto.FLOAT, picture))
    model.graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", "D"]))


def _needed(nodes: list[NodeProto]) -> list[NodeProto]:
    """Return the nodes that the embedding comes from: other outputs go."""
    wanted, kept = {"embedding"}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]

"""An ONNX graph whose weights are stored as float16: a file half as long, computed in float32 all the same."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper


def halved(model: ModelProto) -> ModelProto:
    """Return `model` with its float32 constants stored as float16 and widened where it starts."""
    result = ModelProto()
    result.CopyFrom(model)
    casts = []
    for constant in result.graph.initializer:
        if constant.data_type == TensorProto.FLOAT:
            name, values = constant.name, numpy_helper.to_array(constant).astype(np.float16)
            constant.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [constant.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:], result.graph.value_info[:]
    result.graph.node.extend(nodes)
    onnx.checker.check_model(result)
    return result

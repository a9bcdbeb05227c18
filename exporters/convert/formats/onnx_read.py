"""An ONNX file read and refused early where it cannot be a recogniser in one file."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto

from uncnn.exporters.convert.formats import FormatError
from uncnn.plugins.recognisers.model_files import keeps_weights_elsewhere

REMEDY = "export it again as one float32 file of standard operations"

QUANTISED = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
BRANCHING = {"If", "Loop", "Scan", "SequenceMap"}


def read_onnx(path: Path) -> ModelProto:
    """Return the model in the file, checked to be whole and of standard operations with a true gradient.

    Raises:
        FormatError: it is missing, damaged, in several files, quantised, or has operations outside the standard.
    """
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except Exception as error:  # protobuf's parts raise their own
        raise FormatError(f"{path}: is no ONNX file ({_words(error)}); download it again") from error
    if not model.graph.node:
        raise FormatError(f"{path}: is no ONNX file, or an empty one; download it again")
    if keeps_weights_elsewhere(model):
        raise FormatError(f"{path}: keeps its weights in other files; save it as one file (onnx.save does)")
    _check_operations(path, model)
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # its C++ parts raise their own
        raise FormatError(f"{path}: contradicts the ONNX standard ({_words(error)}); {REMEDY}") from error
    return model


def _check_operations(path: Path, model: ModelProto) -> None:
    operations = {node.op_type for node in model.graph.node}
    strange = {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in {"", "ai.onnx"}}
    if operations & QUANTISED:
        found = ", ".join(sorted(operations & QUANTISED))
        raise FormatError(f"{path}: is quantised ({found}), so it has no true gradient; take its float32 file")
    if strange or operations & BRANCHING or model.functions:
        found = ", ".join(sorted(strange | operations & BRANCHING)) or "functions of its own"
        raise FormatError(f"{path}: has operations that a recogniser cannot have here ({found}); {REMEDY}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

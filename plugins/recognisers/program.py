"""A recogniser that ONNX cannot carry to torch: `model.pt2`, as torch.export writes it, read without running it.

``torch.export.load`` of torch 2.15 is not for files of strangers: it unpickles weights and constants that ask for it
(``weights_only=False``), falls back to that for the sample inputs, evaluates the strings of symbolic sizes (sympy) and
of guards, and calls whatever name below `torch` a node states. A sha256 does not mend that: a stranger's card states
the stranger's hash. So the archive is read here: raw weights, and a graph of named `aten` operations, nothing else.
"""

from __future__ import annotations

import io
import json
import math
import operator
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from uncnn.plugins.api import UncnnError

TYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 12: torch.bool},
    **{6: torch.float16, 7: torch.float32, 8: torch.float64, 13: torch.bfloat16},
}
"""torch's types by their number in the archive (`torch/_export/serde/schema.py`, ScalarType)."""

ATEN = re.compile(r"torch\.ops\.aten\.([a-z][a-z0-9_]*)\.([A-Za-z0-9_]+)")
ARITHMETIC = {f"_operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "neg")}
WORDS = {"approximate", "rounding_mode", "equation", "padding", "mode", "reduction"}
"""The arguments that may be text: no operation with any of them opens a file."""

PLAIN = {"as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools"}


class ProgramError(UncnnError):
    """A `model.pt2` that cannot be read, or holds what is not a plain recogniser."""


def load_program(path: Path, content: bytes | None = None) -> nn.Module:
    """Return the network of the torch.export archive at `path` as a frozen module, (N, 3, H, W) -> (N, D), float32.

    `content` is what is in the file, where it was read already.

    Raises:
        ProgramError: the file is damaged, or holds anything but raw weights and `aten` operations.
    """
    try:
        with zipfile.ZipFile(path if content is None else io.BytesIO(content)) as archive:
            return _Reader(archive).module().eval().requires_grad_(False)
    except ProgramError as error:
        raise ProgramError(f"{path}: {error}; install the recogniser again from a source that you trust") from error
    except Exception as error:  # zipfile, json and torch's own parts, on whatever a damaged file holds
        raise ProgramError(
            f"{path}: no program that can be attacked ({type(error).__name__}: {error}); install the recogniser again"
        ) from error


class _Reader:
    """One archive, and the graph that is made from it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ProgramError("it is compressed, and torch stores")  # so that nothing grows beyond the file
        self._archive = archive
        (self._root,) = {name.partition("/")[0] for name in archive.namelist()}
        self._graph, self._values = fx.Graph(), dict[str, fx.Node]()
        self._holder = nn.Module()

    def module(self) -> nn.Module:
        program = json.loads(self._read("models/model.json"))["graph_module"]
        signature, graph = program["signature"], program["graph"]
        tensors = {**self._tensors("weights"), **self._tensors("constants")}
        (name,) = [
            each["user_input"]["arg"]["as_tensor"]["name"] for each in signature["input_specs"] if "user_input" in each
        ]
        self._values[name] = self._input = self._graph.placeholder("pictures")
        for number, spec in enumerate(each for each in signature["input_specs"] if "user_input" not in each):
            self._weight(f"weight_{number}", spec, tensors)
        for node in graph["nodes"]:
            self._node(node)
        (result,) = graph["outputs"]
        self._graph.output(self._values[result["as_tensor"]["name"]])
        self._graph.lint()
        return fx.GraphModule(self._holder, self._graph)

    def _read(self, name: str) -> bytes:
        return self._archive.read(f"{self._root}/{name}")

    def _tensors(self, kind: str) -> dict[str, Tensor]:
        """Return the weights or constants by their name in the network."""
        entries = json.loads(self._read(f"data/{kind}/model_{kind}_config.json"))["config"]
        return {name: self._tensor(kind, name, entry) for name, entry in entries.items()}

    def _tensor(self, kind: str, name: str, entry: Mapping[str, Any]) -> Tensor:
        if entry["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]):
            raise ProgramError(f"{name!r} is pickled, and nothing is ever unpickled")
        meta = entry["tensor_meta"]
        raw = bytearray(self._read(f"data/{kind}/{entry['path_name']}"))
        kind_of_number = TYPES[meta["dtype"]]
        flat = torch.frombuffer(raw, dtype=kind_of_number) if raw else torch.empty(0, dtype=kind_of_number)
        sizes, strides = ([int(each["as_int"]) for each in meta[key]] for key in ("sizes", "strides"))
        if math.prod(sizes) > len(flat):
            raise ProgramError(f"{name!r} claims {math.prod(sizes)} numbers and has {len(flat)}")
        return flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"])).clone()

    def _weight(self, attribute: str, spec: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Give one weight to the module, and a node that fetches it to the graph."""
        ((kind, entry),) = spec.items()
        if kind not in {"parameter", "buffer", "tensor_constant"}:
            raise ProgramError(f"its input {kind!r} is none of a plain network")
        name = entry.get("parameter_name") or entry.get("buffer_name") or entry.get("tensor_constant_name")
        self._holder.register_buffer(attribute, tensors[name])
        self._values[entry["arg"]["name"]] = self._graph.get_attr(attribute)

    def _node(self, node: Mapping[str, Any]) -> None:
        if not node["outputs"]:
            return  # a check of sizes
        target = node["target"]
        function: Any = ARITHMETIC.get(target)
        if function is None:
            found = ATEN.fullmatch(target)
            function = getattr(getattr(torch.ops.aten, found[1], None), found[2], None) if found else None
        if not isinstance(function, torch._ops.OpOverload) and function not in ARITHMETIC.values():
            raise ProgramError(f"its operation {target!r} is not a plain one of torch")
        given = [(each["name"], self._argument(each["name"], each["arg"]), each["kind"]) for each in node["inputs"]]
        positional = [value for _, value, kind in given if kind == 1]
        named = {name: value for name, value, kind in given if kind != 1 and name != "layout"}
        self._outputs(node["outputs"], self._graph.call_function(function, tuple(positional), named))

    def _outputs(self, outputs: list[Mapping[str, Any]], result: fx.Node) -> None:
        """Name what a node gives: one tensor, one size, or several tensors."""
        if len(outputs) == 1 and "as_tensors" not in outputs[0]:
            ((_, entry),) = outputs[0].items()
            self._values[entry.get("name") or entry["as_name"]] = result
            return
        parts = outputs[0]["as_tensors"] if "as_tensors" in outputs[0] else [each["as_tensor"] for each in outputs]
        for number, part in enumerate(parts):
            self._values[part["name"]] = self._graph.call_function(operator.getitem, (result, number))

    def _argument(self, name: str, argument: Mapping[str, Any]) -> Any:
        """Return an argument's value, or the node that gives it."""
        ((kind, value),) = argument.items()
        readers: dict[str, Callable[[], Any]] = {
            **dict.fromkeys(PLAIN, lambda: value),
            "as_none": lambda: None,
            "as_tensor": lambda: self._values[value["name"]],
            "as_tensors": lambda: [self._values[each["name"]] for each in value],
            "as_optional_tensors": lambda: [self._argument(name, each) for each in value],
            "as_sym_int": lambda: value["as_int"] if "as_int" in value else self._values[value["as_name"]],
            "as_sym_ints": lambda: [self._argument(name, {"as_sym_int": each}) for each in value],
            "as_scalar_type": lambda: TYPES[value],
            "as_device": lambda: self._graph.call_function(getattr, (self._input, "device")),
        }
        if name in WORDS:
            readers["as_string"] = lambda: str(value)
        if kind not in readers:
            raise ProgramError(f"its argument {name} ({kind}) is none of a plain operation")
        return readers[kind]()

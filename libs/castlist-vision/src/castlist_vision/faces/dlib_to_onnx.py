"""Read dlib's face encoder from its .dat file and write the same network as ONNX.

The file is a stream in dlib's serialization: integers are a control byte (how many bytes follow, and the sign) and
that many bytes, little-endian; a tensor is a version, four dimensions, and float32. Only the tensors matter here: the
shape of the network (a 29-layer ResNet) is known.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_CHIP = 150
_MEAN = (122.782, 117.001, 104.298)
# (channels, how many blocks, whether the first one halves the size)
_BLOCKS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))

Weights = NDArray[np.float32]


class UnknownModelError(ValueError):
    """The file does not hold the network that is known here."""


def convert(model: bytes) -> bytes:
    """The ONNX model for dlib_face_recognition_resnet_model_v1.dat; raises UnknownModelError.

    Input `chips`: N × 150 × 150 × RGB, uint8. Output `encodings`: N × 128, float32.
    """
    return bytes(_Network(_parameters(model)).build().SerializeToString())


class _Network:
    """Draws the network's graph, taking the weights in the order of computation."""

    def __init__(self, parameters: Iterator[Weights]) -> None:
        self._parameters = parameters
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def build(self) -> Any:
        x = self._node("Cast", "chips", to=TensorProto.FLOAT)
        x = self._node("Transpose", x, perm=[0, 3, 1, 2])
        x = self._node("Sub", x, self._constant(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1)))
        x = self._node("Mul", x, self._constant(np.array(1 / 256, np.float32)))
        x = self._node("Relu", self._convolution(x, 3, 32, size=7, stride=2))
        x = self._node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        channels, side = 32, 35
        for out, count, halved in _BLOCKS:
            for first in [True] + [False] * (count - 1):
                x, side = self._block(x, channels, out, side, halved and first)
                channels = out
        x = self._node("Flatten", self._node("GlobalAveragePool", x))
        x = self._node("MatMul", x, self._constant(self._take(256 * 128).reshape(256, 128)), name="encodings")
        if next(self._parameters, None) is not None:
            raise UnknownModelError("the file holds more layers than the network that is known here")
        graph = helper.make_graph(
            self._nodes,
            "dlib_face_recognition_resnet_model_v1",
            [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["n", _CHIP, _CHIP, 3])],
            [helper.make_tensor_value_info("encodings", TensorProto.FLOAT, ["n", 128])],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def _block(self, x: str, channels: int, out: int, side: int, halved: bool) -> tuple[str, int]:
        """Two convolutions beside a shortcut; returns the sum and the side of its picture."""
        inner = self._node("Relu", self._convolution(x, channels, out, size=3, stride=2 if halved else 1))
        inner = self._convolution(inner, out, out, size=3, stride=1)
        if not halved:
            return self._node("Relu", self._node("Add", inner, x)), side
        shortcut = self._node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        inner_side, side = (side - 3) // 2 + 1, side // 2
        inner = self._padded(inner, 0, side - inner_side)
        shortcut = self._padded(shortcut, out - channels, 0)
        return self._node("Relu", self._node("Add", inner, shortcut)), side

    def _padded(self, x: str, channels: int, pixels: int) -> str:
        if not channels and not pixels:
            return x
        ends = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self._node("Pad", x, self._constant(ends))

    def _convolution(self, x: str, channels: int, out: int, size: int, stride: int) -> str:
        """With the affine layer behind it folded in. dlib pads where it does not stride."""
        weights = out * channels * size * size
        both = self._take(weights + out)
        gamma, beta = np.split(self._take(2 * out), 2)
        kernel = both[:weights].reshape(out, channels, size, size) * gamma.reshape(-1, 1, 1, 1)
        bias = both[weights:] * gamma + beta
        pad = size // 2 if stride == 1 else 0
        inputs = (x, self._constant(kernel), self._constant(bias))
        return self._node("Conv", *inputs, kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4)

    def _take(self, size: int) -> Weights:
        layer = next(self._parameters, None)
        if layer is None or layer.size != size:
            raise UnknownModelError("the file's layers are not those of the network that is known here")
        return layer

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def _parameters(model: bytes) -> Iterator[Weights]:
    """The tensors of the layers that have some, in the order they are stored, which is that of computation."""
    layers = []
    for name in (b"\x01\x05con_4", b"\x01\x07affine_", b"\x01\x04fc_2"):
        at = model.find(name)
        while at >= 0:
            layers.append(at + len(name))
            at = model.find(name, at + 1)
    for at in sorted(layers):
        yield _first_tensor(model, at)


def _first_tensor(model: bytes, at: int) -> Weights:
    """The first tensor behind `at`; a layer may have some numbers (its sizes) before it."""
    for _ in range(8):
        version, at = _integer(model, at)
        if version == 2:
            shape, start = [], at
            for _ in range(4):
                size, start = _integer(model, start)
                shape.append(size)
            count = math.prod(shape)
            if min(shape) > 0 and start + 4 * count <= len(model):
                return np.frombuffer(model, "<f4", count, start).astype(np.float32)
    raise UnknownModelError("a layer without its tensor")


def _integer(model: bytes, at: int) -> tuple[int, int]:
    """A serialized integer, and where what follows it begins."""
    control = model[at]
    end = at + 1 + (control & 0x0F)
    value = int.from_bytes(model[at + 1 : end], "little")
    return (-value if control & 0x80 else value), end

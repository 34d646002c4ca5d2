"""Encodings as arrays, and back to the form that the contract writes."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import ENCODING_SIZE, EncodedFace

Vector = NDArray[np.float32]
"""128 numbers whose Euclidean distance says how alike two faces are"""


def encode_vector(vector: Vector) -> str:
    """128 float32, little-endian, as base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")


def decode_vector(text: str) -> Vector:
    """The inverse of `encode_vector`; ValueError for anything but 128 finite numbers."""
    vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    if vector.shape != (ENCODING_SIZE,) or not np.isfinite(vector).all():
        raise ValueError(f"an encoding is {ENCODING_SIZE} finite float32")
    return vector.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class VectorFace:
    """A face with its encoding as an array: what is computed with."""

    time: float
    box: Box
    score: float
    quality: float
    encoding: Vector

    @classmethod
    def decoded(cls, face: EncodedFace) -> "VectorFace":
        """From the contract's form; ValueError as `decode_vector`."""
        return cls(face.time, face.box, face.score, face.quality, decode_vector(face.encoding))

    def encoded(self) -> EncodedFace:
        """In the contract's form."""
        return EncodedFace(self.time, self.box, self.score, self.quality, encode_vector(self.encoding))

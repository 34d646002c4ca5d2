"""Encodings as the contract writes them, and as arrays."""

import base64

import numpy as np
from numpy.typing import NDArray

from castlist.contract.values import ENCODING_SIZE


def encode_vector(vector: NDArray[np.float32]) -> str:
    """128 float32, little-endian, as base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")


def decode_vector(text: str) -> NDArray[np.float32]:
    """The inverse of `encode_vector`; ValueError for anything but 128 finite numbers."""
    vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    if vector.shape != (ENCODING_SIZE,) or not np.isfinite(vector).all():
        raise ValueError(f"an encoding is {ENCODING_SIZE} finite float32")
    return vector.astype(np.float32)

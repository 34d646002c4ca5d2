"""dlib's face encoder on ONNX Runtime: the same weights and numbers, many times faster."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castlist_vision.faces import converted_model
from castlist_vision.faces.dlib_models import ENCODER, path_of
from castlist_vision.faces.onnx_session import CPU, failing, open_session
from castlist_vision.frames.geometry import Colour

_BATCH = 2
"""On one thread more gain nothing, and take memory."""


class OnnxEncoder:
    """With one thread on the CPU, or what else is said. Raises RuntimeError where that cannot be loaded, or fails."""

    def __init__(self, cache_folder: Path, provider: str = CPU) -> None:
        self._session = open_session(converted(cache_folder), provider)
        self.name = f"onnx-{provider.removesuffix('ExecutionProvider').lower()}"

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        """N × 128 for N chips of 150 × 150 × RGB."""
        results = [np.zeros((0, 128), np.float32)]
        for start in range(0, len(chips), _BATCH):
            batch = np.stack(chips[start : start + _BATCH])
            with failing():
                results.append(self._session.run(["encodings"], {"chips": batch})[0])
        return np.concatenate(results)


def converted(cache_folder: Path) -> Path:
    """The converted model, made on first use."""
    source = path_of(ENCODER).read_bytes()
    return converted_model.converted(cache_folder, "face-encoder", source, "dlib_to_onnx")

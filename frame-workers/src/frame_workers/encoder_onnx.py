"""dlib's face encoder on ONNX Runtime: the same weights and numbers, many times faster."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import face_recognition_models
import numpy as np
import onnxruntime
from numpy.typing import NDArray

import frame_workers
from frame_workers.picture import Colour

_BATCH = 8
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxEncoder:
    """One thread on the CPU, or CUDA where this ONNX Runtime has it. Raises RuntimeError where it cannot be loaded."""

    def __init__(self, cache_folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena keeps the largest batch's memory for good: worth more to the neighbours than its few microseconds.
        options.enable_cpu_mem_arena = False
        present = onnxruntime.get_available_providers()
        providers = [provider for provider in _PROVIDERS if provider in present]
        try:
            self._session: Any = onnxruntime.InferenceSession(str(converted(cache_folder)), options, providers)
        except Exception as error:  # its exceptions have no common base
            raise RuntimeError(str(error)) from error
        self.name = f"onnx-{self._session.get_providers()[0].removesuffix('ExecutionProvider').lower()}"

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        """N × 128 for N chips of 150 × 150 × RGB."""
        results = [np.zeros((0, 128), np.float32)]
        for start in range(0, len(chips), _BATCH):
            batch = np.stack(chips[start : start + _BATCH])
            results.append(self._session.run(["encodings"], {"chips": batch})[0])
        return np.concatenate(results)


def converted(cache_folder: Path) -> Path:
    """The converted model, made on first use; processes that make it at once each put a whole file in place."""
    source = Path(face_recognition_models.face_recognition_model_location()).read_bytes()
    converter = Path(frame_workers.__file__).with_name("convert.py").read_bytes()
    digest = hashlib.sha256(source + converter).hexdigest()[:16]
    target = cache_folder / f"face-encoder-{digest}.onnx"
    if not target.exists():
        from frame_workers.convert import convert  # `onnx` is needed this once

        cache_folder.mkdir(parents=True, exist_ok=True)
        model = convert(source)
        with tempfile.NamedTemporaryFile(dir=cache_folder, prefix=".face-encoder-", delete=False) as file:
            file.write(model)
        os.replace(file.name, target)
    return target

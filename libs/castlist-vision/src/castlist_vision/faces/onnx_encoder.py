"""dlib's face encoder on ONNX Runtime: the same weights and numbers, many times faster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import face_recognition_models
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from castlist_vision.faces import converted_model
from castlist_vision.frames.geometry import Colour

CPU = "CPUExecutionProvider"
_BATCH = 8
# Best first, with its options: TF32, CUDA's default, keeps ten bits of what is multiplied; dlib keeps 23.
_PROVIDERS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}, CPU: {}}


def providers() -> list[str]:
    """What this ONNX Runtime may compute with, best first: those it was built for, which need not work here."""
    present = onnxruntime.get_available_providers()
    return [provider for provider in _PROVIDERS if provider in present]


class OnnxEncoder:
    """With one thread on the CPU, or what else is said. Raises RuntimeError where that cannot be loaded, or fails."""

    def __init__(self, cache_folder: Path, provider: str = CPU) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena keeps the largest batch's memory for good: worth more to the neighbours than its few microseconds.
        options.enable_cpu_mem_arena = False
        path, chosen = str(converted(cache_folder)), [(provider, _PROVIDERS[provider])]
        with _failing():
            self._session: Any = onnxruntime.InferenceSession(path, options, chosen)
        used = self._session.get_providers()
        if used[0] != provider:  # it takes the CPU where it has to
            raise RuntimeError(f"ONNX Runtime has {provider}, and cannot use it")
        self.name = f"onnx-{provider.removesuffix('ExecutionProvider').lower()}"

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        """N × 128 for N chips of 150 × 150 × RGB."""
        results = [np.zeros((0, 128), np.float32)]
        for start in range(0, len(chips), _BATCH):
            batch = np.stack(chips[start : start + _BATCH])
            with _failing():
                results.append(self._session.run(["encodings"], {"chips": batch})[0])
        return np.concatenate(results)


@contextmanager
def _failing() -> Iterator[None]:
    """Its exceptions have no common base."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(str(error)) from error


def converted(cache_folder: Path) -> Path:
    """The converted model, made on first use."""
    source = Path(face_recognition_models.face_recognition_model_location()).read_bytes()
    return converted_model.converted(cache_folder, "face-encoder", source, "dlib_to_onnx")

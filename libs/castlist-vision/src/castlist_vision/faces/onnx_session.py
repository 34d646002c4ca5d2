"""Networks on ONNX Runtime: with one thread on the CPU, or on CUDA where this ONNX Runtime and this machine have it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime

CPU = "CPUExecutionProvider"
# Best first, with its options: TF32, CUDA's default, keeps ten bits of what is multiplied; on the CPU it is 23. And
# pictures come in all sizes: to try every algorithm for each new one takes longer than the picture.
_PROVIDERS: dict[str, dict[str, str]] = {
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    CPU: {},
}


def providers() -> list[str]:
    """What this ONNX Runtime may compute with, best first: those it was built for, which need not work here."""
    present = onnxruntime.get_available_providers()
    return [provider for provider in _PROVIDERS if provider in present]


def open_session(model: Path, provider: str) -> Any:
    """An InferenceSession of the model; RuntimeError where it cannot be loaded, or `provider` not be used."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The memory of the largest batch, and of each size of picture, would be kept for good: worth more to the neighbours
    # than the few microseconds that it saves.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    with failing():
        session = onnxruntime.InferenceSession(str(model), options, [(provider, _PROVIDERS[provider])])
    if session.get_providers()[0] != provider:  # it takes the CPU where it has to
        raise RuntimeError(f"ONNX Runtime has {provider}, and cannot use it")
    return session


@contextmanager
def failing() -> Iterator[None]:
    """RuntimeError for whatever ONNX Runtime raises: its exceptions have no common base."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(str(error)) from error

"""Sessions of ONNX Runtime that say that they use CUDA, on a machine without."""

from collections.abc import Sequence
from typing import Any

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException as OnnxFailure

CUDA = "CUDAExecutionProvider"
_SESSION = onnxruntime.InferenceSession


class FakeCuda:
    """Computes what the CPU does."""

    def __init__(self, path: str, options: Any, providers: Sequence[Any]) -> None:
        self._providers = [provider for provider, _ in providers]
        self._session = _SESSION(path, options, ["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return self._providers

    def run(self, *arguments: Any) -> Any:
        return self._session.run(*arguments) if CUDA not in self._providers else self.run_on_cuda(*arguments)

    def run_on_cuda(self, *arguments: Any) -> Any:
        return self._session.run(*arguments)


class WrongCuda(FakeCuda):
    """With fewer bits, say."""

    def run_on_cuda(self, *arguments: Any) -> Any:
        return [result + 0.01 for result in super().run_on_cuda(*arguments)]


class FailingCuda(FakeCuda):
    """Is there, and fails as soon as it is used."""

    def run_on_cuda(self, *arguments: Any) -> Any:
        raise OnnxFailure("CUDNN_STATUS_NOT_INITIALIZED")

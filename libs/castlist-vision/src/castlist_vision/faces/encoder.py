"""Turn an aligned face into its encoding: 128 numbers whose Euclidean distance says how alike two faces are."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import dlib
import numpy as np
from numpy.typing import NDArray

from castlist.contract.vectors import Vector
from castlist_vision.faces.alignment import CHIP
from castlist_vision.faces.dlib_models import ENCODER, path_of
from castlist_vision.frames.geometry import Colour

EncoderName = Literal["onnx", "dlib"]
AGREEMENT = 1e-4
"""How far the two encoders may lie apart on one face, as a Euclidean distance."""
STILL = 0.015
"""The variance up to which faces count as repetitions: of those in one video it is 0.04, of a still picture's 0.002."""
_log = logging.getLogger(__name__)


class Encoder(Protocol):
    """Encodes aligned faces. `name` is for logs and metrics: what computes, and on what."""

    name: str

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        """N × 128 for N chips of 150 × 150 × RGB."""
        ...


class DlibEncoder:
    """dlib's own implementation: the reference, and 14 times slower than the other on one thread."""

    name = "dlib"

    def __init__(self) -> None:
        self._model: Any = dlib.face_recognition_model_v1(str(path_of(ENCODER)))

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        if not chips:
            return np.zeros((0, 128), np.float32)
        return np.array([self._model.compute_face_descriptor(chip) for chip in chips], np.float32)


def make_encoder(name: EncoderName, cache_folder: Path) -> Encoder:
    """The encoder asked for, on the best that this machine has and that agrees with dlib.

    Where ONNX Runtime has nothing of the kind, dlib's own serves. The log says what was passed over, and why.
    """
    if name == "dlib":
        return DlibEncoder()
    from castlist_vision.faces import onnx_encoder, onnx_session  # not loaded where dlib was asked for

    reference, chip = DlibEncoder(), check_chip()
    expected = reference.encode([chip])
    for provider in onnx_session.providers():
        try:
            encoder = onnx_encoder.OnnxEncoder(cache_folder, provider)
            distance = float(np.linalg.norm(encoder.encode([chip]) - expected))
        except (OSError, RuntimeError, ValueError) as error:
            _log.warning("encoder_unusable", extra={"provider": provider, "reason": str(error)})
            continue
        if distance < AGREEMENT:
            _log.info("encoder_chosen", extra={"encoder": encoder.name, "from_dlib": distance})
            return encoder
        _log.warning("encoder_differs", extra={"provider": provider, "from_dlib": distance})
    _log.warning("encoder_slow", extra={"encoder": reference.name})
    return reference


def check_chip() -> Colour:
    """A picture that excites the whole network, the same at every start."""
    y, x = np.mgrid[0:CHIP, 0:CHIP].astype(np.float32)
    waves = [np.sin(x / (5 + 3 * c)) * np.cos(y / (7 + 2 * c)) * 90 + 127 for c in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def encode_faces(encoder: Encoder, chips: Sequence[Colour]) -> list[Vector]:
    """One encoding a chip, of one person's faces: averaged with those of their mirror images where they are so alike
    that they repeat each other's errors, as those of a still picture do."""
    encodings = encoder.encode(chips)
    if _variance(encodings) <= STILL:
        mirrored = encoder.encode([np.ascontiguousarray(chip[:, ::-1]) for chip in chips])
        encodings = np.mean([encodings, mirrored], axis=0, dtype=np.float32)
    return list(encodings)


def _variance(encodings: NDArray[np.float32]) -> float:
    """The mean squared distance from the mean."""
    return float(((encodings - encodings.mean(axis=0)) ** 2).sum(axis=1).mean())

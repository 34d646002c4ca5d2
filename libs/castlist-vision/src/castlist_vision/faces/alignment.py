"""Turn a face upright by its landmarks, as the encoder wants it."""

from functools import cache
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist_vision.faces.dlib_models import FIVE_LANDMARKS, path_of
from castlist_vision.frames.geometry import Colour, Gray

CHIP = 150
"""The encoder takes aligned RGB faces of 150 × 150 pixels."""


@cache
def _landmarks() -> Any:
    return dlib.shape_predictor(str(path_of(FIVE_LANDMARKS)))


def align(picture: Colour, face: Box) -> Colour:
    """The face at `face` in `picture`, turned upright by its five landmarks and scaled: 150 × 150 × RGB."""
    return np.asarray(dlib.get_face_chip(picture, _shape(picture, face), size=CHIP), np.uint8)


def eyes(picture: Gray, face: Box) -> NDArray[np.float64]:
    """The middles of both eyes of the face at `face`: (x, y) of the one at the left of the picture, then the other."""
    corners = np.array([(point.x, point.y) for point in _shape(picture, face).parts()], np.float64)
    # The corners of the eye at the right, of the one at the left, and the nose.
    return np.array([corners[2:4].mean(axis=0), corners[0:2].mean(axis=0)])


def _shape(picture: Colour | Gray, face: Box) -> Any:
    box = dlib.rectangle(face.left, face.top, face.left + face.width - 1, face.top + face.height - 1)
    return _landmarks()(picture, box)

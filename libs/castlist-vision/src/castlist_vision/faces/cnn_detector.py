"""dlib's cnn face detector, in bounded memory."""

import math
from functools import cache
from typing import Any

import cv2
import dlib
import numpy as np

from castlist_vision.faces.dlib_models import CNN_DETECTOR, path_of
from castlist_vision.frames.geometry import Gray

LARGEST = 1_000_000
"""Pixels that the network sees at once. It takes about a kilobyte a pixel: more than a child may have for 1080p."""
SHARED = 240
"""Pixels that two neighbouring pieces of a larger picture share: a smaller face is whole in one of them."""

Found = tuple[Any, float]
"""A dlib.rectangle and a score, about 1 for a sure face."""


def run_cnn(image: Gray) -> list[Found]:
    """All faces from about 80 pixels on; one may be found twice where pieces meet.

    A picture that is too large is looked at in pieces, and at half its size for faces larger than what pieces share.
    """
    if image.size <= LARGEST:
        return [(found.rect, float(found.confidence)) for found in _model()(image, 0)]
    height, width = image.shape
    half = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    found = [(_moved(box, 2, 0, 0), score) for box, score in run_cnn(half)]
    for top, bottom in pieces(height):
        for left, right in pieces(width):
            for box, score in run_cnn(np.ascontiguousarray(image[top:bottom, left:right])):
                across = (left == 0 or box.left() > 0) and (right == width or box.right() < right - left - 1)
                down = (top == 0 or box.top() > 0) and (bottom == height or box.bottom() < bottom - top - 1)
                if across and down:  # what a piece cuts through is whole in its neighbour, or at half the size
                    found.append((_moved(box, 1, left, top), score))
    return found


def pieces(length: int) -> list[tuple[int, int]]:
    """(start, end) of stretches that share SHARED pixels, as few and as even as LARGEST allows."""
    count = max(1, math.ceil((length - SHARED) / (math.isqrt(LARGEST) - SHARED)))
    step = math.ceil((length - SHARED) / count)
    return [(i * step, min(length, (i + 1) * step + SHARED)) for i in range(count)]


def _moved(box: Any, factor: int, left: int, top: int) -> Any:
    x, y, right, bottom = (edge * factor for edge in (box.left(), box.top(), box.right(), box.bottom()))
    return dlib.rectangle(x + left, y + top, right + left, bottom + top)


# It takes a good part of a second to load, and keeps nothing between two pictures.
@cache
def _model() -> Any:
    return dlib.cnn_face_detection_model_v1(str(path_of(CNN_DETECTOR)))

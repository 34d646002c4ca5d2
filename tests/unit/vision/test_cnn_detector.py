"""Pictures that are too large for the network are looked at in pieces."""

from types import SimpleNamespace
from typing import Any

import cv2
import dlib
import numpy as np
import pytest

from castlist_vision.faces import cnn_detector as cnn
from castlist_vision.faces.cnn_detector import LARGEST, SHARED, pieces, run_cnn


class SquareNetwork:
    """Takes white squares of 80 and more pixels for faces; refuses what the real one has no memory for."""

    def __call__(self, image: Any, _: int) -> list[Any]:
        assert image.size <= LARGEST
        _, _, stats, _ = cv2.connectedComponentsWithStats((image > 128).astype(np.uint8))
        boxes = [dlib.rectangle(*(int(v) for v in (x, y, x + w - 1, y + h - 1))) for x, y, w, h, _ in stats[1:]]
        return [SimpleNamespace(rect=box, confidence=1.0) for box in boxes if box.width() >= 80 and box.height() >= 80]


@pytest.mark.parametrize("length", [100, 240, 241, 1000, 1001, 1515, 2700, 5000])
def test_pieces_cover_a_length_and_share_enough(length: int) -> None:
    """No piece is longer than the network takes, no face of the shared width is cut by all of them."""
    found = pieces(length)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start <= LARGEST**0.5 for start, end in found)
    assert all(end - start >= SHARED for (start, _), (_, end) in zip(found[1:], found, strict=False))


@pytest.mark.parametrize(
    ("left", "top", "width"), [(0, 0, 100), (700, 520, 200), (2599, 1414, 100), (900, 400, 700), (1300, 700, 239)]
)
def test_a_face_in_a_large_picture_is_found_where_it_is(
    left: int, top: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a corner, across the border of two pieces, larger than what they share; and never in part."""
    monkeypatch.setattr(cnn, "_model", lambda: SquareNetwork())
    image = np.zeros((1515, 2700), np.uint8)
    image[top : top + width, left : left + width] = 255
    found = [box for box, _ in run_cnn(image)]
    assert found
    for box in found:
        assert abs(box.left() - left) <= 2
        assert abs(box.top() - top) <= 2
        assert abs(box.width() - width) <= 4

"""dlib's HOG as the judge of single faces."""

import pickle

import cv2
import numpy as np
import pytest

from castlist.contract.box import Box
from castlist_vision.faces import detector
from testkit import clips


@pytest.mark.parametrize("size", [100, 118, 129, 160])
def test_the_judge_sees_what_dlib_sees(size: int) -> None:
    """Of a picture around a face, however much larger than the window it is: box and score are the same."""
    picture = cv2.cvtColor(clips.frames("monday")[30], cv2.COLOR_RGB2GRAY)
    (face, _), *_ = detector._run_hog(np.asarray(picture, np.uint8))
    box = Box(face.left(), face.top(), face.width(), face.height()).scaled(1.4).clipped(picture.shape)
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    part = np.ascontiguousarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    assert detector._run_hog(part)
    assert detector._run_judge(part) == detector._run_hog(part)


def test_the_judge_stops_at_the_size_of_its_window() -> None:
    """A release of dlib that writes its detector in another way would do all of the work again, and nobody notice."""
    assert pickle.dumps(detector._judge()) != pickle.dumps(detector._hog())

"""Which faces of a track are encoded."""

import av
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist_vision.faces.best_faces import JUDGED, MOST, NOT_SEEN, BestFaces
from castlist_vision.faces.detector import Detection
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry, Gray

SIZE = 240
BOX = Box(80, 80, 80, 80)


class Judge:
    """Sees a face where its box is brighter than 100, a pixel further right, and is the surer the brighter it is."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, picture: Gray, face: Box) -> Detection | None:
        self.asked += 1
        brightness = int(picture[face.top + 5, face.left + 5])
        moved = Box(face.left + 1, face.top, face.width, face.height)
        return Detection(moved, (brightness - 100) / 50) if brightness > 100 else None


def offered(judge: Judge | None, *brightness: int) -> BestFaces:
    """One face each half-second; its detector is the surer the later it is."""
    best = BestFaces(judge)
    for number, level in enumerate(brightness):
        coded = av.VideoFrame.from_ndarray(np.full((SIZE, SIZE, 3), level, np.uint8), format="rgb24")
        time = number / 2
        frame = Frame(time, coded, Geometry(SIZE, SIZE, 0, 1.0))
        best.offer(frame, Sighting(time, BOX, 0.4 + 0.01 * number))
    return best


def test_without_a_judge_the_detector_decides() -> None:
    """The five it is surest of."""
    faces = offered(None, *[50] * 20).faces(20.0)
    assert [face.time for face in faces] == [7.5, 8.0, 8.5, 9.0, 9.5]


def test_a_judge_chooses_among_twelve_and_says_where_the_face_is() -> None:
    """Those it does not see are left, however sure the detector is."""
    judge = Judge()
    faces = offered(judge, *[200] * 8, *[150, 50, 50, 50, 180, 120, 50, 50, 50, 50, 50, 160]).faces(20.0)
    assert judge.asked == JUDGED
    assert [(face.time, round(face.score, 1)) for face in faces] == [(4.0, 1.0), (6.0, 1.6), (6.5, 0.4), (9.5, 1.2)]
    assert {face.detected for face in faces} == {Box(81, 80, 80, 80)}
    assert {face.in_picture.left for face in faces} == {41}


def test_a_judge_that_sees_none_leaves_it_to_the_detector() -> None:
    """They are encoded, so that they can join a person, and say that they were not seen."""
    faces = offered(Judge(), *[50] * 20).faces(20.0)
    assert len(faces) == MOST
    assert {(face.score, face.detected) for face in faces} == {(NOT_SEEN, BOX)}
    assert faces[-1].time == 9.5

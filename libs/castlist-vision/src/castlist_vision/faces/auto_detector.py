"""Find faces however they are turned, with CenterFace, and have dlib's HOG say which of them look into the camera.

CenterFace is many times as fast and misses hardly a face; of backs of heads and statues it is as sure as of faces, and
its score says nothing of how far a head is turned. HOG knows both, and is asked about few.
"""

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, smallest_face_in
from castlist_vision.faces.centerface import SIDES, CenterFace, FoundFace, ModelUnavailableError
from castlist_vision.faces.detector import Detection, FaceDetector, distinct, frontal
from castlist_vision.frames.geometry import Gray, part_of

# Widths of a face in the picture that the network sees: nearly every one is found, easily, or turned by any angle.
_FOUND = 16
_FOUND_EASILY = 32
_FOUND_SURELY = 48
_SURROUNDINGS = 2
"""How much of its surroundings a known face is looked for in, as a multiple of its size."""
_REACH = 0.6
"""How far from the middle of these it may be then, in its widths: what is further away is somebody else."""
_STILL_THERE = 0.3
"""Intersection over union from which on it is the one that was looked for."""
_SMALLEST_SHARE = 0.037
# dlib's square of the same face: this part of the height of CenterFace's box, its middle so much of it further down.
_SQUARE = 0.861
_LOWERED = 0.067


class AutoDetector:
    """CenterFace on luma, scaled so that the smallest face wanted becomes as large as it needs; boxes are squares as
    dlib's would be, scores from 0 to 1.

    The smallest face is `smallest_face` pixels wide, less in small frames, and 3.7 % of the frame's shorter side where
    that is more.
    """

    def __init__(self, centerface: CenterFace, smallest_face: int) -> None:
        self._centerface, self._smallest = centerface, smallest_face

    def smallest(self, gray: Gray) -> float:
        """The width of the smallest face looked for in this frame."""
        side = min(gray.shape)
        return float(max(smallest_face_in(side, self._smallest), _SMALLEST_SHARE * side))

    def within(self, gray: Gray, regions: Iterable[Box]) -> list[Detection]:
        """All faces inside rectangles of a frame, each once, best first."""
        return self._scan(gray, regions, _FOUND / self.smallest(gray))

    def smaller(self, gray: Gray) -> list[Detection]:
        """The faces that are too small for `within`, down to half of the smallest: at four times its cost."""
        found = self._scan(gray, [Box(0, 0, gray.shape[1], gray.shape[0])], 2 * _FOUND / self.smallest(gray))
        small = [one.box for one in found if one.box.width < self.smallest(gray)]
        return [seen for seen in (frontal(gray, face) for face in small) if seen is not None and seen.score > 0]

    def near(self, gray: Gray, faces: Iterable[Box]) -> list[Detection]:
        """The faces near known ones, each once, best first.

        Those that are not found are looked at more closely: heads that are turned take more pixels to be seen.
        """
        missing, found = list(faces), list[Detection]()
        for closeness in (_FOUND_EASILY, _FOUND_SURELY):
            there = self._near(gray, missing, closeness)
            found += there
            missing = [face for face in missing if all(face.overlap(one.box) < _STILL_THERE for one in there)]
        return distinct(found)

    def _near(self, gray: Gray, faces: Sequence[Box], closeness: int) -> list[Detection]:
        """`closeness`: how wide the network sees the faces, in pixels."""
        if not faces:
            return []
        regions, side = [face.scaled(_SURROUNDINGS) for face in faces], _SURROUNDINGS * closeness
        pictures = np.stack([_view(gray, region, side, side) for region in regions])
        return [
            _detection(one, region, region.width / side)
            for region, there in zip(regions, self._centerface.find(pictures), strict=True)
            for one in there
            if math.hypot(one.x - side / 2, one.y - side / 2) <= _REACH * closeness
        ]

    def judge(self, picture: Gray, face: Box) -> Detection | None:
        """A face as dlib's HOG sees it; None where it is none, or is turned away."""
        return frontal(picture, face)

    def _scan(self, gray: Gray, regions: Iterable[Box], scale: float) -> list[Detection]:
        found: list[Detection] = []
        for region in regions:
            width, height = (SIDES * math.ceil(side * scale / SIDES) for side in (region.width, region.height))
            if not width or not height:
                continue
            wider = Box(region.left, region.top, round(width / scale), round(height / scale))
            (there,) = self._centerface.find(_view(gray, wider, width, height)[None])
            found += [_detection(one, wider, 1 / scale) for one in there]
        return distinct(found)


def make_detector(settings: AnalysisSettings, centerface: CenterFace | None) -> FaceDetector | AutoDetector:
    """What the settings ask for; ModelUnavailableError where that is `auto`, and there is no CenterFace."""
    if settings.detector != "auto":
        return FaceDetector(settings)
    if centerface is None:
        raise ModelUnavailableError("the detector `auto` needs CenterFace")
    return AutoDetector(centerface, settings.smallest_face)


def _view(gray: Gray, region: Box, width: int, height: int) -> Gray:
    """A region, scaled; black where it reaches beyond the frame."""
    inside = region.clipped(gray.shape)
    picture = np.zeros((height, width), np.uint8)
    if not inside.area:
        return picture
    across, down = width / region.width, height / region.height
    left, top = round((inside.left - region.left) * across), round((inside.top - region.top) * down)
    right, bottom = round((inside.right - region.left) * across), round((inside.bottom - region.top) * down)
    if left < right and top < bottom:
        how = cv2.INTER_AREA if across < 1 else cv2.INTER_LINEAR
        part = part_of(gray, inside)
        picture[top:bottom, left:right] = cv2.resize(part, (right - left, bottom - top), interpolation=how)
    return picture


def _detection(found: FoundFace, region: Box, scale: float) -> Detection:
    """`scale`: pixels of the frame in one that the network saw."""
    side = _SQUARE * found.height * scale
    x, y = region.left + found.x * scale, region.top + (found.y + _LOWERED * found.height) * scale
    return Detection(Box(round(x - side / 2), round(y - side / 2), round(side), round(side)), found.score)

"""Find the faces of a frame: all of them, or those near places where faces are known."""

import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import dlib
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings
from castlist_vision.faces.cnn_detector import Found, run_cnn
from castlist_vision.frames.geometry import Gray, part_of

LOWEST_SCORE = -0.2
# dlib's window is 80 pixels: a face of that size after scaling is just found, one of 90 easily.
_FOUND = 80
_FOUND_EASILY = 90
# Of the shorter side of the frame: what people call a face in 4K costs no more to find than in 1080p.
_SMALLEST_SHARE = 0.053
NEIGHBOURHOOD = 1.35
"""How much of its surroundings a known face is looked for in, as a multiple of its size; most are still there."""
_FURTHER = 2.0
_JUDGED_AT = (84, 92)
"""Half a step of dlib's pyramid (6/5) apart: how a face falls between two steps is worth half of its score."""
_JUDGED_IN = 1.4
# How dlib writes the shape of its pyramid: a window of 80 × 80, up to 1000 levels, of 64 × 64 pixels at least.
_LEVELS = b"\x01\x50\x01\x50\x02\xe8\x03\x01\x40\x01\x40"
_LEVELS_OF_THE_WINDOW = b"\x01\x50\x01\x50\x02\xe8\x03\x01\x50\x01\x50"
_SAME = 0.3


@dataclass(frozen=True, slots=True)
class Detection:
    """A face. The box is in pixels of the upright frame and may reach beyond it."""

    box: Box
    score: float


class FaceDetector:
    """dlib's detectors on luma, scaled so that the smallest face wanted becomes as large as they need.

    The smallest face is `settings.smallest_face` pixels wide, and 5.3 % of the frame's shorter side where that is more.
    """

    judge = None

    def __init__(self, settings: AnalysisSettings) -> None:
        self._smallest = settings.smallest_face
        self._run = run_cnn if settings.detector == "cnn" else _run_hog

    def smallest(self, gray: Gray) -> float:
        """The width of the smallest face looked for in this frame."""
        return float(max(self._smallest, _SMALLEST_SHARE * min(gray.shape)))

    def within(self, gray: Gray, regions: Iterable[Box]) -> list[Detection]:
        """All faces inside rectangles of a frame, each once, best first."""
        scale = _FOUND / self.smallest(gray)
        found: list[Detection] = []
        for region in regions:
            found += self._scan(part_of(gray, region), scale, region.left, region.top)
        return distinct(found)

    def smaller(self, gray: Gray) -> list[Detection]:
        """The faces that are too small for `within`, down to half of the smallest: at four times its cost."""
        found = self._scan(gray, 2 * _FOUND / self.smallest(gray), 0, 0)
        return [one for one in found if one.score > 0 and one.box.width < self.smallest(gray)]

    def near(self, gray: Gray, faces: Iterable[Box]) -> list[Detection]:
        """The faces near known ones, each once, best first.

        A face that is not found close to where it was is looked for in a region twice its size.
        """
        found: list[Detection] = []
        for face in faces:
            for factor in (NEIGHBOURHOOD, _FURTHER):
                region = face.scaled(factor).clipped(gray.shape)
                here = self._scan(part_of(gray, region), _FOUND_EASILY / face.width, region.left, region.top)
                if any(face.overlap(detection.box) >= _SAME for detection in here):
                    break
            found += here
        return distinct(found)

    def _scan(self, gray: Gray, scale: float, left: int, top: int) -> list[Detection]:
        return _scaled_scan(self._run, gray, scale, left, top)


def _scaled_scan(run: Callable[[Gray], list[Found]], gray: Gray, scale: float, left: int, top: int) -> list[Detection]:
    if gray.size == 0:
        return []
    width, height = max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.ascontiguousarray(cv2.resize(gray, (width, height), interpolation=how), np.uint8)
    across, down = gray.shape[1] / width, gray.shape[0] / height
    found = []
    for box, score in run(scaled):
        x, y = left + box.left() * across, top + box.top() * down
        region = Box(round(x), round(y), round(box.width() * across), round(box.height() * down))
        found.append(Detection(region, float(score)))
    return distinct(found)


def frontal(picture: Gray, face: Box) -> Detection | None:
    """The face at `face` as dlib's HOG sees it, which knows faces from in front alone; None where it sees none."""
    region = face.scaled(_JUDGED_IN).clipped(picture.shape)
    part = part_of(picture, region)
    scans = [_scaled_scan(_run_judge, part, size / face.width, region.left, region.top) for size in _JUDGED_AT]
    there = [one for scan in scans for one in scan if one.box.overlap(face) >= _SAME]
    return max(there, key=lambda one: one.score, default=None)


# It takes a good part of a second to load, and keeps nothing between two pictures.
@cache
def _hog() -> Any:
    return dlib.get_frontal_face_detector()


@cache
def _judge() -> Any:
    """The same, which stops where its window is larger than the picture: dlib's goes on down to 64 pixels, and in the
    small pictures around single faces that is a fourth of its work."""
    state = pickle.dumps(_hog())
    return pickle.loads(state.replace(_LEVELS, _LEVELS_OF_THE_WINDOW)) if state.count(_LEVELS) == 1 else _hog()


def _run_hog(image: Gray) -> list[Found]:
    return _run(_hog(), image)


def _run_judge(image: Gray) -> list[Found]:
    return _run(_judge(), image)


def _run(hog: Any, image: Gray) -> list[Found]:
    boxes, scores, _ = hog.run(image, 0, LOWEST_SCORE)
    return list(zip(boxes, scores, strict=True))


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """The best of those that lie on one face, best first: overlapping regions find one face several times."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: (-d.score, d.box.left, d.box.top)):
        if all(detection.box.overlap(other.box) < _SAME for other in kept):
            kept.append(detection)
    return kept

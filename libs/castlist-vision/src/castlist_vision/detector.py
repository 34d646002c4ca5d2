"""Find the faces of a frame: all of them, or those near places where faces are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import cv2
import dlib
import numpy as np

from castlist_vision.cnn_detector import Found, run_cnn
from castlist_vision.geometry import Gray, Region, part_of

LOWEST_SCORE = -0.2
# dlib's window is 80 pixels: a face of that size after scaling is just found, one of 90 easily.
_FOUND = 80
_FOUND_EASILY = 90
# Of the shorter side of the frame: what people call a face in 4K costs no more to find than in 1080p.
_SMALLEST_SHARE = 0.053
NEIGHBOURHOOD = 1.35
"""How much of its surroundings a known face is looked for in, as a multiple of its size; most are still there."""
_FURTHER = 2.0
_SAME = 0.3


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """How faces are looked for. `smallest_face`: width in pixels, and 5.3 % of the shorter side where that is more."""

    detector: Literal["hog", "cnn"] = "hog"
    samples_per_second: float = 5.0
    smallest_face: int = 57


@dataclass(frozen=True, slots=True)
class Detection:
    """A face. The box is in pixels of the upright frame and may reach beyond it."""

    box: Region
    score: float


class FaceDetector:
    """dlib's detectors on luma, scaled so that the smallest face wanted becomes as large as they need."""

    def __init__(self, settings: DetectSettings) -> None:
        self._smallest = settings.smallest_face
        self._run = run_cnn if settings.detector == "cnn" else _run_hog

    def smallest(self, gray: Gray) -> float:
        """The width of the smallest face looked for in this frame."""
        return float(max(self._smallest, _SMALLEST_SHARE * min(gray.shape)))

    def within(self, gray: Gray, regions: Iterable[Region]) -> list[Detection]:
        """All faces inside rectangles of a frame, each once, best first."""
        scale = _FOUND / self.smallest(gray)
        found: list[Detection] = []
        for region in regions:
            found += self._scan(part_of(gray, region), scale, region.left, region.top)
        return distinct(found)

    def near(self, gray: Gray, faces: Iterable[Region]) -> list[Detection]:
        """The faces near known ones, each once, best first.

        A face that is not found close to where it was is looked for in a region twice its size.
        """
        found: list[Detection] = []
        for face in faces:
            for factor in (NEIGHBOURHOOD, _FURTHER):
                region = inflated(face, factor, gray.shape)
                here = self._scan(part_of(gray, region), _FOUND_EASILY / face.width, region.left, region.top)
                if any(overlap(face, detection.box) >= _SAME for detection in here):
                    break
            found += here
        return distinct(found)

    def _scan(self, gray: Gray, scale: float, left: int, top: int) -> list[Detection]:
        if gray.size == 0:
            return []
        width, height = max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = np.ascontiguousarray(cv2.resize(gray, (width, height), interpolation=how), np.uint8)
        across, down = gray.shape[1] / width, gray.shape[0] / height
        found = []
        for box, score in self._run(scaled):
            x, y = left + box.left() * across, top + box.top() * down
            region = Region(round(x), round(y), round(box.width() * across), round(box.height() * down))
            found.append(Detection(region, float(score)))
        return distinct(found)


# It takes a good part of a second to load, and keeps nothing between two pictures.
@cache
def _hog() -> Any:
    return dlib.get_frontal_face_detector()


def _run_hog(image: Gray) -> list[Found]:
    boxes, scores, _ = _hog().run(image, 0, LOWEST_SCORE)
    return list(zip(boxes, scores, strict=True))


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """The best of those that lie on one face, best first: overlapping regions find one face several times."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: (-d.score, d.box.left, d.box.top)):
        if all(overlap(detection.box, other.box) < _SAME for other in kept):
            kept.append(detection)
    return kept


def overlap(a: Region, b: Region) -> float:
    """Intersection over union."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (a.width * a.height + b.width * b.height - both)


def inflated(box: Region, factor: float, shape: tuple[int, ...] | None = None) -> Region:
    """The box grown around its middle; clipped to a frame of `shape` (height, width) where one is given."""
    grow_x, grow_y = round(box.width * (factor - 1) / 2), round(box.height * (factor - 1) / 2)
    left, top = box.left - grow_x, box.top - grow_y
    right, bottom = box.left + box.width + grow_x, box.top + box.height + grow_y
    if shape is not None:
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, shape[1]), min(bottom, shape[0])
    return Region(left, top, max(0, right - left), max(0, bottom - top))

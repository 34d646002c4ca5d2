"""Whether the face in a track is still the one it was: tracks glide from one person to another.

In a cross-fade, in a wipe, or where people pass each other, a box follows a box and the person has changed. So has
what is around the face; where that is as it was, a face that looks otherwise has only turned. Looking alike is cheap to
see, being alike is what the encoder says: it is asked only about faces that do not look alike.
"""

from collections import deque
from collections.abc import Iterable
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist.contract.vectors import Vector
from castlist_vision.faces.alignment import align, eyes
from castlist_vision.faces.encoder import Encoder
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Gray, part_of

EVERY = 0.5
"""Seconds between two looks at a track."""
TRANSITION = 1.0
"""Seconds that a glide from one face to another takes: what is older is compared, if there is any."""
_REMEMBERED = 4
_ALIKE = 0.75
"""Correlation of two boxes as they are: above it are 1 % of different people in one place, and nearly half of what is
one face a second later."""
_ALIKE_AROUND = 0.8
"""Correlation of what is beside and below the two boxes: above it is half of what is one person's, 1 % of other people
elsewhere, and a tenth of those who stand in the same place of the same room."""
_ALIKE_UPRIGHT = 0.7
"""Correlation after both were turned and scaled by their eyes: 5 % of different people, 90 % of one face."""
_SAME = 0.55
"""Euclidean distance of two single encodings. A wrong parting costs little: persons are clustered from tracks."""
_SIDE = 24
_EYES = (8.0, 11.0)
"""Of the upright picture: how far the eyes lie apart, and how far below its top."""
_SURROUNDINGS = 2.0
_HEAD = 1.3

Flat = NDArray[np.float32]


class TrackContinuity:
    """Looks at the sightings of one track, in the order of time."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._looks: deque[_Look] = deque(maxlen=_REMEMBERED)

    def is_due(self, time: float) -> bool:
        """Whether the last look is long enough ago."""
        return not self._looks or time - self._looks[-1].time >= EVERY

    def holds(self, frame: Frame, sighting: Sighting) -> bool:
        """Whether this still is the face that it was; if it is not, nothing is remembered of it."""
        look = _Look(frame, sighting, self._encoder)
        known = [one for one in self._looks if look.time - one.time >= TRANSITION] or list(self._looks)
        if known and not _same(look, known):
            return False
        self._looks.append(look)
        return True


class _Look:
    """A face at one moment; what is costly is made once, when it is needed."""

    def __init__(self, frame: Frame, sighting: Sighting, encoder: Encoder) -> None:
        self.time = sighting.time
        self._encoder = encoder
        area = sighting.box.scaled(_SURROUNDINGS).clipped((frame.height, frame.width))
        self._gray: Gray = part_of(frame.gray, area).copy()
        self._cutout = frame.cut(area)
        box = sighting.box
        self._face = Box(box.left - area.left, box.top - area.top, box.width, box.height)
        self.around, self.beside = _surroundings(frame.gray, box)

    @cached_property
    def flat(self) -> Flat:
        """The box, normalized."""
        inside = self._face.clipped(self._gray.shape)
        return _normalized(cv2.resize(part_of(self._gray, inside), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))

    @cached_property
    def upright(self) -> Flat:
        """The face with its eyes where they always are, normalized."""
        left, right = eyes(self._gray, self._face)
        across, down = right - left
        apart = max(1.0, float(np.hypot(across, down)))
        scale, turn = _EYES[0] / apart, -np.arctan2(down, across)
        cos, sin = scale * np.cos(turn), scale * np.sin(turn)
        x, y = (left + right) / 2
        matrix = np.array([[cos, -sin, _SIDE / 2 - cos * x + sin * y], [sin, cos, _EYES[1] - sin * x - cos * y]])
        # Averaged before it is made small: single pixels would decide otherwise.
        smooth = cv2.GaussianBlur(self._gray, (0, 0), max(0.1, 0.4 / scale))
        return _normalized(cv2.warpAffine(smooth, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR))

    @cached_property
    def encoding(self) -> Vector:
        """Without its mirror image: a rough answer will do."""
        encoding: Vector = self._encoder.encode([align(self._cutout.colour, self._face)])[0]
        return encoding


def _same(look: _Look, known: list[_Look]) -> bool:
    if _correlation(look.flat, (other.flat for other in known)) >= _ALIKE:
        return True
    if max(_around(look, other) for other in known) >= _ALIKE_AROUND:
        return True
    if _correlation(look.upright, (other.upright for other in known)) >= _ALIKE_UPRIGHT:
        return True
    return bool(np.linalg.norm(look.encoding - known[-1].encoding) <= _SAME)


def _surroundings(gray: Gray, face: Box) -> tuple[Flat, NDArray[np.bool_]]:
    """Head and shoulders, made small; and which pixels of that are not the face."""
    body = Box(face.left - face.width, face.top - face.height // 2, 3 * face.width, 3 * face.height)
    body = body.clipped(gray.shape)
    small = cv2.resize(part_of(gray, body), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    beside = np.ones((_SIDE, _SIDE), np.bool_)
    head = face.scaled(_HEAD)
    across, down = _SIDE / body.width, _SIDE / body.height
    left, top = max(0, int((head.left - body.left) * across)), max(0, int((head.top - body.top) * down))
    right, bottom = (head.left + head.width - body.left) * across, (head.top + head.height - body.top) * down
    beside[top : int(np.ceil(bottom)), left : int(np.ceil(right))] = False
    return small, beside


def _around(one: _Look, other: _Look) -> float:
    both = one.beside & other.beside
    return float(_normalized(one.around[both]) @ _normalized(other.around[both])) if both.any() else 0.0


def _normalized(patch: NDArray[np.generic]) -> Flat:
    values = np.asarray(patch, np.float32).ravel()
    values -= values.mean()
    values /= np.linalg.norm(values) + 1e-6
    return values


def _correlation(one: Flat, others: Iterable[Flat]) -> float:
    """With the most similar of the others."""
    return max(float(one @ other) for other in others)

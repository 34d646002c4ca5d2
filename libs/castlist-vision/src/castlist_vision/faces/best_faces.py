"""Keep the best faces of a track: few enough to encode, spread over time, each with the pixels it needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import FrameSize, Sighting
from castlist_vision.faces.detector import Detection
from castlist_vision.frames.frame import Cutout, Frame
from castlist_vision.frames.geometry import Colour, Gray

Judge = Callable[[Gray, Box], Detection | None]
"""Looks closer at a face: where exactly it is, and how surely it looks into the camera; None where it does not."""
NOT_SEEN = -1.0
"""The score of a face that a judge did not see, or was not asked about."""

MOST = 5
JUDGED = 12
"""Of a track that a judge looks at: so many of its faces are kept until then."""
FEWEST = 3
SECONDS_A_FACE = 2.0
"""A track gets three faces, and one more for each two seconds beyond four: faces close in time repeat each other."""
WINDOW = 0.5
"""Of each half-second only the best face counts."""
_SURROUNDINGS = 2.0
_LARGE = 150.0
_CLEAR = 2.0


@dataclass(frozen=True, slots=True)
class Face:
    """A face, cut from its frame with its surroundings.

    `detected` is what the detector said, `box` that clipped to the frame; `cutout` is of `area`.
    """

    time: float
    detected: Box
    box: Box
    score: float
    quality: float
    cutout: Cutout
    area: Box
    frame: FrameSize

    @property
    def picture(self) -> Colour:
        """What `area` shows; black where that reaches beyond the frame."""
        return self.cutout.colour

    @property
    def in_picture(self) -> Box:
        """Where `detected` lies in `picture`."""
        return Box(
            self.detected.left - self.area.left,
            self.detected.top - self.area.top,
            self.detected.width,
            self.detected.height,
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    window: int
    quality: float
    frame: Frame
    sighting: Sighting


class BestFaces:
    """The best faces of one track, at most five, each from another half-second.

    Only the best of a half-second is cut out, when that is over: until then its whole frame is kept. A `judge` scores
    up to twelve of these anew, and those that it does not see are taken only where it sees none.
    """

    def __init__(self, judge: Judge | None = None) -> None:
        self._judge = judge
        self._most = MOST if judge is None else JUDGED
        self._faces: list[Face] = []
        self._candidate: _Candidate | None = None

    def offer(self, frame: Frame, sighting: Sighting) -> None:
        """Consider a face for the half-second it lies in. Times must not fall."""
        offered = _Candidate(
            int(sighting.time // WINDOW), quality(sighting, frame.width, frame.height), frame, sighting
        )
        rival = self._candidate
        if rival is None or rival.window != offered.window:
            self._settle()
            self._candidate = offered
        elif offered.quality > rival.quality:
            self._candidate = offered

    def forget_since(self, time: float) -> None:
        """Of the faces that are cut out already, leave those before `time`, unless that would leave none."""
        self._settle()
        self._faces = [face for face in self._faces if face.time < time] or self._faces

    def faces(self, seconds: float) -> list[Face]:
        """Those that a track of so many seconds gets, in the order of time; at least one where any was offered."""
        self._settle()
        count = min(MOST, FEWEST + max(0, int((seconds - 4.0) / SECONDS_A_FACE)))
        faces = self._faces
        if self._judge is not None:
            seen = [judged(face, self._judge) for face in faces]
            faces = [face for face in seen if face.score > NOT_SEEN] or seen
        best = sorted(faces, key=lambda face: (-face.quality, face.time))[:count]
        return sorted(best, key=lambda face: face.time)

    def _settle(self) -> None:
        """Cut out the half-second's candidate if it is among the best so far."""
        candidate, self._candidate = self._candidate, None
        if candidate is None:
            return
        if len(self._faces) >= self._most:
            worst = min(self._faces, key=lambda face: (face.quality, -face.time))
            if candidate.quality <= worst.quality:
                return
            self._faces = [face for face in self._faces if face is not worst]
        self._faces.append(cut_face(candidate.frame, candidate.sighting))


def cut_face(frame: Frame, sighting: Sighting) -> Face:
    """The face of a sighting in its frame."""
    area = sighting.box.scaled(_SURROUNDINGS)
    return Face(
        sighting.time,
        sighting.box,
        sighting.box.clipped((frame.height, frame.width)),
        sighting.score,
        quality(sighting, frame.width, frame.height),
        frame.cut(area),
        area,
        FrameSize(frame.width, frame.height),
    )


def judged(face: Face, judge: Judge) -> Face:
    """As the judge sees it; where it does not, as it was, with a score that says so."""
    seen = judge(np.asarray(cv2.cvtColor(face.picture, cv2.COLOR_RGB2GRAY), np.uint8), face.in_picture)
    if seen is None:
        return replace(face, score=NOT_SEEN)
    shape = face.frame.height, face.frame.width
    box = replace(seen.box, left=face.area.left + seen.box.left, top=face.area.top + seen.box.top)
    sighting = Sighting(face.time, box, seen.score)
    return replace(
        face,
        detected=box,
        box=box.clipped(shape),
        score=seen.score,
        quality=quality(sighting, face.frame.width, face.frame.height),
    )


def quality(sighting: Sighting, width: int, height: int) -> float:
    """0 to 1: how sure the detector is, how large the face is, and how much of it is inside the frame."""
    inside = sighting.box.clipped((height, width))
    visible = inside.width * inside.height / max(1, sighting.box.width * sighting.box.height)
    clear = min(1.0, max(0.0, (sighting.score + 0.25) / (_CLEAR + 0.25)))
    large = min(1.0, sighting.box.width / _LARGE)
    return float(round(visible * (clear * large) ** 0.5, 4))

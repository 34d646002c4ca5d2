"""Find scene cuts: where one picture has nothing to do with the one before."""

import cv2
import numpy as np

from castlist_vision.frames.geometry import Gray

_DIFFERENCE = 8.0
_JUMP = 3.0
_SLIDE = 0.5
"""Seconds between two pictures from which on they are slides: movement says nothing about the next one."""


class CutFinder:
    """Compares each thumbnail with the previous one.

    A cut is a mean difference above 8 gray levels that is also three times the difference before it, so that fast
    movement and shaking cameras, which differ from frame to frame all the time, are none. Where pictures come half a
    second apart or more the difference alone decides.
    """

    def __init__(self) -> None:
        self._thumbnail: Gray | None = None
        self._time = 0.0
        self._difference = float("inf")

    def is_cut(self, thumbnail: Gray, time: float) -> bool:
        """Whether a cut lies between the previous thumbnail and this one. The first one is no cut."""
        previous, before, apart = self._thumbnail, self._difference, time - self._time
        self._thumbnail, self._time = thumbnail, time
        if previous is None or previous.shape != thumbnail.shape:
            return previous is not None
        self._difference = cv2.norm(previous, thumbnail, cv2.NORM_L1) / np.size(thumbnail)
        return self._difference > _DIFFERENCE and (apart >= _SLIDE or self._difference > _JUMP * before)

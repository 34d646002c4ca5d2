"""Where a picture has changed since it was last looked at: no face appears where nothing changes."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist_vision.frames.geometry import Gray

_CELLS_A_FACE = 6
"""Cells across the smallest face."""
_SOLID = 3
"""A face that appears changes at least a block of so many cells each way; edges of what sways are thinner."""
_MARGIN = 3
"""Cells around a change that are looked at, too: a face may be as bright as what was behind it in part."""
_CHANGED = 5
"""Gray levels, of a cell's mean: noise and compression stay below, also in the dark."""
_NEARLY_ALL = 0.7


class ChangedRegionFinder:
    """Remembers for each cell of the frame how it looked when it was last looked at."""

    def __init__(self) -> None:
        self._seen: NDArray[np.int16] | None = None

    def forget(self) -> None:
        """Everything is new: a cut, or the beginning."""
        self._seen = None

    def regions(self, gray: Gray, smallest: float, spared: Sequence[Box] = ()) -> list[Box]:
        """What to look at now for faces from `smallest` pixels on, as rectangles; the cells in them are looked at then.

        What changed inside `spared` alone needs no look. Where nearly everything changed it is the whole frame.
        """
        height, width = gray.shape
        whole = Box(0, 0, width, height)
        size = tuple(max(1, round(side * _CELLS_A_FACE / smallest)) for side in (width, height))
        across, down = width / size[0], height / size[1]
        now = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.int16)
        if self._seen is None or self._seen.shape != now.shape:
            self._seen = now
            return [whole]
        changed = (np.abs(now - self._seen) > _CHANGED).astype(np.uint8)
        for face in spared:
            changed[round(face.top / down) : round((face.top + face.height) / down)][
                :, round(face.left / across) : round((face.left + face.width) / across)
            ] = 0
        solid = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((_SOLID, _SOLID), np.uint8))
        reach = np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(solid, reach))
        found = [
            Box(round(x * across), round(y * down), round(w * across), round(h * down)).clipped(gray.shape)
            for x, y, w, h, _ in stats[1:count].tolist()
        ]
        if sum(region.width * region.height for region in found) > _NEARLY_ALL * width * height:
            found = [whole]
        for region in found:
            rows = slice(round(region.top / down), round((region.top + region.height) / down))
            columns = slice(round(region.left / across), round((region.left + region.width) / across))
            self._seen[rows, columns] = now[rows, columns]
        return found

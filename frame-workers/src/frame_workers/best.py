"""Keep the best faces of a track: few enough to encode, spread over time, each with the pixels it needs."""

from dataclasses import dataclass

from frame_workers.detect import inflated
from frame_workers.picture import Colour, Frame, Region
from frame_workers.track import Sighting

MOST = 5
WINDOW = 0.5
"""Of each half-second only the best face counts: its neighbours show the same."""
_SURROUNDINGS = 2.0
_LARGE = 150.0
_CLEAR = 2.0


@dataclass(frozen=True, slots=True)
class Face:
    """A face, cut from its frame with its surroundings.

    `detected` is what the detector said, `box` that clipped to the frame; `picture` shows `area`, and is black where
    that reaches beyond the frame.
    """

    time: float
    detected: Region
    box: Region
    score: float
    quality: float
    picture: Colour
    area: Region
    frame_width: int
    frame_height: int


class BestFaces:
    """The best faces of one track, at most five, each from another half-second."""

    def __init__(self) -> None:
        self._best: dict[int, Face] = {}

    def offer(self, frame: Frame, sighting: Sighting) -> None:
        """Keep this face if it is among the best so far."""
        worth = quality(sighting, frame.width, frame.height)
        window = int(sighting.time // WINDOW)
        rival = self._best.get(window)
        if rival is None and len(self._best) >= MOST:
            rival = min(self._best.values(), key=lambda face: (face.quality, -face.time))
        if rival is not None:
            if worth <= rival.quality:
                return
            del self._best[int(rival.time // WINDOW)]
        area = inflated(sighting.box, _SURROUNDINGS)
        self._best[window] = Face(
            sighting.time,
            sighting.box,
            inflated(sighting.box, 1.0, (frame.height, frame.width)),
            sighting.score,
            worth,
            frame.colour(area),
            area,
            frame.width,
            frame.height,
        )

    def faces(self) -> list[Face]:
        """In the order of time."""
        return [self._best[window] for window in sorted(self._best)]


def quality(sighting: Sighting, width: int, height: int) -> float:
    """0 to 1: how sure the detector is, how large the face is, and how much of it is inside the frame."""
    inside = inflated(sighting.box, 1.0, (height, width))
    visible = inside.width * inside.height / max(1, sighting.box.width * sighting.box.height)
    clear = min(1.0, max(0.0, (sighting.score + 0.25) / (_CLEAR + 0.25)))
    large = min(1.0, sighting.box.width / _LARGE)
    return float(round(visible * (clear * large) ** 0.5, 4))

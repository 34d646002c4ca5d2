"""Where things are in a picture: regions, and how a coded picture becomes an upright one."""

from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box

Gray = NDArray[np.uint8]
"""height × width"""
Colour = NDArray[np.uint8]
"""height × width × RGB"""
_WIDEST_PIXEL = 4.0
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def part_of(picture: NDArray[np.uint8], region: Box) -> NDArray[np.uint8]:
    """A view of the pixels of a region that lies inside the picture."""
    return picture[region.top : region.top + region.height, region.left : region.left + region.width]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a coded picture becomes an upright one: widened to square pixels, mirrored, then turned clockwise."""

    scaled_width: int
    scaled_height: int
    rotation: int
    sample_aspect: float
    mirrored: bool = False

    @classmethod
    def of(cls, frame: Any, stream: Any) -> Self:
        """The geometry of a decoded frame; its own sample aspect counts where the container has none."""
        aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
        if not 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL:  # nonsense, or an attack on our memory
            aspect = 1.0
        rotation, mirrored = _orientation(frame)
        return cls(max(1, round(frame.width * aspect)), frame.height, rotation, aspect, mirrored)

    @property
    def width(self) -> int:
        """Pixels of the upright frame."""
        return self.scaled_height if self.rotation in (90, 270) else self.scaled_width

    @property
    def height(self) -> int:
        """Pixels of the upright frame."""
        return self.scaled_width if self.rotation in (90, 270) else self.scaled_height

    def upright(self, image: NDArray[np.uint8], scaled: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Bring coded pixels (the whole picture, or a part that is `scaled` wide and high) upright."""
        width, height = scaled or (self.scaled_width, self.scaled_height)
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        if self.mirrored:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if self.rotation:
            image = np.asarray(cv2.rotate(image, _TURNS[self.rotation]), np.uint8)
        return image

    def scaled_region(self, region: Box) -> Box:
        """Where a region of the upright frame lies before it is mirrored and turned."""
        turned = self._before_the_turn(region)
        if not self.mirrored:
            return turned
        return Box(self.scaled_width - turned.left - turned.width, turned.top, turned.width, turned.height)

    def _before_the_turn(self, region: Box) -> Box:
        if self.rotation == 90:
            return Box(region.top, self.scaled_height - region.left - region.width, region.height, region.width)
        if self.rotation == 180:
            left = self.scaled_width - region.left - region.width
            return Box(left, self.scaled_height - region.top - region.height, region.width, region.height)
        if self.rotation == 270:
            return Box(self.scaled_width - region.top - region.height, region.left, region.height, region.width)
        return region


def _orientation(frame: Any) -> tuple[int, bool]:
    """How many degrees clockwise a picture is turned once it was mirrored, left for right, if it is."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    # Points (x, y) of the coded picture, y downwards, go to (a x + c y, b x + d y).
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if a and b:  # not a quarter turn: shown as it is
        return 0, mirrored
    rotation = (0 if a >= 0 else 180) if a else (90 if b > 0 else 270)
    return (rotation if a or b else 0), mirrored

"""Rectangles of a frame, and how they lie to each other. The one box of events, records, detection and identity."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from castlist.contract.bounds import MOST_PIXELS

Pixels = Annotated[int, Field(ge=0, le=MOST_PIXELS)]


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A rectangle of an upright frame, in pixels.

    In events, records and answers it is clipped to its frame; what a detector says may reach beyond it.
    """

    left: Pixels
    top: Pixels
    width: Pixels
    height: Pixels

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

    @property
    def area(self) -> int:
        """In pixels."""
        return self.width * self.height

    def shared(self, other: "Box") -> int:
        """How many pixels two boxes have in common."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        shared = self.shared(other)
        return shared / (self.area + other.area - shared) if shared else 0.0

    def scaled(self, factor: float) -> "Box":
        """Grown (or shrunk) around its middle."""
        grow_x, grow_y = round(self.width * (factor - 1) / 2), round(self.height * (factor - 1) / 2)
        return Box(self.left - grow_x, self.top - grow_y, self.width + 2 * grow_x, self.height + 2 * grow_y)

    def clipped(self, shape: tuple[int, ...]) -> "Box":
        """The part of it inside a picture of `shape` (height, width); without area where nothing is."""
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.right, shape[1]), min(self.bottom, shape[0])
        return Box(left, top, max(0, right - left), max(0, bottom - top))

"""A decoded picture as a viewer sees it: upright, in square pixels, one field of it where it is interlaced."""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist_vision.frames.geometry import Colour, Geometry, Gray, part_of

THUMBNAIL = (48, 36)


class Cutout:
    """A region of a frame, kept without the rest of it. What it looks like in colour is worked out when asked for."""

    def __init__(self, make: Callable[[], Colour]) -> None:
        self._make = make

    @cached_property
    def colour(self) -> Colour:
        """The upright RGB pixels of the region; black where it reaches beyond the frame."""
        return self._make()


class Frame:
    """One picture, when it is shown and for how long (0 if that is not known), in seconds.

    `parted`: pictures are missing between the one before and this one. Pixels are made when asked for, and only those
    asked for.
    """

    def __init__(
        self, time: float, coded: Any, geometry: Geometry, duration: float = 0.0, parted: bool = False
    ) -> None:
        self.time = time
        self.duration = duration
        self.parted = parted
        self.geometry = geometry
        self._interlaced = bool(coded.interlaced_frame)
        self._coded = _first_field(coded) if self._interlaced else coded

    @property
    def width(self) -> int:
        return self.geometry.width

    @property
    def height(self) -> int:
        return self.geometry.height

    @cached_property
    def gray(self) -> Gray:
        """The upright picture's luma."""
        return self.geometry.upright(_eight_bits(self._luma, self._coded.format))

    @cached_property
    def thumbnail(self) -> Gray:
        """36 × 48 luma of the coded picture, for comparing neighbours; not upright."""
        luma = self._luma
        step = max(1, min(luma.shape[0] // (2 * THUMBNAIL[1]), luma.shape[1] // (2 * THUMBNAIL[0])))
        small = _eight_bits(np.ascontiguousarray(luma[::step, ::step]), self._coded.format)
        return np.asarray(cv2.resize(small, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)

    def cut(self, region: Box) -> Cutout:
        """A region of the upright picture; it may reach beyond the frame."""
        left, top = max(region.left, 0), max(region.top, 0)
        right, bottom = min(region.left + region.width, self.width), min(region.top + region.height, self.height)
        if left >= right or top >= bottom:
            return Cutout(lambda: np.zeros((region.height, region.width, 3), np.uint8))
        inside = self._inside(Box(left, top, right - left, bottom - top))

        def coloured() -> Colour:
            canvas = np.zeros((region.height, region.width, 3), np.uint8)
            canvas[top - region.top : bottom - region.top, left - region.left : right - region.left] = inside()
            return canvas

        return Cutout(coloured)

    def _inside(self, region: Box) -> Callable[[], Colour]:
        if self._interlaced or self._coded.format.name not in _REGIONAL:
            part = part_of(self._whole, region).copy()
            return lambda: part
        geometry = self.geometry
        scaled = geometry.scaled_region(region)
        left = math.floor(scaled.left / geometry.sample_aspect)
        right = min(math.ceil((scaled.left + scaled.width) / geometry.sample_aspect), self._coded.width)
        rgb = _regional_colour(self._coded, Box(left, scaled.top, max(1, right - left), scaled.height))
        return lambda: geometry.upright(rgb(), (scaled.width, scaled.height))

    @cached_property
    def _whole(self) -> Colour:
        return self.geometry.upright(np.asarray(self._coded.to_ndarray(format="rgb24"), np.uint8))

    @cached_property
    def _luma(self) -> NDArray[Any]:
        luma = _plane(self._coded, 0) if _has_luma_plane(self._coded.format) else None
        return luma if luma is not None else self._coded.reformat(format="gray").to_ndarray()


_REGIONAL = {"yuv420p", "yuvj420p", "nv12"}


def _has_luma_plane(form: Any) -> bool:
    first, *rest = form.components
    return bool(first.is_luma and first.bits >= 8 and not form.is_big_endian and all(c.plane for c in rest))


def _plane(coded: Any, index: int) -> NDArray[Any]:
    """A view of one plane, without the padding at the ends of its lines."""
    plane = coded.planes[index]
    kind: Any = np.uint8 if coded.format.components[0].bits == 8 else np.uint16
    return _lines(plane, kind)[:, : plane.width]


def _lines(plane: Any, kind: Any = np.uint8) -> NDArray[Any]:
    """A view of one plane with the padding of its lines."""
    return np.frombuffer(plane, kind).reshape(plane.height, -1)


def _eight_bits(luma: NDArray[Any], form: Any) -> Gray:
    if luma.dtype == np.uint8:
        return luma
    # p010 and its family keep their bits at the top of the word, the others at the bottom.
    bits = 16 if form.name.startswith(("p0", "p2", "p4")) else form.components[0].bits
    return (luma >> (bits - 8)).astype(np.uint8)


def _first_field(coded: Any) -> Any:
    """Every second line of an interlaced frame, as a progressive frame of half the height.

    The two fields are two moments: woven together, whatever moves is a comb, and converting colours of such a frame as
    a whole comes out black or wrong.
    """
    half = av.VideoFrame(coded.width, coded.height // 2, coded.format.name)
    half.colorspace, half.color_range = coded.colorspace, coded.color_range
    for source, target in zip(coded.planes, half.planes, strict=True):
        lines = np.frombuffer(source, np.uint8).reshape(source.height, -1)[::2]
        into = np.frombuffer(target, np.uint8).reshape(target.height, -1)
        height, width = min(len(lines), len(into)), min(lines.shape[1], into.shape[1])
        into[:height, :width] = lines[:height, :width]
    return half


def _regional_colour(coded: Any, part: Box) -> Callable[[], Colour]:
    """Makes RGB of a part of a 4:2:0 frame, widened to whole chroma pixels; the frame itself is not kept."""
    left, top = part.left & ~1, part.top & ~1
    right, bottom = part.left + part.width + 1 & ~1, part.top + part.height + 1 & ~1
    planes, name = [_plane(coded, index) for index in range(len(coded.planes))], coded.format.name
    if len(planes) == 2:  # a card's: taken apart, they are converted as those of software are
        both = _lines(coded.planes[1])
        planes, name = [planes[0], both[:, 0::2], both[:, 1::2]], "yuv420p"
    small = av.VideoFrame(right - left, bottom - top, name)
    small.colorspace, small.color_range = coded.colorspace, coded.color_range
    for index, plane in enumerate(planes):
        shift = 1 if index else 0
        source = plane[top >> shift : bottom >> shift, left >> shift : right >> shift]
        _plane(small, index)[: source.shape[0], : source.shape[1]] = source
    y, x = part.top - top, part.left - left
    return lambda: np.asarray(small.to_ndarray(format="rgb24"), np.uint8)[y : y + part.height, x : x + part.width]

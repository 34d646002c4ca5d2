"""Where one scene ends."""

import numpy as np
from numpy.typing import NDArray

from castlist_vision.frames.scene_cuts import CutFinder

RANDOM = np.random.default_rng(3)


def scene(level: int) -> NDArray[np.uint8]:
    return np.clip(RANDOM.normal(level, 30, (36, 48)), 0, 255).astype(np.uint8)


def shifted(picture: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    return np.roll(picture, by, axis=1)


def cuts(*pictures: NDArray[np.uint8], rate: float = 10.0) -> list[bool]:
    """For each picture whether a cut lies before it."""
    finder = CutFinder()
    return [finder.is_cut(picture, number / rate) for number, picture in enumerate(pictures)]


def test_another_scene_is_a_cut() -> None:
    """Once, at its first picture."""
    one, other = scene(90), scene(140)
    assert cuts(one, one, one, other, other) == [False, False, False, True, False]


def test_light_noise_is_no_cut() -> None:
    """Nor is a lamp that is a little brighter."""
    one = scene(90)
    assert not any(cuts(*(one + np.uint8(step) for step in (0, 2, 4, 7, 3))))


def test_movement_that_goes_on_is_no_cut() -> None:
    """A shaking camera differs from frame to frame as much as a cut does, but it did so before."""
    one = scene(90)
    assert not any(cuts(*(shifted(one, by) for by in range(0, 30, 3)))[2:])


def test_slides_are_scenes_of_their_own() -> None:
    """Where pictures come seconds apart each differs from the one before as much as that did."""
    slides = [scene(level) for level in (60, 150, 90, 200)]
    assert cuts(*slides, slides[-1], rate=1.0) == [False, True, True, True, False]

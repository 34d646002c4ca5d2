"""Whether a face still is the one it was."""

from collections.abc import Sequence

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist_vision.faces.track_continuity import EVERY, TrackContinuity
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry

WIDTH, HEIGHT = 640, 360
FACE = Box(280, 90, 90, 90)


class Everyone:
    """Whose picture differs is somebody else."""

    name = "everyone"

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.asked += len(chips)
        return np.array([np.random.default_rng(int(chip.sum())).normal(size=128) for chip in chips], np.float32)


class OnePerson(Everyone):
    """It is always the same one."""

    def encode(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.asked += len(chips)
        return np.zeros((len(chips), 128), np.float32)


def texture(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(20, 235, (6, 8), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame(time: float, face: int, around: int) -> Frame:
    """A scene drawn by one chance, with a face drawn by another."""
    gray = texture(around, WIDTH, HEIGHT)
    gray[FACE.top : FACE.top + FACE.height, FACE.left : FACE.left + FACE.width] = texture(face, FACE.width, FACE.height)
    coded = av.VideoFrame.from_ndarray(np.repeat(gray[:, :, None], 3, axis=2), format="rgb24")
    return Frame(time, coded, Geometry(WIDTH, HEIGHT, 0, 1.0))


def seen(likeness: TrackContinuity, *looks: tuple[int, int]) -> list[bool]:
    """Looks at (face, surroundings), half a second apart."""
    times = [EVERY * number for number in range(len(looks))]
    return [
        likeness.holds(frame(time, *look), Sighting(time, FACE, 1.0)) for time, look in zip(times, looks, strict=True)
    ]


@pytest.mark.parametrize(
    "looks",
    [((1, 1), (1, 1), (1, 1)), ((1, 1), (2, 1), (3, 1)), ((1, 1), (1, 2), (1, 3))],
    ids=["nothing changes", "the head turns", "the camera follows"],
)
def test_it_holds_where_the_face_or_what_is_around_it_stays(looks: tuple[tuple[int, int], ...]) -> None:
    """And the encoder is not asked: that would cost as much as finding the face."""
    encoder = Everyone()
    assert all(seen(TrackContinuity(encoder), *looks))
    assert encoder.asked == 0


def test_it_ends_where_both_change_and_the_encoder_says_so() -> None:
    """What is remembered then still is the one before."""
    likeness = TrackContinuity(Everyone())
    assert seen(likeness, (1, 1), (1, 1), (2, 2)) == [True, True, False]
    assert likeness.holds(frame(2.0, 1, 1), Sighting(2.0, FACE, 1.0))


def test_it_holds_where_both_change_and_the_encoder_says_that_it_is_the_same() -> None:
    """Somebody turns before a moving camera."""
    encoder = OnePerson()
    assert all(seen(TrackContinuity(encoder), (1, 1), (2, 2), (3, 3)))
    assert encoder.asked == 3


def test_a_slow_glide_is_seen_although_each_step_is_small() -> None:
    """What is compared is a second old, not the last look."""
    likeness = TrackContinuity(Everyone())
    one, other = frame(0.0, 1, 1).gray, frame(0.0, 2, 2).gray
    held = []
    for number, share in enumerate(np.linspace(0, 1, 5)):
        mixed = (one * (1 - share) + other * share).astype(np.uint8)
        coded = av.VideoFrame.from_ndarray(np.repeat(mixed[:, :, None], 3, axis=2), format="rgb24")
        time = EVERY * number
        held.append(likeness.holds(Frame(time, coded, Geometry(WIDTH, HEIGHT, 0, 1.0)), Sighting(time, FACE, 1.0)))
    assert held[0]
    assert not all(held)


def test_looks_are_half_a_second_apart() -> None:
    """In between nothing is due."""
    likeness = TrackContinuity(Everyone())
    assert likeness.is_due(0.0)
    likeness.holds(frame(0.0, 1, 1), Sighting(0.0, FACE, 1.0))
    assert not likeness.is_due(EVERY - 0.1)
    assert likeness.is_due(EVERY)

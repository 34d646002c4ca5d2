"""Faces that nobody is made of."""

import itertools
import random

from castlist.contract.bounds import MOST_LEFT_OUT
from castlist.contract.box import Box
from castlist.contract.left_out import LeftOutFaces, put_together
from castlist.contract.values import LeftOutFace


def face(time: float, reason: str = "too_small") -> LeftOutFace:
    return LeftOutFace(time, Box(1, 2, 30, 30), reason)


def test_all_are_counted_and_some_are_kept_evenly() -> None:
    """Of each reason: one that comes often leaves the others their place."""
    faces = LeftOutFaces(100)
    for number in range(12_345):
        faces.add(face(number / 5))
    faces.add(face(7.0, "low_score"))
    assert faces.counts == {"too_small": 12_345, "low_score": 1}
    kept = [one.time for one in faces.kept() if one.reason == "too_small"]
    assert 50 <= len(kept) <= 100
    assert {round(later - earlier, 3) for earlier, later in itertools.pairwise(kept)} == {25.6}
    assert face(7.0, "low_score") in faces.kept()


def test_few_are_kept_all() -> None:
    """In the order of time."""
    faces = LeftOutFaces(100)
    for reason in ("b", "a"):
        for number in range(100):
            faces.add(face(number / 5, reason))
    assert faces.kept() == tuple(sorted(face(number / 5, reason) for number in range(100) for reason in "ab"))
    assert LeftOutFaces(100).kept() == ()


def test_however_many_reasons_there_are_they_fit() -> None:
    """Into one document, or one event."""
    faces = LeftOutFaces(100)
    for number in range(6_400):
        faces.add(face(number // 64, f"reason_{number % 64}"))
    assert len(faces.kept()) <= MOST_LEFT_OUT


def test_what_is_put_together_does_not_depend_on_the_order() -> None:
    """Chunks come in any."""
    faces = [face(number / 5) for number in range(1_000)]
    expected = put_together(faces, 200)
    random.Random(1).shuffle(faces)
    assert put_together(faces, 200) == expected
    assert len(expected) <= 200

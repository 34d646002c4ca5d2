"""Where there is something new to look at."""

import numpy as np

from castlist.contract.box import Box
from castlist_vision.frames.changed_regions import ChangedRegionFinder
from castlist_vision.frames.geometry import Gray

SMALLEST = 60.0
RANDOM = np.random.default_rng(2)


def lobby() -> Gray:
    """A still scene through a noisy sensor."""
    return np.clip(RANDOM.normal(90, 6, (480, 640)), 0, 255).astype(np.uint8)


def with_face(left: int, top: int, width: int = 60, brightness: int = 110) -> Gray:
    picture = lobby()
    picture[top : top + width, left : left + width] += np.uint8(brightness - 90)
    return picture


def covers(regions: list[Box], left: int, top: int, width: int = 60) -> bool:
    return any(
        r.left <= left and r.top <= top and r.left + r.width >= left + width and r.top + r.height >= top + width
        for r in regions
    )


def test_the_first_look_is_at_everything() -> None:
    """And so is the one after a cut, or of another size."""
    finder = ChangedRegionFinder()
    whole = [Box(0, 0, 640, 480)]
    assert finder.regions(lobby(), SMALLEST) == whole
    finder.forget()
    assert finder.regions(lobby(), SMALLEST) == whole
    assert finder.regions(lobby()[:240], SMALLEST) == [Box(0, 0, 640, 240)]


def test_a_still_scene_needs_no_look() -> None:
    """Noise is no change."""
    finder = ChangedRegionFinder()
    finder.regions(lobby(), SMALLEST)
    assert finder.regions(lobby(), SMALLEST) == []


def test_a_newcomer_is_looked_at_once_and_whole() -> None:
    """The smallest face, anywhere, with some room around it; then it is known."""
    for left, top in ((0, 0), (317, 203), (580, 420)):
        finder = ChangedRegionFinder()
        finder.regions(lobby(), SMALLEST)
        regions = finder.regions(with_face(left, top), SMALLEST)
        assert covers(regions, left, top)
        assert sum(r.width * r.height for r in regions) < 640 * 480 / 8
        assert finder.regions(with_face(left, top), SMALLEST) == []


def test_a_change_in_a_spared_place_waits_for_the_next_look() -> None:
    """It is still a change when that place is no longer spared."""
    finder = ChangedRegionFinder()
    finder.regions(lobby(), SMALLEST)
    assert finder.regions(with_face(300, 200), SMALLEST, [Box(280, 180, 100, 100)]) == []
    assert covers(finder.regions(with_face(300, 200), SMALLEST), 300, 200)


def test_a_slow_change_adds_up() -> None:
    """A face that fades in differs little from one look to the next, but more and more from the first."""
    finder = ChangedRegionFinder()
    finder.regions(lobby(), SMALLEST)
    seen = [
        covers(finder.regions(with_face(300, 200, brightness=90 + 2 * step), SMALLEST), 300, 200) for step in range(8)
    ]
    assert any(seen)


def test_where_nearly_everything_changes_the_look_is_at_everything() -> None:
    """One scan of the whole instead of several that overlap."""
    finder = ChangedRegionFinder()
    finder.regions(lobby(), SMALLEST)
    assert finder.regions(lobby() + np.uint8(40), SMALLEST) == [Box(0, 0, 640, 480)]

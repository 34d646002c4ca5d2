"""Linking detections into tracks."""

from castlist.contract.box import Box
from castlist_vision.faces.detector import Detection, distinct
from castlist_vision.faces.tracker import Tracker


def face(left: int, top: int = 100, width: int = 80, score: float = 1.0) -> Detection:
    return Detection(Box(left, top, width, width), score)


def test_a_moving_face_stays_one_track() -> None:
    """As long as its boxes overlap from sample to sample."""
    tracker = Tracker()
    for step in range(10):
        tracker.update(step / 5, [face(100 + 30 * step)])
    (track,) = tracker.end_all()
    assert [seen.box.left for seen in track.sightings] == [100 + 30 * step for step in range(10)]


def test_a_face_elsewhere_begins_another_track() -> None:
    """Two people are two tracks, even when they are seen at different moments."""
    tracker = Tracker()
    tracker.update(0.0, [face(100)])
    tracker.update(0.2, [face(300)])
    assert len(tracker.end_all()) == 2


def test_people_who_pass_each_other_are_linked_to_the_closest() -> None:
    """Each detection continues one track at most, and the nearer one."""
    tracker = Tracker()
    tracker.update(0.0, [face(100), face(150)])
    tracker.update(0.2, [face(145), face(104)])
    first, second = tracker.end_all()
    assert [seen.box.left for seen in first.sightings] == [100, 104]
    assert [seen.box.left for seen in second.sightings] == [150, 145]


def test_a_lost_face_is_looked_for_for_two_seconds() -> None:
    """A hand before it does not end its track; an absence does."""
    tracker = Tracker()
    tracker.update(0.0, [face(100)])
    assert tracker.end_lost(1.9) == []
    assert tracker.regions() == [Box(100, 100, 80, 80)]
    tracker.update(1.9, [face(110)])
    assert tracker.end_lost(3.8) == []
    assert [len(track.sightings) for track in tracker.end_lost(4.0)] == [2]
    assert tracker.regions() == []


def test_a_face_found_twice_is_one_detection() -> None:
    """Regions overlap, and each finds it; the surer box stays. Neighbours stay apart."""
    assert distinct([face(100, score=0.2), face(110, score=1.5), face(300)]) == [face(110, score=1.5), face(300)]


def test_overlap_is_intersection_over_union() -> None:
    """From nothing to all."""
    assert Box(0, 0, 10, 10).overlap(Box(10, 0, 10, 10)) == 0
    assert Box(0, 0, 10, 10).overlap(Box(5, 0, 10, 10)) == 50 / 150
    assert Box(3, 4, 10, 10).overlap(Box(3, 4, 10, 10)) == 1


def test_a_grown_box_is_clipped_to_its_frame() -> None:
    """And is empty where it lies outside."""
    assert Box(10, 10, 20, 20).scaled(2.0) == Box(0, 0, 40, 40)
    assert Box(-10, 90, 40, 40).clipped((100, 100)) == Box(0, 90, 30, 10)
    assert Box(200, 10, 40, 40).clipped((100, 100)).width == 0

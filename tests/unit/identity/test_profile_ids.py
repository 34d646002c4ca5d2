"""Ids, inheritance, appearances and the automatic distance, each by itself."""

import numpy as np
import pytest

from castlist.contract.box import Box
from castlist.contract.values import Crop, FrameSize, Segment
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distances
from castlist_identity.domain import GalleryPerson, SightedAt, VideoPerson
from castlist_identity.galleries.profile_ids import ProfileRank, keep_ids, lineage
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.videos.appearance import appearance_of

BOX = Box(0, 0, 80, 80)


def standing(named: bool = False, size: int = 1, created: int = 1, founder: str | None = None) -> ProfileRank:
    return ProfileRank(named, size, created, founder)


def new_id(key: str) -> str:
    return f"new-{key}"


def test_most_votes_win_over_name_size_and_age() -> None:
    """Two persons of Q against one of P, who is named, larger and older."""
    predecessor_of = {"a": "P", "b": "Q", "c": "Q"}
    profiles = {"P": standing(named=True, size=9, created=1), "Q": standing(size=2, created=5)}
    assert keep_ids([("a", "b", "c")], predecessor_of, profiles, new_id) == ["Q"]


def test_ties_named_then_larger_then_older() -> None:
    """One vote each: every rule decides where those before it do not."""
    cluster, predecessor_of = [("a", "b")], {"a": "P", "b": "Q"}
    named = {"P": standing(size=9), "Q": standing(named=True, created=7)}
    larger = {"P": standing(), "Q": standing(size=3, created=7)}
    older = {"P": standing(created=7), "Q": standing(created=2)}
    for profiles in (named, larger, older):
        assert keep_ids(cluster, predecessor_of, profiles, new_id) == ["Q"]


def test_two_clusters_that_want_one_profile() -> None:
    """The one with more of its persons has it; with as many each, the one that holds its founder."""
    predecessor_of = dict.fromkeys("abcd", "P")
    assert keep_ids([("a",), ("b", "c")], predecessor_of, {"P": standing(size=3)}, new_id) == ["new-a", "P"]
    assert keep_ids([("a", "b"), ("c", "d")], predecessor_of, {"P": standing(founder="d")}, new_id) == ["new-a", "P"]


def test_a_cluster_whose_first_choice_is_taken_has_its_second() -> None:
    """Better an id that somebody knows than a new one."""
    predecessor_of = {"a": "P", "b": "P", "c": "P", "d": "P", "e": "P", "f": "Q"}
    profiles = {"P": standing(size=5), "Q": standing()}
    assert keep_ids([("a", "b", "c"), ("d", "e", "f")], predecessor_of, profiles, new_id) == ["P", "Q"]


def line(*times: float, box: Box = BOX) -> tuple[SightedAt, ...]:
    return tuple(SightedAt(time, box) for time in times)


def test_succession_needs_the_same_moment_and_the_same_place() -> None:
    """Up to 0.2 s and an overlap of a quarter; sampling moments of two epochs need not meet."""
    old = {"o": line(1.0)}
    assert lineage(old, {"n": line(1.19)}).successor_of == {"o": "n"}
    assert lineage(old, {"n": line(0.81)}).predecessor_of == {"n": "o"}
    assert lineage(old, {"n": line(1.3)}).predecessor_of == {}
    assert lineage(old, {"n": line(1.0, box=Box(40, 0, 80, 80))}).predecessor_of == {"n": "o"}
    assert lineage(old, {"n": line(1.0, box=Box(60, 0, 80, 80))}).predecessor_of == {}


def test_succession_goes_by_the_number_of_common_moments() -> None:
    """Two that replace one both stand for it; the heir is the one who shares more."""
    found = lineage({"o": line(1, 2, 3, 4, 5)}, {"m": line(1, 2), "n": line(3, 4, 5)})
    assert found.predecessor_of == {"m": "o", "n": "o"}
    assert found.successor_of == {"o": "n"}


def person(n: int, segments: list[tuple[float, float]], faces: int, quality: float | None) -> VideoPerson:
    parts = tuple(Segment(*segment) for segment in segments)
    crop = None if quality is None else Crop(f"crop-{n}", parts[0].start, BOX, FrameSize(640, 480), quality)
    seconds = sum(part.end - part.start for part in parts)
    mean = np.zeros(128, dtype=np.float32)
    return VideoPerson(n, mean, 0.0, faces, parts, seconds, parts[0].start, parts[-1].end, crop, (), ())


def test_an_appearance_is_one_whatever_the_video_called_them() -> None:
    """Segments that overlap or nearly touch are joined, seconds are theirs, the best crop stands for all."""
    made = appearance_of([person(1, [(6, 8), (20, 21)], 7, 0.9), person(0, [(0, 5), (30, 31)], 5, 0.3)])
    assert made.segments == (Segment(0, 8), Segment(20, 21), Segment(30, 31))
    assert (made.seconds, made.faces, made.first_seen, made.last_seen) == (10, 12, 0, 31)
    assert made.crop is not None
    assert made.crop.key == "crop-1"


def test_an_appearance_without_crops_has_none_and_one_without_persons_is_an_error() -> None:
    """A caller that has nobody deletes the appearance instead."""
    assert appearance_of([person(0, [(0, 1)], 2, None)]).crop is None
    with pytest.raises(ValueError):
        appearance_of([])


def test_the_automatic_distance_falls_in_steps() -> None:
    """A function of the number alone that never rises, from the plateau of small galleries down to 0.38."""
    assert auto_distance(0) == 0.46
    found = [auto_distance(persons) for persons in range(0, 200_000, 500)]
    assert found == sorted(found, reverse=True)
    assert auto_distance(7_000) == 0.40
    assert auto_distance(6_999) == 0.42
    assert found[-1] == 0.39
    assert auto_distance(200_000) == 0.38


def at(key: str, *coordinates: float, apart: tuple[str, ...] = (), name: str | None = None) -> GalleryPerson:
    mean = np.zeros(128, dtype=np.float32)
    mean[: len(coordinates)] = coordinates
    return GalleryPerson(key, key, mean, 0.0, frozenset(apart), name)


def test_a_summary_is_as_far_as_its_persons_are_on_average() -> None:
    """What makes one search over profiles exact."""
    random = np.random.default_rng(1)
    persons = [
        GalleryPerson(str(i), "v", random.normal(0, 0.05, 128).astype(np.float32), float(random.uniform(0, 0.04)))
        for i in range(9)
    ]
    one, other = persons[:4], persons[4:]
    mean = float(np.mean([person_distances(member, other) for member in one]))
    assert person_distances(summary("one", one), [summary("other", other)])[0] == pytest.approx(mean, abs=1e-6)

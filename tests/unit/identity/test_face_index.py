"""The index of a gallery's profiles: exact, whatever came and went before."""

from collections import defaultdict
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.contract.ids import video_of_person
from castlist.contract.vectors import Vector
from castlist_identity.nearest.isolation import FULL
from castlist_identity.search.face_index import FaceIndex, Person

SIZE = 128


def person(seed: int) -> Person:
    """Somebody, always the same."""
    chance = np.random.default_rng(seed)
    return Person((0.12 * chance.normal(size=SIZE)).astype(np.float32), float(chance.uniform(0.01, 0.04)))


def key(seed: int) -> str:
    """Their key; some are in one video."""
    return f"video-{seed // 3}:1:{seed % 3}"


def filled(profile_of: dict[int, str]) -> FaceIndex:
    """An index of these, made at once."""
    index = FaceIndex()
    index.change({key(seed): profile for seed, profile in profile_of.items()}, {key(s): person(s) for s in profile_of})
    return index


def face(seed: int) -> Vector:
    """A picture of somebody."""
    noise = np.random.default_rng(seed + 10_000).normal(size=SIZE)
    return (person(seed).mean + 0.01 * noise).astype(np.float32)


steps = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(st.none(), st.sampled_from([f"profile-{i}" for i in range(12)]))),
    max_size=80,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 9))
def test_an_index_is_what_its_persons_are(changes: list[tuple[int, str | None]], together: int) -> None:
    """Whoever came, moved and went before, in whatever portions: nobody is found where they are no longer."""
    index, there = FaceIndex(), dict[int, str]()
    for start in range(0, len(changes), together):
        portion = dict(changes[start : start + together])
        index.change({key(s): p for s, p in portion.items()}, {key(s): person(s) for s in portion})
        there = {s: p for s, p in (there | portion).items() if p is not None}
        index.nearest(face(0), 3)  # what is remembered for the next question must not outlive a change
    fresh = filled(there)
    assert (index.persons, index.profiles) == (len(there), len(set(there.values())))
    for seed in range(41):
        assert index.profile_of(key(seed)) == there.get(seed)
        assert (key(seed) in index) == (seed in there)
    for seed in (0, 7, 23):
        ours, theirs = index.nearest(face(seed), 5), fresh.nearest(face(seed), 5)
        assert [one.profile for one in ours] == [one.profile for one in theirs]
        assert [one.distance for one in ours] == pytest.approx([one.distance for one in theirs], abs=1e-5)
        assert [one.likeness for one in ours] == pytest.approx([one.likeness for one in theirs], abs=1e-3)
    for profile in set(there.values()):
        ours, theirs = index.similar(profile, 5), fresh.similar(profile, 5)
        assert [one.distance for one in ours] == pytest.approx([one.distance for one in theirs], abs=1e-4)
        videos = defaultdict(list)
        for seed in sorted(s for s, p in there.items() if p == profile):
            videos[video_of_person(key(seed))].append(key(seed))
        assert {video: sorted(index.appearance(profile, video)) for video in videos} == videos


def test_the_nearest_are_those_whose_means_are_nearest() -> None:
    """Exactly, by the distance of the encoding from the mean of a profile's persons; no farther than is asked."""
    chance = np.random.default_rng(3)
    profile_of = {seed: f"profile-{int(chance.integers(300)):03}" for seed in range(900)}
    index, asked = filled(profile_of), face(5)
    members = defaultdict(list)
    for seed, profile in profile_of.items():
        members[profile].append(person(seed).mean.astype(np.float64))
    expected = sorted((float(np.linalg.norm(np.mean(rows, axis=0) - asked)), name) for name, rows in members.items())
    found = index.nearest(asked, 25)
    assert [one.profile for one in found] == [name for _, name in expected[:25]]
    assert [one.distance for one in found] == pytest.approx([distance for distance, _ in expected[:25]], abs=1e-5)
    limit = expected[7][0] + 1e-4
    assert len(index.nearest(asked, 25, limit)) == sum(distance <= limit for distance, _ in expected)


def test_similar_profiles_are_measured_as_suggestions_are() -> None:
    """By D: the mean over all pairs of persons, of the squares of their distances and both variances."""
    index = filled({0: "a", 1: "a", 2: "b", 3: "c", 4: "c", 5: "c"})

    def d(one: list[int], other: list[int]) -> float:
        pairs = [(person(i), person(j)) for i in one for j in other]
        squares = [float(((a.mean - b.mean) ** 2).sum()) + a.variance + b.variance for a, b in pairs]
        return sqrt(np.mean(squares))

    found = {one.profile: one.distance for one in index.similar("a", 5)}
    assert found == pytest.approx({"b": d([0, 1], [2]), "c": d([0, 1], [3, 4, 5])}, abs=1e-4)
    assert index.similar("nobody", 5) == []


@pytest.mark.parametrize("others", [2, 20, FULL + 40])
def test_a_likeness_says_how_much_nearer_than_usual_somebody_is(others: int) -> None:
    """The person themselves is likely; the nearest of strangers is not, in a gallery of any size."""
    index = filled({seed: f"profile-{seed}" for seed in range(others)})
    known, *strangers = index.nearest(face(1), 5)
    assert known.profile == "profile-1"
    assert known.likeness > 0.95
    assert all(one.likeness < 0.05 for one in strangers)
    nobody = index.nearest(face(5000), 3)
    assert all(one.likeness < 0.05 for one in nobody)


def test_an_empty_index_finds_nobody() -> None:
    """A gallery without people, and one whose people have all gone."""
    index = FaceIndex()
    assert index.nearest(face(1), 5) == []
    index.change({key(1): "a"}, {key(1): person(1)})
    index.change({key(1): None}, {})
    assert index.nearest(face(1), 5) == []
    assert (index.persons, index.profiles) == (0, 0)


def test_who_has_no_encoding_is_passed_over() -> None:
    """Somebody of whom there is nothing to compare: a person that is said to be there and is not known."""
    index = FaceIndex()
    index.change({"gone:1:0": "a", key(1): "b"}, {key(1): person(1)})
    assert [one.profile for one in index.nearest(face(1), 5)] == ["b"]
    assert (index.persons, index.profiles) == (1, 1)


@pytest.mark.slow
def test_a_hundred_thousand_persons_fit_into_a_quarter_of_a_gigabyte() -> None:
    """By its own account, which is what bounds how many galleries are held."""
    index = FaceIndex()
    means = (0.12 * np.random.default_rng(1).normal(size=(100_000, SIZE))).astype(np.float32)
    for start in range(0, len(means), 1_000):
        keys = {f"3f1c9a52-7c9b-4c48-9d5e-{i:012}:1:0": i for i in range(start, start + 1_000)}
        profiles = {one: f"7c9b3f1c-4c48-9a52-9d5e-{i:012}" for one, i in keys.items()}
        index.change(profiles, {one: Person(means[i], 0.03) for one, i in keys.items()})
    assert index.profiles == 100_000
    assert 100e6 < index.size < 250e6

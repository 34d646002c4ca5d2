"""The partition of a gallery, rule by rule, and that it depends on nothing but the set."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.contract.vectors import Vector
from castlist_identity.clustering.average_link import NEVER, average_link, united
from castlist_identity.clustering.person_distances import person_distance_matrix, person_distances
from castlist_identity.clustering.person_rows import PersonRows
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.matching.partition import first_stage, partition

T = 0.48


def at(*coordinates: float) -> Vector:
    encoding = np.zeros(128, dtype=np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def member(
    key: str, *coordinates: float, variance: float = 0.0, apart: str = "", name: str | None = None
) -> GalleryPerson:
    return GalleryPerson(key, f"video-{key}", at(*coordinates), variance, frozenset(apart), name)


def clusters(members: list[GalleryPerson], links: PairConstraints | None = None, distance: float = T) -> list[str]:
    return ["".join(keys) for keys in first_stage(members, distance, links)]


def people(members: list[GalleryPerson], links: PairConstraints) -> list[str]:
    """Whom decisions put together counted as one."""
    return ["".join(keys) for keys in partition(members, T, links, stages=1)]


def test_persons_join_up_to_the_distance() -> None:
    """0.48 joins, 0.481 does not."""
    assert clusters([member("a", 0.0), member("b", 0.4799)]) == ["ab"]
    assert clusters([member("a", 0.0), member("b", 0.481)]) == ["a", "b"]


def test_variances_count() -> None:
    """Means at 0.45 join where both are sharp; with two variances of 0.02 they are at √0.2425, and do not."""
    assert clusters([member("a", 0.0), member("b", 0.45)]) == ["ab"]
    assert clusters([member("a", 0.0, variance=0.02), member("b", 0.45, variance=0.02)]) == ["a", "b"]


def test_an_impostor_between_two_people_does_not_join_them() -> None:
    """Single link would make one of all three; average link leaves the two people two."""
    assert clusters([member("a", 0.0), member("b", 0.4), member("c", 0.85)]) == ["ab", "c"]


def test_a_loose_person_whose_extremes_are_far_apart_is_one() -> None:
    """Complete link would split somebody who drifts over years: the ends lie 0.6 apart."""
    members = [member(key, 0.1 * i) for i, key in enumerate("abcdefg")]
    assert clusters(members) == ["abcdefg"]


def test_seen_together_stay_apart() -> None:
    """Twins in one frame, said by either of the two; a third person joins only one of them."""
    assert clusters([member("a", 0.0, apart="b"), member("b", 0.01)]) == ["a", "b"]
    assert clusters([member("a", 0.0), member("b", 0.01, apart="a")]) == ["a", "b"]
    assert clusters([member("a", 0.0, apart="b"), member("b", 0.1), member("c", 0.04)]) == ["ac", "b"]


def test_persons_of_one_video_not_seen_together_may_join() -> None:
    """What the video alone left apart the gallery may put together."""
    one, other = replace(member("a", 0.0), video="v"), replace(member("b", 0.41), video="v")
    assert clusters([one, other]) == ["ab"]


def test_two_names_never_join_and_one_name_does() -> None:
    """Persons without a name go to the nearer of two that have one."""
    ann, bob = member("a", 0.0, name="Ann"), member("b", 0.1, name="Bob")
    assert clusters([ann, bob]) == ["a", "b"]
    assert clusters([ann, bob, member("c", 0.08)]) == ["a", "bc"]
    assert clusters([ann, replace(bob, name="Ann")]) == ["ab"]


def test_what_people_put_together_stays_together() -> None:
    """A must-link joins whoever it names, however far, and although seen together or named differently."""
    far = [member("a", 0.0, name="Ann"), member("b", 3.0, name="Bob"), member("c", 9.0)]
    assert people(far, PairConstraints(must_link=frozenset({("a", "b")}))) == ["ab", "c"]
    twins = [member("a", 0.0, apart="b"), member("b", 0.0)]
    assert people(twins, PairConstraints(must_link=frozenset({("b", "a")}))) == ["ab"]


def test_what_people_took_apart_stays_apart() -> None:
    """A cannot-link outranks the distance and a chain of must-links."""
    near = [member("a", 0.0), member("b", 0.0), member("c", 0.0)]
    assert people(near, PairConstraints(cannot_link=frozenset({("b", "a")}))) == ["ac", "b"]
    chain = PairConstraints(must_link=frozenset({("a", "c"), ("b", "c")}), cannot_link=frozenset({("a", "b")}))
    assert people(near, chain) == ["ac", "b"]


def test_a_group_made_by_hand_is_seen_together_with_whom_its_members_were() -> None:
    """Constraints hold for clusters, not only for the persons they were found on."""
    members = [member("a", 0.0), member("b", 1.0, apart="c"), member("c", 0.0)]
    assert people(members, PairConstraints(must_link=frozenset({("a", "b")}))) == ["ab", "c"]


def test_whom_people_put_together_draws_whoever_is_like_one_of_them() -> None:
    """Two views of somebody, far apart: each goes on being joined by what is near it, and by nothing in between."""
    both = PairConstraints(must_link=frozenset({("a", "z")}))
    members = [member("a", 0.0), member("b", 0.3), member("m", 1.0), member("y", 1.8), member("z", 2.0)]
    assert people(members, both) == ["abyz", "m"]


def test_who_joined_one_of_a_group_is_kept_from_all_whom_the_others_were_seen_with() -> None:
    """c and d were beside each other: with a and z one, only one of them can be that person."""
    both = PairConstraints(must_link=frozenset({("a", "z")}))
    members = [member("a", 0.0), member("c", 0.1), member("d", 2.2, apart="c"), member("z", 2.0)]
    assert people(members, both) == ["acz", "d"]


def test_links_about_strangers_are_ignored() -> None:
    """A decision about somebody who is not there, or about one person twice, changes nothing."""
    links = PairConstraints(
        must_link=frozenset({("a", "x"), ("a", "a")}), cannot_link=frozenset({("b", "b"), ("x", "y")})
    )
    assert people([member("a", 0.0), member("b", 0.1)], links) == ["ab"]


def test_nobody_is_nobody() -> None:
    """An empty gallery has no clusters."""
    assert partition([], T) == []


POINTS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from([0.0, 0.01, 0.04])), min_size=0, max_size=24
)


def crowd(points: list[tuple[int, int, float]]) -> list[GalleryPerson]:
    """People on a coarse grid: ties everywhere, and duplicates."""
    return [member(f"{i:03}", 0.12 * x, 0.2 * y, variance=v) for i, (x, y, v) in enumerate(points)]


@settings(deadline=None)
@given(POINTS, st.randoms(use_true_random=False))
def test_the_partition_is_a_function_of_the_set(points: list[tuple[int, int, float]], random: object) -> None:
    """The same whatever order the persons are given in."""
    members = crowd(points)
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert partition(members, T) == partition(shuffled, T)


@settings(deadline=None)
@given(POINTS, st.sets(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=12))
def test_what_is_joined_was_near_and_allowed_and_what_is_left_was_not(
    points: list[tuple[int, int, float]], apart: set[tuple[int, int]]
) -> None:
    """Ties everywhere: no forbidden pair within a cluster, and no two clusters that should still have joined."""
    members = crowd(points)
    distances = np.array([person_distances(one, members) for one in members]).reshape(len(members), len(members))
    for i, j in apart:
        if i != j and max(i, j) < len(members):
            distances[i, j] = distances[j, i] = NEVER
    found = average_link(distances, T * T)
    assert all(np.isfinite(distances[np.ix_(cluster, cluster)]).all() for cluster in found)
    for one, other in combinations(found, 2):
        assert float(np.mean(distances[np.ix_(one, other)])) > T * T - 1e-9


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_average_link_without_ties_equals_its_definition(seed: int, count: int) -> None:
    """Random distances have no ties: here every single join must be the defined one."""
    random = np.random.default_rng(seed)
    half = np.triu(random.uniform(0, 0.5, (count, count)), 1)
    half[random.uniform(size=half.shape) < 0.1] = NEVER
    distances = half + np.where(np.isinf(half.T), NEVER, half.T)
    np.fill_diagonal(distances, 0.0)
    distances = np.maximum(distances, distances.T)
    expected = [[i] for i in range(count)]
    while len(expected) > 1:
        distance, one, other = min(
            (float(np.mean(distances[np.ix_(one, other)])), one, other) for one, other in combinations(expected, 2)
        )
        if distance > 0.2:
            break
        expected = [c for c in expected if c not in (one, other)] + [one + other]
    assert average_link(distances, 0.2) == sorted(sorted(cluster) for cluster in expected)


def test_what_is_together_is_joined_by_distance_all_the_same() -> None:
    """3 is near 1 and joins it, though 0 and 1 are one and 0 is far; whom 0 may not join, 1 does not either."""
    distances = np.full((4, 4), 0.9)
    distances[1, 3] = distances[3, 1] = 0.1
    assert average_link(distances, 0.35, [(0, 1)]) == [[0], [1, 3], [2]]
    assert united([[0], [1, 3], [2]], [(0, 1)]) == [[0, 1, 3], [2]]
    distances[0, 3] = distances[3, 0] = NEVER
    assert average_link(distances, 0.35, [(0, 1)]) == [[0], [1], [2], [3]]


@settings(deadline=None)
@given(POINTS)
def test_ties_are_decided_by_position_at_every_join(points: list[tuple[int, int, float]]) -> None:
    """Against the same sums with all pairs looked at before every join."""
    members = crowd(points)
    count = len(members)
    now = np.array([person_distances(one, members) for one in members]).reshape(count, count)
    np.fill_diagonal(now, NEVER)
    found = average_link(now, T * T)
    parts = [[i] for i in range(count)]
    while count and now.min() <= T * T:
        i, j = divmod(int(now.argmin()), count)
        row = (len(parts[i]) * now[i] + len(parts[j]) * now[j]) / (len(parts[i]) + len(parts[j]))
        parts[i], parts[j] = parts[i] + parts[j], []
        now[i] = now[:, i] = row
        now[j] = now[:, j] = NEVER
    assert found == [sorted(part) for part in parts if part]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(0.05, 0.6))
def test_the_index_finds_exactly_who_is_within(seed: int, count: int, distance: float) -> None:
    """Against measuring everybody, also after a part was removed."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 0.05, (max(1, count // 5), 128))
    people = [
        GalleryPerson(
            f"{i:03}", "v", (centres[i % len(centres)] + random.normal(0, 0.02, 128)).astype(np.float32), i % 5 / 100
        )
        for i in range(count)
    ]
    index = PersonRows()
    index.add(people)
    gone = {person.key for person in people if random.uniform() < 0.5}
    index.remove(gone)
    left = [person for person in people if person.key not in gone]
    limit = distance * distance
    expected = [[left[j].key for j in np.nonzero(person_distances(one, left) <= limit)[0]] for one in people]
    assert index.within(people, limit) == expected
    assert [index.within([person], limit)[0] for person in people] == expected, "one by one it is another search"
    assert len(index) == len(left)


def test_rows_that_are_empty_are_used_again() -> None:
    """Whoever has left is not found, and whoever comes takes no more room."""
    people = [member(f"{i:04}", 0.001 * i) for i in range(1000)]
    index = PersonRows()
    index.add(people)
    for start in range(0, 900, 100):
        index.remove(person.key for person in people[start : start + 100])
        assert index.within([people[950]], 0.0) == [["0950"]]
        assert index.within([people[start]], 0.0) == [[]]
    assert len(index) == 100
    index.add([replace(person, key=f"again-{person.key}") for person in people[:900]])
    assert len(index.keys) == len(people)
    assert index.within([people[7], people[950]], 0.0) == [["again-0007"], ["0950"]]


def test_the_index_refuses_a_person_twice() -> None:
    """And is unchanged by the attempt."""
    index = PersonRows()
    index.add([member("a", 0.0)])
    with pytest.raises(ValueError):
        index.add([member("b", 0.0), member("a", 0.0)])
    assert index.within([member("q", 0.0)], 1.0) == [["a"]]


def test_distances_do_not_depend_on_who_else_is_measured() -> None:
    """Bit for bit: else a component on its own could decide a tie otherwise than the whole gallery."""
    random = np.random.default_rng(7)
    people = [
        GalleryPerson(str(i), "v", random.normal(0, 0.1, 128).astype(np.float32), float(random.uniform(0, 0.04)))
        for i in range(70)
    ]
    for size in (1, 2, 3, 17, 70):
        for i in range(size):
            assert person_distances(people[0], people[:size])[i] == person_distances(people[i], [people[0]])[0]
            assert np.array_equal(person_distance_matrix(people[:size])[i], person_distances(people[i], people[:size]))

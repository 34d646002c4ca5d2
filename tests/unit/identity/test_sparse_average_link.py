"""Large components are clustered without a matrix, and no differently."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist_identity.clustering import sparse_average_link
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.matching import partition as partitioning
from castlist_identity.matching.partition import partition


def crowd(seed: int, persons: int) -> list[GalleryPerson]:
    """People near enough to each other that chains of them form, some seen together, some named."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(0, 0.03, (max(1, persons // 4), 128))
    members = []
    for i in range(persons):
        mean = centres[i % len(centres)] + chance.normal(0, 0.02, 128)
        apart = frozenset({f"v{i ^ 1:03}:1:0"}) if chance.uniform() < 0.2 and i ^ 1 < persons else frozenset()
        name = str(chance.choice(["Ann", "Bea"])) if chance.uniform() < 0.1 else None
        variance = float(chance.uniform(0, 0.04))
        members.append(GalleryPerson(f"v{i:03}:1:0", f"v{i:03}", mean.astype(np.float32), variance, apart, name))
    return members


def both_ways(
    members: list[GalleryPerson], distance: float, links: PairConstraints | None
) -> list[list[tuple[str, ...]]]:
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for dense in (10_000, 0):
            patch.setattr(partitioning, "DENSE", dense)
            found.append(partition(members, distance, links))
        return found


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(0.3, 0.6), st.booleans())
def test_the_partition_does_not_depend_on_how_it_is_worked_out(
    seed: int, persons: int, distance: float, decided: bool
) -> None:
    """With and without pairs that must or cannot be one, names, and people seen together."""
    members, chance = crowd(seed, persons), np.random.default_rng(seed)

    def pairs() -> frozenset[tuple[str, str]]:
        keys = [members[i].key for i in chance.integers(persons, size=4)]
        return frozenset({(min(keys[:2]), max(keys[:2])), (min(keys[2:]), max(keys[2:]))})

    dense, sparse = both_ways(members, distance, PairConstraints(pairs(), pairs()) if decided else None)
    assert dense == sparse


def test_too_many_neighbours_take_a_matrix_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a distance at which everybody is everybody's neighbour memory stays bounded, and the answer the same."""
    members = crowd(1, 40)
    expected = partition(members, 0.9)
    monkeypatch.setattr(partitioning, "DENSE", 10)
    monkeypatch.setattr(sparse_average_link, "EDGES", 500)
    assert partition(members, 0.9) == expected
    monkeypatch.setattr(partitioning, "LARGEST_MATRIX", 30)
    with pytest.raises(sparse_average_link.TooDenseError):
        partition(members, 0.9)


def test_somebody_in_between_joins_the_nearer_also_without_a_matrix() -> None:
    """The mean over pairs decides, not the nearest pair: a chain does not pull its ends together."""
    members = []
    for i, at in enumerate((0.0, 0.3, 0.62, 0.95)):
        mean = np.zeros(128, dtype=np.float32)
        mean[0] = at
        members.append(GalleryPerson(f"v{i}:1:0", f"v{i}", mean, 0.0))
    dense, sparse = both_ways(members, 0.48, None)
    assert dense == sparse == [("v0:1:0", "v1:1:0"), ("v2:1:0", "v3:1:0")]

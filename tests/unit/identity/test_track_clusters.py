"""Tracks of a long video, joined in steps: the same people as all at once, in bounded memory."""

import random
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist.contract.vectors import Vector
from castlist_identity.domain import Track
from castlist_identity.videos import track_clusters
from castlist_identity.videos.told_apart import ToldApart
from castlist_identity.videos.track_clusters import cluster_tracks

DISTANCE = 0.38


def encodings(people: int, tracks: int, seed: int = 0) -> tuple[list[Vector], list[int]]:
    """Of so many tracks: their means, and who they are. People lie some .6 from each other, tracks of one some .2."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(0, 0.6 / np.sqrt(2 * 128), (people, 128))
    who = [i % people for i in range(tracks)]
    return [(centres[p] + chance.normal(0, 0.2 / np.sqrt(2 * 128), 128)).astype(np.float32) for p in who], who


def on_screen(who: Sequence[int], people: int) -> list[Track]:
    """Everybody beside each other in every chunk."""
    return [
        Track(i // people, i % people, (Sighting(15.0 * (i // people), Box(100 * p, 0, 80, 80), 1.0),), ())
        for i, p in enumerate(who)
    ]


def found(means: Sequence[Vector], tracks: Sequence[Track]) -> set[frozenset[int]]:
    apart = ToldApart(tracks, means, DISTANCE)
    return {frozenset(cluster) for cluster in cluster_tracks(range(len(means)), means, apart, DISTANCE)}


def truth(who: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(i for i, p in enumerate(who) if p == person) for person in set(who)}


@pytest.mark.parametrize("people", [3, 25])
def test_steps_find_whom_all_at_once_finds(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the stretches are that are joined first."""
    means, who = encodings(people, 400)
    tracks = on_screen(who, people)
    assert found(means, tracks) == truth(who)
    for at_once in (60, 150, 399):
        monkeypatch.setattr(track_clusters, "AT_ONCE", at_once)
        assert found(means, tracks) == truth(who)


def test_who_is_told_apart_stays_apart_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a chain of tracks leads from one to the other."""
    monkeypatch.setattr(track_clusters, "AT_ONCE", 10)
    line = [np.eye(1, 128, dtype=np.float32)[0] * 0.4 * (i / 39) for i in range(40)]
    tracks = [
        Track(0 if i in (0, 39) else i, i, (Sighting(float(i % 39), Box(100 * i, 0, 80, 80), 1.0),), ())
        for i in range(40)
    ]
    order = sorted(range(40), key=lambda i: (tracks[i].chunk, i))
    tracks, line = [tracks[i] for i in order], [line[i] for i in order]
    (one,) = [cluster for cluster in found(line, tracks) if 0 in cluster]
    assert 1 not in one


def test_more_people_than_fit_are_found_by_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd in which each is seen twice, far from each other in the video."""
    monkeypatch.setattr(track_clusters, "AT_ONCE", 50)
    people = 200
    means, who = encodings(people, 2 * people)
    tracks = [Track(i, 0, (Sighting(15.0 * i, Box(0, 0, 80, 80), 1.0),), ()) for i in range(len(who))]
    assert found(means, tracks) == truth(who)


@pytest.mark.slow
def test_a_conference_hour_takes_little_memory() -> None:
    """25 people side by side for an hour, 6,000 tracks: a matrix of all distances alone would be 288 MB."""
    means, who = encodings(25, 6_000)
    tracks = on_screen(who, 25)
    tracemalloc.start()
    try:
        assert found(means, tracks) == truth(who)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20


def test_the_order_of_what_comes_in_one_chunk_does_not_matter() -> None:
    """Positions follow the tracks; who is joined does not depend on them but for ties."""
    means, who = encodings(8, 160)
    order = list(range(160))
    random.Random(1).shuffle(order)
    shuffled = {
        frozenset(order[i] for i in cluster) for cluster in found([means[i] for i in order], on_screen(who, 160))
    }
    assert shuffled == truth(who)

"""Founding tracks to persons: average link, for a long video in steps.

A matrix of distances between all tracks of an hour with 25 people on screen would take gigabytes. So many are joined
stretch by stretch first, then the persons of the stretches: by mean D², which for groups is exactly what their means,
sizes and spreads say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from castlist.contract.vectors import Vector
from castlist_identity.clustering.average_link import NEVER, average_link, pairwise
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.clustering.sparse_average_link import TooDenseError, sparse_link
from castlist_identity.domain import GalleryPerson
from castlist_identity.videos.told_apart import Positions, ToldApart

AT_ONCE = 1000
"""Tracks clustered by a matrix of all their distances: some 40 MB, and half a second."""


def cluster_tracks(
    founders: Sequence[int], means: Sequence[Vector | None], apart: ToldApart, distance: float
) -> list[list[int]]:
    """Clusters of `founders`, which are positions of tracks in the order of their chunks and have a mean each.

    A function of the set of tracks; no cluster holds two that are told apart.
    """
    if len(founders) <= AT_ONCE:
        distances = np.sqrt(pairwise([_known(means[i]) for i in founders]))
        one, other = apart.between(_labels([[i] for i in founders], len(means))).T
        distances[one, other] = NEVER
        return [[founders[i] for i in cluster] for cluster in average_link(distances, distance)]
    groups = [_Group.of([i], means) for i in founders]
    while len(groups) > AT_ONCE:
        joined = [
            group
            for start in range(0, len(groups), AT_ONCE)
            for group in _joined(groups[start : start + AT_ONCE], means, apart, distance)
        ]
        if len(joined) == len(groups):  # so many are there: what is left are a few neighbours in other stretches
            return _joined_sparsely(groups, apart, distance, len(means))
        groups = joined
    return [group.tracks for group in _joined(groups, means, apart, distance)]


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Tracks that are one person, as a point: `spread` is their mean squared distance from it."""

    tracks: list[int]
    mean: Vector
    spread: float

    @classmethod
    def of(cls, tracks: list[int], means: Sequence[Vector | None]) -> "_Group":
        rows = np.array([means[i] for i in tracks], dtype=np.float64)
        mean = rows.mean(axis=0)
        return cls(tracks, mean.astype(np.float32), float(((rows - mean) ** 2).sum(axis=1).mean()))

    def as_person(self) -> GalleryPerson:
        return GalleryPerson(str(self.tracks[0]), "", self.mean, self.spread)


def _joined(
    groups: Sequence[_Group], means: Sequence[Vector | None], apart: ToldApart, distance: float
) -> list[_Group]:
    distances = person_distance_matrix([group.as_person() for group in groups])
    one, other = apart.between(_labels([group.tracks for group in groups], len(means))).T
    distances[one, other] = NEVER
    clusters = average_link(distances, distance**2)
    return [_Group.of(sorted(t for i in cluster for t in groups[i].tracks), means) for cluster in clusters]


def _joined_sparsely(groups: Sequence[_Group], apart: ToldApart, distance: float, count: int) -> list[list[int]]:
    pairs = apart.between(_labels([group.tracks for group in groups], count)).tolist()
    try:
        clusters = sparse_link([group.as_person() for group in groups], distance**2, [(i, j) for i, j in pairs])
    except TooDenseError:
        clusters = [[i] for i in range(len(groups))]
    return [sorted(t for i in cluster for t in groups[i].tracks) for cluster in clusters]


def _labels(groups: Sequence[Sequence[int]], count: int) -> Positions:
    labels = np.full(count, -1, dtype=np.int64)
    for number, tracks in enumerate(groups):
        labels[list(tracks)] = number
    return labels


def _known(mean: Vector | None) -> Vector:
    assert mean is not None
    return mean

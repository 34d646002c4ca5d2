"""Average link with pairs that may not join and groups that must.

Used within a video (distances of track means) and across videos (squared distances with variances). Every tie is
decided by position, so a caller that sorts its items gets a function of the set.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from castlist.contract.vectors import Vector
from castlist_identity.domain import Matrix

NEVER = float("inf")
EDGE = 1e-9
"""Added to a limit up to which neighbours are looked for: a mean of distances may round below the smallest of them. An
edge too many costs time and changes nothing."""


def squared_distances(one: Matrix, many: Matrix) -> Matrix:
    """Squared Euclidean distances of one vector[d] to each row of many[n, d].

    Computed by differences: exactly symmetric, exactly equal for equal vectors and the same whatever other rows there
    are. The faster expansion by products is none of these, and ties would be decided by rounding.
    """
    difference = many - one
    result: Matrix = (difference * difference).sum(axis=1)
    return result


def pairwise(means: Sequence[Vector]) -> Matrix:
    """Squared distances[n, n] of encodings, in float64."""
    rows = np.array(means, dtype=np.float64)
    result = np.zeros((len(rows), len(rows)))
    for i in range(len(rows)):
        result[i] = squared_distances(rows[i], rows)
    return result


def average_link(
    distances: Matrix, limit: float, together: Iterable[Sequence[int]] = (), sizes: Sequence[int] | None = None
) -> list[list[int]]:
    """Join the two nearest clusters, by the mean over their pairs, for as long as that is ≤ limit.

    `distances[n, n]` is symmetric; NEVER in it keeps the clusters of that pair apart, for the mean over a set with
    NEVER in it is NEVER. The clusters of a group `together` are one to others: what may not join one of them joins
    none; they join each other, and others, by distance all the same, so that each stays as tight as its items are.
    (`united` puts them together in the end.) Item i weighs `sizes[i]`, or 1. Of equally near pairs the one
    with the lowest positions joins first. Returns sorted clusters, sorted by their first item. O(n²) memory.
    """
    clusters = _Clusters(distances, sizes, together)
    while (pair := clusters.nearest(limit)) is not None:
        clusters.join(*pair)
    return [sorted(members) for members in clusters.members if members]


def united(clusters: Iterable[Iterable[int]], together: Iterable[Iterable[int]]) -> list[list[int]]:
    """The clusters, those that hold items of one group as one: sorted, sorted by their first item."""
    groups = [set(cluster) for cluster in clusters]
    for group in together:
        touched = [one for one in groups if not one.isdisjoint(group)]
        groups = [one for one in groups if one.isdisjoint(group)]
        groups.append(set().union(*touched))
    return sorted(sorted(one) for one in groups if one)


class _Clusters:
    """Clusters under the position of their first member, their mean distances, and each one's nearest other.

    A mean is never below its parts, so what a cluster's nearest was bounds what it is after others joined. Which it
    is now is looked up only once that bound is the lowest of all: else a crowd around one centre costs O(n³).
    """

    def __init__(self, distances: Matrix, sizes: Sequence[int] | None, together: Iterable[Sequence[int]]) -> None:
        count = len(distances)
        self._sizes = [1] * count if sizes is None else list(sizes)
        self.members = [[i] for i in range(count)]
        self._distances = np.array(distances, dtype=np.float64)
        np.fill_diagonal(self._distances, NEVER)
        self._group = {item: set(group) for group in together for item in group}
        for first, *_ in together:
            self._keep_from_all(self._group[first])
        self._nearest = self._distances.argmin(axis=1) if count else np.zeros(0, dtype=np.intp)
        self._bound = self._distances[np.arange(count), self._nearest]
        self._stale = np.zeros(count, dtype=bool)

    def nearest(self, limit: float) -> tuple[int, int] | None:
        while self.members:
            i = int(self._bound.argmin())
            if not self._bound[i] <= limit or self._bound[i] == NEVER:
                break
            if not self._stale[i]:
                return i, int(self._nearest[i])
            self._nearest[i] = self._distances[i].argmin()
            self._bound[i] = self._distances[i, self._nearest[i]]
            self._stale[i] = False
        return None

    def join(self, i: int, j: int) -> None:
        """Put j into i, i < j: the mean over the pairs of a union is the weighted mean of the two parts' means."""
        of_i, of_j = self._sizes[i], self._sizes[j]
        self._sizes[i] += of_j
        row = (of_i * self._distances[i] + of_j * self._distances[j]) / (of_i + of_j)
        self.members[i] += self.members[j]
        self.members[j] = []
        self._distances[i], self._distances[:, i] = row, row
        self._distances[j], self._distances[:, j] = NEVER, NEVER
        self._stale |= (self._nearest == i) | (self._nearest == j)
        self._stale[i] = True
        # Rounding may bring a mean below its parts after all; ties go to the lowest position here too.
        nearer = (row < self._bound) | ((row == self._bound) & (self._nearest > i))
        self._nearest[nearer], self._bound[nearer] = i, row[nearer]
        self._bound[i] = min(self._bound[i], self._bound[j])
        self._bound[j], self._stale[j] = NEVER, False
        if i in self._group or j in self._group:
            group = (self._group.get(i, {i}) | self._group.pop(j, {j})) - {j}
            self._group |= dict.fromkeys(group, group)
            for one in self._keep_from_all(group):
                self._stale |= self._nearest == one
                self._stale[one] = True

    def _keep_from_all(self, group: set[int]) -> list[int]:
        """Whoever may not join one of a group joins none of it. Which of it have others than before."""
        rows = sorted(one for one in group if self.members[one])
        never = np.array(np.isinf(self._distances[rows]).any(axis=0), dtype=bool)
        never[rows] = False
        changed = [one for one in rows if not np.isinf(self._distances[one][never]).all()]
        for one in changed:
            self._distances[one, never] = self._distances[never, one] = NEVER
        return changed

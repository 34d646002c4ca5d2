"""Average link for components too large for a matrix of distances: the same joins from what is within the distance.

The mean over pairs of |a - b|² + v(a) + v(b) is |mean - mean|² plus what each cluster scatters and varies by itself. So
a cluster is a point with a number, and a join costs as much as the joined one has neighbours.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from castlist_identity.clustering.average_link import EDGE
from castlist_identity.clustering.person_rows import PersonRows
from castlist_identity.domain import GalleryPerson, Matrix

EDGES = 4_000_000
"""How many neighbours are held, each from both ends: some 300 MB."""


class TooDenseError(ValueError):
    """More neighbours than are held: the distance is too large for so many persons."""


def sparse_link(
    ordered: Sequence[GalleryPerson],
    limit: float,
    apart: Iterable[tuple[int, int]] = (),
    together: Iterable[Sequence[int]] = (),
) -> list[list[int]]:
    """Clusters as positions of `ordered`, like `linkage.average_link` on D² up to rounding, in O(n + edges) memory.

    `limit` is a D². Pairs in `apart` are kept apart; whoever may not join one of a group `together` joins none of it.
    Raises TooDenseError.
    """
    clusters = _Clusters(ordered, limit, apart, together)
    clusters.join_all()
    return sorted(sorted(members) for members in clusters.members.values())


class _Clusters:
    """Clusters under the position of their first member; `foes` may never join, `near` hold a pair within the limit."""

    def __init__(
        self,
        ordered: Sequence[GalleryPerson],
        limit: float,
        apart: Iterable[tuple[int, int]],
        together: Iterable[Sequence[int]],
    ) -> None:
        self._limit = limit
        self.members = {i: [i] for i in range(len(ordered))}
        self._means: Matrix = np.array([member.mean for member in ordered], dtype=np.float64)
        self._spread: Matrix = np.array([member.variance for member in ordered], dtype=np.float64)
        self._near: list[set[int]] = [set() for _ in ordered]
        self._foes: list[set[int]] = [set() for _ in ordered]
        self._grown = [0] * len(ordered)
        for i, j in apart:
            self._foes[i].add(j)
            self._foes[j].add(i)
        self._group = {item: set(group) for group in together for item in group}
        for first, *_ in together:
            self._keep_from_all(self._group[first])
        index, position = PersonRows(), {member.key: i for i, member in enumerate(ordered)}
        index.add(ordered)
        edges, step = 0, min(256, EDGES // (2 * len(ordered)) + 1)
        for start in range(0, len(ordered), step):
            for i, keys in enumerate(index.within(ordered[start : start + step], limit + EDGE), start):
                self._near[i] = {position[key] for key in keys} - {i}
                edges += len(keys)
            if edges > EDGES:
                raise TooDenseError(f"{len(ordered)} persons with more than {edges} neighbours")

    def join_all(self) -> None:
        """Join the two nearest for as long as they are within the limit."""
        heap = [entry for i in self.members for entry in self._entries(i, {j for j in self._near[i] if j > i})]
        heapify(heap)
        while heap:
            _, i, j, grown = heappop(heap)
            known = grown == (self._grown[i], self._grown[j]) and i in self.members and j in self.members
            if known and j not in self._foes[i]:
                self.join(i, j)
                for entry in self._entries(i, self._near[i]):
                    heappush(heap, entry)

    def join(self, i: int, j: int) -> None:
        """Put j into i."""
        of_i, of_j = len(self.members[i]), len(self.members[j])
        total = of_i + of_j
        difference = self._means[i] - self._means[j]
        scatter = of_i * of_j / total**2 * float(difference @ difference)
        self._spread[i] = (of_i * self._spread[i] + of_j * self._spread[j]) / total + scatter
        self._means[i] = (of_i * self._means[i] + of_j * self._means[j]) / total
        self.members[i] += self.members.pop(j)
        self._grown[i] += 1
        for sets in (self._near, self._foes):
            for other in sets[j]:
                sets[other].discard(j)
                if other != i:
                    sets[other].add(i)
                    sets[i].add(other)
            sets[j] = set()
        if i in self._group or j in self._group:
            group = (self._group.get(i, {i}) | self._group.pop(j, {j})) - {j}
            self._group |= dict.fromkeys(group, group)
            self._keep_from_all(group)

    def _keep_from_all(self, group: set[int]) -> None:
        """Whoever may not join one of a group joins none of it."""
        foes = set().union(*(self._foes[one] for one in group)) - group
        for one in group:
            for other in foes - self._foes[one]:
                self._foes[other].add(one)
            self._foes[one] |= foes

    def _entries(self, i: int, others: set[int]) -> list[tuple[float, int, int, tuple[int, int]]]:
        """How near i is to each of the others that it may join, within the limit."""
        near = sorted(others - self._foes[i])
        if not near:
            return []
        difference = self._means[near] - self._means[i]
        distances = (difference * difference).sum(axis=1) + (self._spread[near] + self._spread[i])
        return [
            (distance, min(i, j), max(i, j), (self._grown[min(i, j)], self._grown[max(i, j)]))
            for distance, j in zip(distances.tolist(), near, strict=True)
            if distance <= self._limit
        ]

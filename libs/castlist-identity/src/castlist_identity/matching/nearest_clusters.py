"""Each cluster's nearest others, exactly, kept up as clusters come and go.

Who comes or goes concerns those alone in whose list it is or will be: about as many as a list is long.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from castlist_identity.clustering.neighbour_index import NeighbourIndex, person_distance_matrix, person_distances
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.isolation import COHORT, FAR, FULL, isolation_among_few

KEPT = 16
"""Length of a list: some may go before others have to be searched for."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """(D, key) of others, sorted; nobody is missing who is nearer than `reach`, at most FAR.

    `isolation` is the mean D of a full cohort.
    """

    others: tuple[tuple[float, str], ...]
    reach: float
    isolation: float

    @classmethod
    def of(cls, others: Iterable[tuple[float, str]], reach: float) -> "Nearest":
        reach = min(reach, FAR)
        near = sorted(other for other in others if other[0] < reach)
        cohort = [distance for distance, _ in near[:COHORT]]
        isolation = (sum(cohort) + (COHORT - len(cohort)) * FAR) / COHORT
        return cls(tuple(near[:KEPT]), near[KEPT][0] if len(near) > KEPT else reach, isolation)


class NearestClusters:
    """Clusters under their keys, as points (`cluster_summary`)."""

    def __init__(self) -> None:
        self.points: dict[str, GalleryPerson] = {}
        self.nearest: dict[str, Nearest] = {}
        self.listed_by: dict[str, list[str]] = {}
        self._index = NeighbourIndex()

    def change(self, removed: Collection[str] = (), added: Sequence[GalleryPerson] = ()) -> "NearestChange":
        """What comes of it when these go, then those come. Changes nothing. A key may do both."""
        gone = frozenset(removed)
        lists: dict[str, Nearest] = {}
        for key in {other for one in gone for other in self.listed_by.get(one, ())} - gone:
            known = self.nearest[key]
            lists[key] = Nearest.of((other for other in known.others if other[1] not in gone), known.reach)
        for point, keys in zip(added, self._index.reaching(added), strict=True):
            there = [key for key in keys if key not in gone]
            distances = np.sqrt(person_distances(point, [self.points[key] for key in there])).tolist()
            for key, distance in zip(there, distances, strict=True):
                known = lists.get(key) or self.nearest[key]
                if distance < known.reach:
                    lists[key] = Nearest.of([*known.others, (distance, point.key)], known.reach)
        short = [self.points[key] for key, one in lists.items() if len(one.others) < COHORT and one.reach < FAR]
        lists |= self._searched([*short, *added], gone, added)
        return NearestChange(self, gone, {point.key: point for point in added}, lists)

    def around(self, members: Sequence[GalleryPerson], limit: float, few: int) -> set[str]:
        """The clusters that have D² ≤ limit from any of these; `few` are looked at one by one."""
        if len(members) <= few:
            return {key for near in self._index.within(members, limit) for key in near}
        return self._index.around(members, limit)

    def _searched(
        self, asked: Sequence[GalleryPerson], gone: frozenset[str], added: Sequence[GalleryPerson]
    ) -> dict[str, Nearest]:
        fresh, found, count = NeighbourIndex(), {}, KEPT + 2 + len(gone)
        fresh.add(added)
        while asked:
            again = []
            here, new = self._index.nearest(asked, count), fresh.nearest(asked, count)
            for point, (old, so_far), (others, as_far) in zip(asked, here, new, strict=True):
                near = [(sqrt(d), key) for d, key in old if key not in gone and key != point.key]
                near += [(sqrt(d), key) for d, key in others if key != point.key]
                found[point.key] = Nearest.of(near, sqrt(max(0.0, min(so_far, as_far))))
                if len(found[point.key].others) < COHORT and found[point.key].reach < FAR:
                    again.append(point)
            asked, count = again, 4 * count
        return found

    def apply(self, change: "NearestChange") -> None:
        """Make it so; `change` must have been worked out on this very state."""
        for key in change.gone:
            self._list(key, ())
            del self.points[key], self.nearest[key]
        self._index.remove(change.gone)
        self._index.add(change.added.values())
        self.points |= change.added
        for key, nearest in change.lists.items():
            self._list(key, [other for _, other in nearest.others])
            self.nearest[key] = nearest
        self._index.set_reach({key: nearest.reach for key, nearest in change.lists.items()})

    def _list(self, key: str, others: Collection[str]) -> None:
        known = self.nearest.get(key)
        before = {other for _, other in known.others} if known is not None else set()
        for other in before.difference(others):
            self.listed_by[other].remove(key)
            if not self.listed_by[other]:
                del self.listed_by[other]
        for other in sorted(set(others) - before):
            insort(self.listed_by.setdefault(other, []), key)


@dataclass(frozen=True)
class NearestChange:
    """The clusters once `gone` have gone and `added` have come: `lists` are those that are new or not as before."""

    before: NearestClusters
    gone: frozenset[str]
    added: dict[str, GalleryPerson]
    lists: dict[str, Nearest]

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return len(self.before.points) - len(self.gone) + len(self.added)

    def keys(self) -> list[str]:
        """Of all clusters, sorted."""
        return sorted((self.before.points.keys() - self.gone) | self.added.keys())

    def point(self, key: str) -> GalleryPerson:
        return self.added.get(key) or self.before.points[key]

    def nearest(self, key: str) -> Nearest:
        return self.lists.get(key) or self.before.nearest[key]

    def isolation(self, key: str) -> float:
        """The mean D of this one's nearest others."""
        return self.nearest(key).isolation if self.count >= FULL else self._among_few[key]

    def shifted(self) -> set[str]:
        """Those that stay as they are, and whose nearest others are nearer or farther than they were."""
        if min(self.count, len(self.before.points)) < FULL:
            return (self.before.points.keys() - self.gone) - self.added.keys()
        stay = self.lists.keys() - self.added.keys()
        return {key for key in stay if self.before.nearest[key].isolation != self.lists[key].isolation}

    def listed_by(self, key: str) -> list[str]:
        """Those who have this one in their list."""
        before = (one for one in self.before.listed_by.get(key, ()) if one not in self.lists and one not in self.gone)
        return [*before, *self._listing.get(key, ())]

    @cached_property
    def _among_few(self) -> dict[str, float]:
        keys = self.keys()
        distances = np.sqrt(person_distance_matrix([self.point(key) for key in keys]))
        return dict(zip(keys, isolation_among_few(distances), strict=True))

    @cached_property
    def _listing(self) -> dict[str, list[str]]:
        listing: dict[str, list[str]] = defaultdict(list)
        for key, nearest in self.lists.items():
            for _, other in nearest.others:
                listing[other].append(key)
        return listing

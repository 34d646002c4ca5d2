"""The nearest others of clusters as they will be, while those before stay as they are."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.clustering.person_rows import Flags
from castlist_identity.domain import GalleryPerson, Matrix
from castlist_identity.nearest.isolation import FAR, FULL, isolation_among_few
from castlist_identity.nearest.listed_rows import ListedRows
from castlist_identity.nearest.lists import NOBODY, Lists

Limit = Callable[[Matrix, Matrix | float], Matrix]
"""Up to which D two may join, by the isolation of both."""


@dataclass(frozen=True, eq=False)
class NearestChange:
    """The clusters once `gone` have gone and `added` have come, these into `rows`; `listed[added]` are on lists.

    `lists` are those that are new or not as before, with their rows.
    """

    before: ListedRows
    gone: frozenset[str]
    added: dict[str, GalleryPerson]
    rows: Rows
    listed: Flags
    lists: tuple[Rows, Lists]

    @cached_property
    def count(self) -> int:
        """How many there are that are on lists."""
        return self._count_before - int(self.before.listed[self.before.rows(self.gone)].sum()) + int(self.listed.sum())

    @cached_property
    def _count_before(self) -> int:
        return int(self.before.listed.sum())

    def keys(self) -> list[str]:
        """Of all clusters, sorted."""
        return sorted({key for key in self.before if key not in self.gone} | self.added.keys())

    def point(self, key: str) -> GalleryPerson:
        return self.added.get(key) or self.before.point(key)

    def nearest(self, key: str) -> list[tuple[float, str]]:
        """(D, key) of those on this one's list, the nearest first."""
        row = self._row(key)
        place = self._place.get(row)
        there, lists = (self.before, row) if place is None else (self.lists[1], place)
        near = zip(there.distances[lists].tolist(), there.others[lists].tolist(), strict=True)
        return [(distance, self._key(other)) for distance, other in near if other != NOBODY]

    def isolation(self, key: str) -> float:
        """The mean D of this one's nearest others."""
        return float(self._isolation[self._row(key)]) if self.count >= FULL else self._among_few[key]

    def shifted(self) -> set[str]:
        """Those that stay as they are, and whose nearest others are nearer or farther than they were."""
        if min(self.count, self._count_before) < FULL:
            return {key for key in self.before if key not in self.gone and key not in self.added}
        rows, lists = self.lists
        there = rows < len(self.before.keys)
        there[there] = self.before.isolation[rows[there]] != lists.isolation[there]
        return {self._key(row) for row in rows[there].tolist() if row not in self._fresh}

    def pairs(self, limit: Limit) -> dict[str, list[str]]:
        """Of each with somebody listed, on its own list or on theirs, up to the limit: whom."""
        before, (rows, lists) = self.before, self.lists
        count = len(before.keys)
        as_before = before.alive[:count].copy()
        as_before[before.rows(self.gone)] = False
        as_before[rows[rows < count]] = False
        near = before.distances[:count, 0] <= limit(before.isolation[:count], FAR)
        stay = np.nonzero(near & as_before)[0]
        owners = np.concatenate([stay, rows])
        others = np.concatenate([before.others[stay], lists.others])
        distances = np.concatenate([before.distances[stay], lists.distances])
        isolation = self._isolation
        owner, place = np.nonzero(distances <= limit(isolation[owners][:, np.newaxis], isolation[others]))
        found: dict[str, list[str]] = defaultdict(list)
        for one, other in zip(owners[owner].tolist(), others[owner, place].tolist(), strict=True):
            found[self._key(one)].append(self._key(other))
            found[self._key(other)].append(self._key(one))
        return found

    def _row(self, key: str) -> int:
        return self._new[key] if key in self._new else self.before.row(key)

    def _key(self, row: int) -> str:
        return self._fresh.get(row) or self.before.keys[row]

    def _is_listed(self, key: str) -> bool:
        return self._listed_now[key] if key in self._listed_now else bool(self.before.listed[self.before.row(key)])

    @cached_property
    def _listed_now(self) -> dict[str, bool]:
        return dict(zip(self.added, self.listed.tolist(), strict=True))

    @cached_property
    def _fresh(self) -> dict[int, str]:
        return dict(zip(self.rows.tolist(), self.added, strict=True))

    @cached_property
    def _new(self) -> dict[str, int]:
        return dict(zip(self.added, self.rows.tolist(), strict=True))

    @cached_property
    def _place(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self.lists[0].tolist())}

    @cached_property
    def _isolation(self) -> Matrix:
        """[rows], and one more for NOBODY."""
        rows, lists = self.lists
        count = max([len(self.before.keys), *(self.rows + 1).tolist()])
        result = np.zeros(count + 1)
        result[: len(self.before.keys)] = self.before.isolation[: len(self.before.keys)]
        result[rows] = lists.isolation
        return result

    @cached_property
    def _among_few(self) -> dict[str, float]:
        keys = self.keys()
        distances = np.sqrt(person_distance_matrix([self.point(key) for key in keys]))
        return dict(zip(keys, isolation_among_few(distances, [self._is_listed(key) for key in keys]), strict=True))

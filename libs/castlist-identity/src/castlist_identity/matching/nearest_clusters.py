"""Each cluster's nearest others, exactly, kept up as clusters come and go.

Who comes or goes concerns those alone in whose list it is or will be: about as many as a list is long.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.means import Rows, Vectors
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.clustering.person_rows import (
    BAND,
    BLOCK,
    ROUNDING,
    Column,
    Flags,
    PersonRows,
    expanded,
    squares_of,
    stacked,
)
from castlist_identity.domain import GalleryPerson, Matrix
from castlist_identity.matching.isolation import COHORT, FAR, FULL, isolation_among_few
from castlist_identity.matching.shared_means import SharedMeans

KEPT = 16
"""Length of a list: some may go before others have to be searched for."""
NOBODY = -1
Distances = npt.NDArray[np.float32]
_LARGEST = np.finfo(np.float32).max
Limit = Callable[[Matrix, Matrix | float], Matrix]
"""Up to which D two may join, by the isolation of both."""


class NearestClusters(PersonRows):
    """Clusters under their keys, as points (`cluster_summary`), and of each row a list.

    `others[rows, KEPT]` are rows, `distances` the D of these: the nearest first, then NOBODY and infinity. Nobody is
    missing who is nearer than `reach[rows]`, at most FAR. `isolation[rows]` is the mean D of a full cohort.

    `listed[rows]`: who is on lists. Clusters of further rounds (crowd_sample.py) are on none: they hold whom a crowd
    has no place for, of somebody seen often enough more than a list holds, and would part that crowd from itself.
    """

    means: SharedMeans
    others: npt.NDArray[np.int32]
    distances: Distances
    reach: Matrix
    isolation: Matrix
    listed: Flags
    columns: ClassVar[Mapping[str, Column]] = {
        **PersonRows.columns,
        "others": (np.int32, (KEPT,), NOBODY),
        "distances": (np.float32, (KEPT,), np.inf),
        "reach": (np.float64, (), 0.0),
        "isolation": (np.float64, (), 0.0),
        "listed": (np.bool_, (), False),
    }

    def __init__(self, persons: PersonRows | None = None) -> None:
        """`persons` has the means of clusters that hold one person: see `SharedMeans`."""
        super().__init__(SharedMeans(PersonRows() if persons is None else persons))

    def load(self, points: Iterable[GalleryPerson], further: Collection[str] = ()) -> None:
        """Take over all there are, of whom `further` are on no list; nobody must be here yet."""
        waiting = iter(points)
        while some := list(islice(waiting, BLOCK)):
            rows = self.add(some)
            self.listed[rows] = [one.key not in further for one in some]
        nobody = np.zeros(0, np.int64)
        found = _Proposal(self, nobody, (), nobody.astype(np.bool_), nobody)
        for start in range(0, len(self.keys), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self.keys)))
            self._write(rows, found.searched(rows, self.means[rows], self.variances[rows]))

    def change(
        self, removed: Collection[str] = (), added: Sequence[GalleryPerson] = (), further: Collection[str] = ()
    ) -> "NearestChange":
        """What comes of it when these go, then those come, of whom `further` are on no list. Changes nothing. A key may
        go and come."""
        gone = frozenset(removed)
        left = self.rows(sorted(gone))
        listed = np.array([point.key not in further for point in added], np.bool_)
        made = _Proposal(self, left, added, listed, self.vacant(len(added), left.tolist()))
        return NearestChange(self, gone, {point.key: point for point in added}, made.rows, listed, made.lists())

    def point(self, key: str) -> GalleryPerson:
        """A cluster as a person."""
        row = self._row[key]
        return GalleryPerson(key, "", self.means[np.array([row])][0], float(self.variances[row]))

    def apply(self, change: "NearestChange") -> None:
        """Make it so; `change` must have been worked out on this very state."""
        self.remove(change.gone)
        rows = self.add(list(change.added.values()))
        self.listed[rows] = change.listed
        self._write(*change.lists)

    def _write(self, rows: Rows, lists: "Lists") -> None:
        self.others[rows], self.distances[rows] = lists.others, lists.distances
        self.reach[rows], self.isolation[rows] = lists.reach, lists.isolation


@dataclass(frozen=True, eq=False)
class NearestChange:
    """The clusters once `gone` have gone and `added` have come, these into `rows`; `listed[added]` are on lists.

    `lists` are those that are new or not as before, with their rows.
    """

    before: NearestClusters
    gone: frozenset[str]
    added: dict[str, GalleryPerson]
    rows: Rows
    listed: Flags
    lists: tuple[Rows, "Lists"]

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


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The columns of NearestClusters for some rows."""

    others: npt.NDArray[np.int32]
    distances: Distances
    reach: Matrix
    isolation: Matrix

    @classmethod
    def of(cls, owners: Rows, others: Rows, distances: Distances, reach: Matrix, key: Callable[[int], str]) -> "Lists":
        """Of each of `reach[n]` from all entries: (owner, other, D), in any order. `key` orders those equally far."""
        reach = np.minimum(reach, FAR)
        near = distances < reach[owners]
        owners, others, distances = owners[near], others[near], distances[near]
        order = np.lexsort((distances, owners))
        same = (np.diff(distances[order]) == 0) & (np.diff(owners[order]) == 0)
        if same.any():
            names, place = np.unique(others, return_inverse=True)
            by_name = np.argsort(np.argsort(np.array([key(row) for row in names.tolist()])))
            order = np.lexsort((by_name[place], distances, owners))
        owners, others, distances = owners[order], others[order], distances[order]
        counts = np.bincount(owners, minlength=len(reach))
        place = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = place < KEPT
        found = np.full((len(reach), KEPT), NOBODY, np.int32)
        found[owners[kept], place[kept]] = others[kept]
        away = np.full((len(reach), KEPT), np.inf, np.float32)
        away[owners[kept], place[kept]] = distances[kept]
        first_beyond = place == KEPT
        reach[owners[first_beyond]] = distances[first_beyond]
        return cls(found, away, reach, _isolation(away))

    @property
    def short(self) -> Flags:
        """Those for whom others have to be searched."""
        result: Flags = (self.others[:, COHORT - 1] == NOBODY) & (self.reach < FAR)
        return result

    @classmethod
    def joined(cls, parts: Sequence["Lists"]) -> "Lists":
        return cls(
            np.concatenate([one.others for one in parts]),
            np.concatenate([one.distances for one in parts]),
            np.concatenate([one.reach for one in parts]),
            np.concatenate([one.isolation for one in parts]),
        )

    def part(self, rows: Rows | Flags) -> "Lists":
        return Lists(self.others[rows], self.distances[rows], self.reach[rows], self.isolation[rows])


def _isolation(distances: Distances) -> Matrix:
    """One by one, so that it is the same number however many rows there are."""
    total = np.zeros(len(distances))
    for place in range(COHORT):
        total += np.minimum(distances[:, place].astype(np.float64), FAR)
    result: Matrix = total / COHORT
    return result


class _Proposal:
    """The clusters once the rows in `left` are empty and `added` are in `rows`, and whose lists that changes."""

    def __init__(
        self, before: NearestClusters, left: Rows, added: Sequence[GalleryPerson], listed: Flags, rows: Rows
    ) -> None:
        self._before, self._listed, self.rows = before, listed, rows
        self._keys = {row: point.key for row, point in zip(rows.tolist(), added, strict=True)}
        self._means, self._variances = stacked(added)
        self._squares = squares_of(self._means, self._variances)
        count = len(before.keys)
        self._going = np.zeros(count + 1, np.bool_)  # one more, so that NOBODY stays
        self._going[left] = True
        self._stay = before.alive[:count] & ~self._going[:count]
        size = max([count, *(rows + 1).tolist()])
        self._of_added = np.full(size, -1)
        self._of_added[rows] = np.arange(len(rows))

    def lists(self) -> tuple[Rows, Lists]:
        """Rows with another list than before, and these."""
        before = self._before
        lost = self._going[before.others[: len(self._stay)]] if self._going.any() else None
        touched = np.nonzero(lost.any(axis=1) & self._stay)[0] if lost is not None else self.rows[:0]
        hearing, new, heard = self._heard()
        affected = np.union1d(touched, hearing)
        owners = np.repeat(np.arange(len(affected)), KEPT)
        others, distances = before.others[affected].ravel().astype(np.int64), before.distances[affected].ravel()
        known = ~self._going[others]  # who is NOBODY is infinitely far
        kept = Lists.of(
            np.concatenate([owners[known], np.searchsorted(affected, hearing)]),
            np.concatenate([others[known], self.rows[new]]),
            np.concatenate([distances[known], heard]),
            before.reach[affected],
            self._key,
        )
        short = kept.short
        places = affected[short]
        searched = self.searched(
            np.concatenate([places, self.rows]),
            np.concatenate([before.means[places], self._means]),
            np.concatenate([before.variances[places], self._variances]),
        )
        return np.concatenate([affected[~short], places, self.rows]), Lists.joined([kept.part(~short), searched])

    def _key(self, row: int) -> str:
        return self._keys.get(row) or self._before.keys[row]

    def _heard(self) -> tuple[Rows, Rows, Distances]:
        """(row, which of the added, D) of those that stay and have one of the added within their reach."""
        before = self._before
        found = [(self.rows[:0], self.rows[:0], np.zeros(0, np.float32))]
        for first in range(0, len(self.rows), BAND):
            band = slice(first, first + BAND)
            for start in range(0, len(self._stay), BLOCK):
                part = slice(start, min(start + BLOCK, len(self._stay)))
                rough = expanded(self._means[band], self._squares[band], before.means[part])
                rough += (before.squares[part] - before.reach[part] ** 2).astype(np.float32)
                new, row = np.nonzero((rough <= 2 * ROUNDING) & self._stay[part] & self._listed[band, np.newaxis])
                new, row = new + first, row + start
                distances = self._distances(self._means[new], self._variances[new], row)
                near = distances < before.reach[row]
                found.append((row[near], new[near], distances[near]))
        rows, added, away = zip(*found, strict=True)
        return np.concatenate(rows), np.concatenate(added), np.concatenate(away)

    def searched(self, asked: Rows, means: Vectors, variances: Matrix) -> Lists:
        """Of rows that are to have these points."""
        lists = [Lists.of(asked[:0], asked[:0], np.zeros(0, np.float32), np.zeros(0), self._key)]
        for start in range(0, len(asked), BAND):
            part = slice(start, start + BAND)
            lists.append(self._nearest_of(asked[part], means[part], variances[part], KEPT + 2))
        return Lists.joined(lists)

    def _nearest_of(self, asked: Rows, means: Vectors, variances: Matrix, count: int) -> Lists:
        owners, others, beyond = self._candidates(means, squares_of(means, variances), count)
        foreign = others != asked[owners]
        owners, others = owners[foreign], others[foreign]
        distances = self._distances(means[owners], variances[owners], others)
        found = Lists.of(owners, others, distances, np.sqrt(np.maximum(0.0, beyond)), self._key)
        short = found.short
        if not short.any():
            return found
        # So many are as far as the last that these could be missing: ask for more.
        more = self._nearest_of(asked[short], means[short], variances[short], 4 * count)
        order = np.argsort(np.concatenate([np.nonzero(~short)[0], np.nonzero(short)[0]]))
        return Lists.joined([found.part(~short), more]).part(order)

    def _candidates(self, means: Vectors, squares: Vectors, count: int) -> tuple[Rows, Rows, Matrix]:
        """(which, row) of about so many of the nearest to each, itself among them; and a D² below which nobody is
        missing."""
        owners, rows, roughs = [self.rows[:0]], [self.rows[:0]], [np.zeros(0, np.float32)]
        bound = np.full(len(means), _LARGEST)
        for there, others, other_squares in self._blocks():
            rough = expanded(means, squares, others)
            rough += other_squares
            if len(owners) == 1 and len(there) > count:
                bound = np.minimum(bound, np.partition(rough, count - 1, axis=1)[:, count - 1])
            owner, column = np.nonzero(rough <= bound[:, np.newaxis])
            owners.append(owner)
            rows.append(there[column])
            roughs.append(rough[owner, column])
        owner, row, distance = np.concatenate(owners), np.concatenate(rows), np.concatenate(roughs)
        order = np.lexsort((distance, owner))
        owner, row, distance = owner[order], row[order], distance[order]
        counts = np.bincount(owner, minlength=len(means))
        starts = np.cumsum(counts) - counts
        kept = np.arange(len(owner)) - np.repeat(starts, counts) < count
        beyond = np.full(len(means), np.inf)
        cut = (counts > count) | (bound < _LARGEST)
        beyond[cut] = distance[starts[cut] + count - 1] - ROUNDING
        return owner[kept], row[kept], beyond

    def _blocks(self) -> Iterator[tuple[Rows, Vectors, Vectors]]:
        """All who are there then, a block at a time, the largest first: rows, means, squares; these infinite where
        nobody is."""
        if len(self._stay) >= len(self.rows):
            yield from self._blocks_before()
            yield from self._blocks_added()
        else:
            yield from self._blocks_added()
            yield from self._blocks_before()

    def _blocks_before(self) -> Iterator[tuple[Rows, Vectors, Vectors]]:
        before = self._before
        for start in range(0, len(self._stay), BLOCK):
            part = slice(start, min(start + BLOCK, len(self._stay)))
            squares = np.where(self._stay[part] & before.listed[part], before.squares[part], np.float32(np.inf))
            yield np.arange(part.start, part.stop), before.means[part], squares

    def _blocks_added(self) -> Iterator[tuple[Rows, Vectors, Vectors]]:
        for start in range(0, len(self.rows), BLOCK):
            part = slice(start, start + BLOCK)
            squares = np.where(self._listed[part], self._squares[part], np.float32(np.inf))
            yield self.rows[part], self._means[part], squares

    def _distances(self, means: Vectors, variances: Matrix, rows: Rows) -> Distances:
        """D of pairs: these, and whoever has those rows then. All are rounded, so it is one number however it is come
        by."""
        new = self._of_added[rows]
        added, old = new >= 0, new < 0
        difference, spread = np.empty(means.shape, np.float64), np.empty(len(rows))
        difference[old], difference[added] = self._before.means[rows[old]], self._means[new[added]]
        spread[old], spread[added] = self._before.variances[rows[old]], self._variances[new[added]]
        difference -= means
        result: Distances = np.sqrt((difference * difference).sum(axis=1) + (spread + variances)).astype(np.float32)
        return result

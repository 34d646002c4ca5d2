"""Persons as rows: whom a search finds, and who of them is in the sample.

Searches are exact: distances come from products of matrices in float32, and what lies so close to a limit that its
rounding could decide is measured again in float64, by differences.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.clustering.neighbour_index import DEAD_SHARE, ROUNDING
from castlist_identity.domain import GalleryPerson, Matrix
from castlist_identity.matching.crowd_sample import CROWDED, rank

BLOCK = 8_192
"""Rows compared at a time: with 250 persons some 16 MB."""
FEW = 32
"""Persons up to whom all rows are looked at, whatever their ranks."""
UNKNOWN = -1
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Around each of some persons: `sampled` are keys within a distance. `lower` counts who crowds it and ranks lower.
    `above[2, rows]` counts by how many of them a row is crowded that rank lower: of the first so many, of the others.
    """

    sampled: list[set[str]]
    lower: Counts
    above: Counts


class PersonTable:
    """Rows of those that left are cleared out once they are a quarter; until then their `keys` are "".

    `sampled[rows]` says who is clustered. `lower[rows]` is how many persons crowd this one and rank lower: of who is
    clustered the number, of others at least so many; UNKNOWN where nobody has counted.
    """

    def __init__(self, dimensions: int = 128) -> None:
        self._dimensions = dimensions
        self.keys: list[str] = []
        self._row: dict[str, int] = {}
        self._make_room(64)

    def _make_room(self, rows: int) -> None:
        self._means = np.zeros((rows, self._dimensions), np.float32)
        self._squares = np.zeros(rows, np.float32)
        self._variances = np.zeros(rows, np.float64)
        self._alive = np.zeros(rows, np.bool_)
        self.ranks = np.zeros(rows, np.int64)
        self.sampled = np.zeros(rows, np.bool_)
        self.lower = np.full(rows, UNKNOWN, np.int32)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: str) -> bool:
        return key in self._row

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def rows(self, keys: Iterable[str]) -> Rows:
        return np.array([self._row[key] for key in keys], np.int64)

    def is_sampled(self, key: str) -> bool:
        row = self._row.get(key)
        return row is not None and bool(self.sampled[row])

    def followers(self) -> Rows:
        """Rows of all who are not in the sample."""
        return np.nonzero(self._alive & ~self.sampled)[0]

    def add(self, members: Sequence[GalleryPerson], sampled: Iterable[bool], lower: Iterable[int]) -> None:
        """Raises ValueError for a key that is here already."""
        if any(member.key in self._row for member in members):
            raise ValueError("a person is added twice")
        first, end = len(self.keys), len(self.keys) + len(members)
        if end > len(self._alive):
            self._move(np.arange(first), max(end, 3 * len(self._alive) // 2))
        part = slice(first, end)
        if members:
            self._means[part] = [member.mean for member in members]
        self._variances[part] = [member.variance for member in members]
        self._squares[part] = np.einsum("ij,ij->i", self._means[part], self._means[part]) + self._variances[part]
        self._alive[part] = True
        self.ranks[part] = [rank(member.key) for member in members]
        self.sampled[part] = list(sampled)
        self.lower[part] = list(lower)
        for row, member in enumerate(members, first):
            self.keys.append(member.key)
            self._row[member.key] = row

    def remove(self, keys: Iterable[str]) -> None:
        """Raises KeyError for an unknown key."""
        for key in keys:
            row = self._row.pop(key)
            self.keys[row] = ""
            self._alive[row] = False
        if len(self.keys) - len(self._row) > max(64, DEAD_SHARE * len(self.keys)):
            living = np.nonzero(self._alive)[0]
            names = [self.keys[row] for row in living.tolist()]
            self._move(living, max(64, len(living)))
            self.keys = names
            self._row = {key: row for row, key in enumerate(names)}

    def _move(self, rows: Rows, room: int) -> None:
        columns = ("_means", "_squares", "_variances", "_alive", "ranks", "sampled", "lower")
        kept = {name: getattr(self, name)[rows] for name in columns}
        self._make_room(room)
        for name, column in kept.items():
            getattr(self, name)[: len(rows)] = column

    def near(self, members: Sequence[GalleryPerson], limit: float) -> list[set[str]]:
        """For each of `members` who of the sample has D² ≤ limit; itself among them where it is in it."""
        found: list[set[str]] = [set() for _ in members]
        for start, near in self._within(members, [limit]):
            self._collect(found, near[0], start)
        return found

    def survey(self, members: Sequence[GalleryPerson], limit: float, first: int, left: Rows) -> Survey:
        """As if the rows in `left` were not there: see `Survey`. `limit` is a D²."""
        sampled: list[set[str]] = [set() for _ in members]
        lower, above = np.zeros(len(members), np.int64), np.zeros((2, len(self.keys)), np.int64)
        ranks = np.array([rank(one.key) for one in members], np.int64)
        here = self._alive[: len(self.keys)].copy()
        here[left] = False
        for start, (near, crowding) in self._within(members, [limit, CROWDED**2]):
            part = slice(start, start + near.shape[1])
            self._collect(sampled, near & here[part], start)
            crowding &= here[part]
            below = self.ranks[part] < ranks[:, np.newaxis]
            lower += (crowding & below).sum(axis=1)
            higher = crowding & (self.ranks[part] > ranks[:, np.newaxis])
            above[0, part], above[1, part] = higher[:first].sum(axis=0), higher[first:].sum(axis=0)
        return Survey(sampled, lower, above)

    def count_lower(self, members: Sequence[GalleryPerson], left: Rows, enough: int) -> Counts:
        """How many crowd each of `members` and rank lower, but for those in `left`; counting may stop at `enough`."""
        ranks, counted = np.array([rank(one.key) for one in members], np.int64), np.zeros(len(members), np.int64)
        here = self._alive[: len(self.keys)].copy()
        here[left] = False
        if len(members) <= FEW:
            for start, (near,) in self._within(members, [CROWDED**2]):
                part = slice(start, start + near.shape[1])
                counted += (near & here[part] & (self.ranks[part] < ranks[:, np.newaxis])).sum(axis=1)
            return counted
        order = np.nonzero(here)[0]
        order = order[np.argsort(self.ranks[order], kind="stable")]
        waiting = np.arange(len(members))
        for start in range(0, len(order), BLOCK):
            rows = order[start : start + BLOCK]
            asked = [members[i] for i in waiting.tolist()]
            for first in range(0, len(asked), 256):
                who = waiting[first : first + 256]
                (near,) = self._compare(asked[first : first + 256], rows, [CROWDED**2])
                counted[who] += (near & (self.ranks[rows] < ranks[who, np.newaxis])).sum(axis=1)
            waiting = waiting[(ranks[waiting] > self.ranks[rows[-1]]) & (counted[waiting] < enough)]
            if not len(waiting):
                break
        return counted

    def distances(self, point: GalleryPerson, rows: Rows, limit: float) -> tuple[Rows, Matrix]:
        """Which of these rows have D² ≤ limit from the point, and the D²."""
        beyond = limit + ROUNDING - float(point.mean @ point.mean) - point.variance
        count = len(self.keys)
        if 2 * len(rows) > count:  # all of them are compared sooner than half are gathered
            rows = rows[(self._squares[:count] - 2 * (self._means[:count] @ point.mean))[rows] <= beyond]
        kept, found = [rows[:0]], [np.zeros(0)]
        for start in range(0, len(rows), BLOCK):
            near = rows[start : start + BLOCK]
            near = near[self._squares[near] - 2 * (self._means[near] @ point.mean) <= beyond]
            exactly = self._exactly(point, near)
            kept.append(near[exactly <= limit])
            found.append(exactly[exactly <= limit])
        return np.concatenate(kept), np.concatenate(found)

    def _collect(self, found: list[set[str]], near: Flags, start: int) -> None:
        who, column = np.nonzero(near & self.sampled[start : start + near.shape[1]])
        for i, row in zip(who.tolist(), (column + start).tolist(), strict=True):
            found[i].add(self.keys[row])

    def _within(self, members: Sequence[GalleryPerson], limits: Sequence[float]) -> Iterator[tuple[int, list[Flags]]]:
        if members:
            for start in range(0, len(self.keys), BLOCK):
                yield start, self._compare(members, slice(start, min(start + BLOCK, len(self.keys))), limits)

    def _compare(self, members: Sequence[GalleryPerson], rows: Rows | slice, limits: Sequence[float]) -> list[Flags]:
        """[n, rows] for each limit: whose D² is not above it, of living rows."""
        means = np.array([member.mean for member in members], np.float32)
        squares = np.einsum("ij,ij->i", means, means) + np.array([member.variance for member in members], np.float32)
        rough = means @ self._means[rows].T
        rough *= -2
        rough += self._squares[rows]
        rough += squares[:, np.newaxis]
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        answers = []
        for limit in limits:
            near = (rough <= limit - ROUNDING) & self._alive[rows]
            who, column = np.nonzero((rough <= limit + ROUNDING) & (rough > limit - ROUNDING) & self._alive[rows])
            for i in np.unique(who).tolist():
                close = column[who == i]
                near[i, close] = self._exactly(members[i], numbers[close]) <= limit
            answers.append(near)
        return answers

    def _exactly(self, member: GalleryPerson, rows: Rows) -> Matrix:
        means = self._means[rows].astype(np.float64)
        result: Matrix = squared_distances(member.mean.astype(np.float64), means) + (
            self._variances[rows] + member.variance
        )
        return result

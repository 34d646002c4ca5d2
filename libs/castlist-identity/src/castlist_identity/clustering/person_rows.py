"""Persons as rows of arrays, and who of them is within a distance, exactly.

Distances come from products of matrices in float32; what lies so close to a limit that its rounding could decide is
measured again in float64, by differences. An approximate index would make the answer depend on luck, and with it the
partition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from castlist.contract.vectors import Vector
from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.clustering.means import KeptMeans, Means, Rows, Vectors, with_room
from castlist_identity.domain import GalleryPerson, Matrix

ROUNDING = 1e-4
"""How far a squared distance of encodings may be off (norms below 3, float32, expanded by products)."""
BLOCK = 8_192
"""Rows compared at a time: with 250 persons some 16 MB."""
BAND = 256
"""Of those who are about as far from a crowd so many are compared with it at once; as many persons at once."""
Flags = npt.NDArray[np.bool_]
Column = tuple[Any, tuple[int, ...], Any]
"""Type, shape of one row's value, and the value of a row that nobody has."""


class PersonRows:
    """Rows of those that left are used again; until then their `keys` are "" and they are not `alive`.

    `means[rows]` and `variances[rows]` are of whoever is there. `columns` are all arrays of a row each, by name; a
    subclass adds its own.
    """

    variances: Matrix
    alive: Flags
    squares: Vectors
    columns: ClassVar[Mapping[str, Column]] = {
        "variances": (np.float64, (), 0.0),
        "alive": (np.bool_, (), False),
        "squares": (np.float32, (), 0.0),
    }

    def __init__(self, means: Means | None = None) -> None:
        self.means: Means = KeptMeans() if means is None else means
        self.keys: list[str] = []
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        for name, (kind, shape, _) in self.columns.items():
            setattr(self, name, np.zeros((0, *shape), kind))

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: object) -> bool:
        return key in self._row

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def row(self, key: str) -> int:
        """Raises KeyError for an unknown key, as all that take a key do."""
        return self._row[key]

    def rows(self, keys: Iterable[str]) -> Rows:
        return np.array([self._row[key] for key in keys], np.int64)

    def vacant(self, count: int, left: Sequence[int] = ()) -> Rows:
        """The rows that so many will have who come next, or once those in `left` have left, in this order."""
        free = [*self._free, *left][: -count - 1 : -1]
        return np.array([*free, *range(len(self.keys), len(self.keys) + count - len(free))], np.int64)

    def add(self, members: Sequence[GalleryPerson]) -> Rows:
        """Where they are now. Raises ValueError for a key that is here already, or twice in `members`; then nothing is
        added."""
        keys = {member.key for member in members}
        if len(keys) < len(members) or not keys.isdisjoint(self._row):
            raise ValueError("a person is added twice")
        rows = self.vacant(len(members))
        if not len(rows):
            return rows
        del self._free[len(self._free) - min(len(rows), len(self._free)) :]
        if (missing := int(rows.max()) + 1 - len(self.keys)) > 0:
            for name, (_, _, nothing) in self.columns.items():
                column = with_room(getattr(self, name), len(self.keys) + missing)
                column[len(self.keys) : len(self.keys) + missing] = nothing
                setattr(self, name, column)
            self.keys += [""] * missing
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            means, self.variances[rows[part]] = stacked(members[part])
            self.means.put(rows[part], [member.key for member in members[part]], means)
            self.squares[rows[part]] = squares_of(means, self.variances[rows[part]])
        self.alive[rows] = True
        for row, member in zip(rows.tolist(), members, strict=True):
            self.keys[row] = member.key
            self._row[member.key] = row
        return rows

    def remove(self, keys: Iterable[str]) -> None:
        """Their rows become nobody's, in the order of the keys."""
        gone = [self._row.pop(key) for key in sorted(keys)]
        for row in gone:
            self.keys[row] = ""
        self.means.forget(np.array(gone, np.int64))
        for name, (_, _, nothing) in self.columns.items():
            getattr(self, name)[gone] = nothing
        self._free += gone

    def within(self, members: Sequence[GalleryPerson], limit: float) -> list[list[str]]:
        """For each of `members` the keys with D² ≤ limit, sorted; itself among them where it is in the index."""
        found: list[list[str]] = [[] for _ in members]
        for start, (near,) in self._within(members, [limit]):
            for i, row in zip(*(ends.tolist() for ends in near.nonzero()), strict=True):
                found[i].append(self.keys[start + row])
        return [sorted(keys) for keys in found]

    def around(self, means: Vectors, limit: float) -> set[str]:
        """The keys of those who have D² ≤ limit from any of very many persons, given their means, and a few more.

        By the triangle inequality: who is far from the middle of these is compared with the outermost of them alone.
        """
        centre = means.mean(axis=0)
        out = np.sqrt(((means - centre) ** 2).sum(axis=1))
        means, out = means[np.argsort(-out)], np.sort(out)[::-1]
        squares = np.einsum("ij,ij->i", means, means)
        rows = np.nonzero(self.alive)[0]
        room = np.sqrt(np.maximum(0.0, limit + ROUNDING - self.variances[rows]))
        needed = np.sqrt(((self.means[rows] - centre) ** 2).sum(axis=1)) - room - ROUNDING
        order = np.argsort(needed)
        rows, needed = rows[order], needed[order]
        found: set[str] = set()
        for first in range(0, len(rows), BAND):
            some = rows[first : first + BAND]
            asked = int(np.searchsorted(-out, -needed[first], side="right"))
            if not asked:
                break
            nearest = np.full(len(some), np.inf, np.float32)
            for start in range(0, asked, BLOCK):
                part = slice(start, min(start + BLOCK, asked))
                nearest = np.minimum(nearest, expanded(means[part], squares[part], self.means[some]).min(axis=0))
            found |= {self.keys[row] for row in some[nearest + self.squares[some] <= limit + ROUNDING].tolist()}
        return found

    def distances_to(self, point: GalleryPerson, rows: Rows, limit: float) -> tuple[Rows, Matrix]:
        """Which of these rows have D² ≤ limit from the point, and the D²."""
        beyond = limit + ROUNDING - float(point.mean @ point.mean) - point.variance
        count = len(self.keys)
        if 2 * len(rows) > count:  # all of them are compared sooner than half are gathered
            rows = rows[(self.squares[:count] - 2 * (self.means[:count] @ point.mean))[rows] <= beyond]
        kept, found = [rows[:0]], [np.zeros(0)]
        for start in range(0, len(rows), BLOCK):
            near = rows[start : start + BLOCK]
            near = near[self.squares[near] - 2 * (self.means[near] @ point.mean) <= beyond]
            exactly = self._exactly(point.mean, point.variance, near)
            kept.append(near[exactly <= limit])
            found.append(exactly[exactly <= limit])
        return np.concatenate(kept), np.concatenate(found)

    def _within(self, members: Sequence[GalleryPerson], limits: Sequence[float]) -> Iterator[tuple[int, list[Flags]]]:
        if members:
            for start in range(0, len(self.keys), BLOCK):
                yield start, self._compare(members, slice(start, min(start + BLOCK, len(self.keys))), limits)

    def _compare(self, members: Sequence[GalleryPerson], rows: Rows | slice, limits: Sequence[float]) -> list[Flags]:
        """[n, rows] for each limit: whose D² is not above it, of who is there."""
        means, variances = stacked(members)
        rough = expanded(means, squares_of(means, variances), self.means[rows])
        rough += self.squares[rows]
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        answers = []
        for limit in limits:
            near = (rough <= limit - ROUNDING) & self.alive[rows]
            who, column = np.nonzero((rough <= limit + ROUNDING) & (rough > limit - ROUNDING) & self.alive[rows])
            for i in np.unique(who).tolist():
                close = column[who == i]
                near[i, close] = self._exactly(means[i], variances[i], numbers[close]) <= limit
            answers.append(near)
        return answers

    def _exactly(self, mean: Vector, variance: float, rows: Rows) -> Matrix:
        result: Matrix = squared_distances(mean.astype(np.float64), self.means[rows].astype(np.float64)) + (
            self.variances[rows] + variance
        )
        return result


def stacked(members: Sequence[GalleryPerson]) -> tuple[Vectors, Matrix]:
    """Means[n, 128] and variances[n]."""
    means = np.array([member.mean for member in members], np.float32).reshape(len(members), 128)
    return means, np.array([member.variance for member in members], np.float64)


def squares_of(means: Vectors, variances: Matrix) -> Vectors:
    """What `expanded` asks for: |mean|² + variance of each."""
    result: Vectors = (np.einsum("ij,ij->i", means, means) + variances).astype(np.float32)
    return result


def expanded(means: Vectors, squares: Vectors, others: Vectors) -> Vectors:
    """[n, m]: D² as |a|² + |b|² - 2ab, but for the squares of the others."""
    rough: Vectors = means @ others.T
    rough *= -2
    rough += squares[:, np.newaxis]
    return rough

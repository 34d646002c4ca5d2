"""Who in a gallery is within a distance, exactly.

A faiss flat index (for a batch: products of matrices over its rows) searches in float32; what lies so close to the
limit that its rounding could decide is measured again in float64. An approximate index would make the answer depend on
luck, and with it the partition.
"""

from collections.abc import Iterable, Mapping, Sequence

import faiss
import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.average_link import pairwise, squared_distances
from castlist_identity.domain import GalleryPerson, Matrix

ROUNDING = 1e-4
"""How far faiss may be off a squared distance of encodings (norms below 3, float32, expanded by products)."""
DEAD_SHARE = 0.25
MANY, BLOCK = 16, 8_192
"""Searches from which on they are made at once, and how many rows at a time: 500 searches take 16 MB."""
BAND = 256
"""Of those who are about as far from a crowd so many are compared with it at once."""
Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


def person_distances(one: GalleryPerson, many: Sequence[GalleryPerson]) -> Matrix:
    """D² of a person to each of others[n]: squared distance of the means, plus both variances.

    A mean over many faces lies nearer to everything than one face does; the variances put that back.
    """
    rows = np.array([member.mean for member in many], dtype=np.float64).reshape(len(many), len(one.mean))
    variances = np.array([member.variance for member in many], dtype=np.float64)
    result: Matrix = squared_distances(one.mean.astype(np.float64), rows) + (variances + one.variance)
    return result


def person_distance_matrix(members: Sequence[GalleryPerson]) -> Matrix:
    """D²[n, n] between persons, the same numbers as `gap` gives one by one."""
    variances = np.array([member.variance for member in members], dtype=np.float64)
    result: Matrix = pairwise([member.mean for member in members]) + (variances[:, np.newaxis] + variances)
    return result


class NeighbourIndex:
    """The means of a gallery's persons by key. One L2 search gives D²: see `_vectors`."""

    def __init__(self, dimensions: int = 128) -> None:
        self._dimensions = dimensions
        self._flat = faiss.IndexFlatL2(dimensions + 2)
        self._squares: Vectors = np.zeros(0, dtype=np.float32)
        self._reach: Vectors = np.zeros(0, dtype=np.float32)
        self._rows: list[GalleryPerson | None] = []
        self._row: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._row)

    def add(self, members: Iterable[GalleryPerson]) -> None:
        """Raises ValueError for a key that is here already, or twice in `members`; then nothing is added."""
        added = list(members)
        keys = {member.key for member in added}
        if len(keys) < len(added) or any(key in self._row for key in keys):
            raise ValueError("a person is added to the neighbour index twice")
        if added:
            vectors = self._vectors(added, stored=True)
            self._flat.add(vectors)
            self._squares = np.append(self._squares, np.einsum("ij,ij->i", vectors, vectors))
            self._reach = np.append(self._reach, np.zeros(len(added), dtype=np.float32))
            for member in added:
                self._row[member.key] = len(self._rows)
                self._rows.append(member)

    def remove(self, keys: Iterable[str]) -> None:
        """Raises KeyError for an unknown key. Rows are left behind and cleared out once they are a quarter."""
        for key in keys:
            self._rows[self._row.pop(key)] = None
        if len(self._rows) - len(self._row) > max(64, DEAD_SHARE * len(self._rows)):
            living = [member for member in self._rows if member is not None]
            reach = self._reach[[member is not None for member in self._rows]]
            self._flat.reset()
            self._squares = self._reach = np.zeros(0, dtype=np.float32)
            self._rows, self._row = [], {}
            self.add(living)
            self._reach = reach

    def within(self, members: Sequence[GalleryPerson], limit: float) -> list[list[str]]:
        """For each of `members` the keys with D² ≤ limit, sorted; itself among them where it is in the index."""
        if not members or not self._row:
            return [[] for _ in members]
        asked = self._vectors(members, stored=False)
        search = self._many if len(members) >= MANY else self._few
        starts, distances, found = search(asked, limit + ROUNDING)
        answers = []
        for i, member in enumerate(members):
            part = slice(starts[i], starts[i + 1])
            rows = (self._rows[row] for row in found[part].tolist())
            near = [
                (other, sure) for other, sure in zip(rows, distances[part] <= limit - ROUNDING, strict=True) if other
            ]
            close = [other for other, sure in near if not sure]
            exactly = np.nonzero(person_distances(member, close) <= limit)[0].tolist() if close else []
            answers.append(sorted([*(other.key for other, sure in near if sure), *(close[j].key for j in exactly)]))
        return answers

    def around(self, members: Sequence[GalleryPerson], limit: float) -> set[str]:
        """The keys of those who have D² ≤ limit from any of very many persons, and of a few more at the border.

        By the triangle inequality: who is far from the middle of these is compared with the outermost of them alone.
        """
        means = np.array([member.mean for member in members], dtype=np.float32)
        stored, inner = self._stored(), self._dimensions
        centre = means.mean(axis=0)
        out = np.sqrt(((means - centre) ** 2).sum(axis=1))
        means, out = means[np.argsort(-out)], np.sort(out)[::-1]
        squares = np.einsum("ij,ij->i", means, means)
        room = np.sqrt(np.maximum(0.0, limit + ROUNDING - stored[:, inner] ** 2))
        needed = np.sqrt(((stored[:, :inner] - centre) ** 2).sum(axis=1)) - room - ROUNDING
        rows = np.argsort(needed)
        found: set[str] = set()
        for first in range(0, len(rows), BAND):
            some = rows[first : first + BAND]
            asked = int(np.searchsorted(-out, -needed[some[0]], side="right"))
            if not asked:
                break
            nearest = np.full(len(some), np.inf, np.float32)
            for start in range(0, asked, BLOCK):
                part = slice(start, min(start + BLOCK, asked))
                distances = means[part] @ stored[some, :inner].T
                distances *= -2
                distances += squares[part, np.newaxis]
                nearest = np.minimum(nearest, distances.min(axis=0))
            near = some[nearest + self._squares[some] <= limit + ROUNDING]
            found |= {member.key for row in near.tolist() if (member := self._rows[row]) is not None}
        return found

    def _stored(self) -> Vectors:
        flat: Vectors = faiss.rev_swig_ptr(self._flat.get_xb(), self._flat.ntotal * self._flat.d)
        return flat.reshape(-1, self._flat.d)

    def nearest(self, members: Sequence[GalleryPerson], count: int) -> list[tuple[list[tuple[float, str]], float]]:
        """For each of `members` (D², key) of about so many of the nearest, sorted, itself among them where it is in the
        index; and a D² below which nobody is missing."""
        if not members or not self._row:
            return [([], np.inf) for _ in members]
        faiss.omp_set_num_threads(1)
        count = min(count, len(self._rows))
        distances, found = self._flat.search(self._vectors(members, stored=False), count)
        everybody = count == len(self._rows)
        answers = []
        for member, near, last in zip(members, found.tolist(), distances[:, -1].tolist(), strict=True):
            others = [other for row in near if (other := self._rows[row]) is not None]
            exactly = person_distances(member, others).tolist()
            there = sorted((distance, other.key) for distance, other in zip(exactly, others, strict=True))
            answers.append((there, np.inf if everybody else last - ROUNDING))
        return answers

    def set_reach(self, reach: Mapping[str, float]) -> None:
        """Up to which D each of these wants to hear of others; none, until it is set."""
        for key, distance in reach.items():
            self._reach[self._row[key]] = distance

    def reaching(self, members: Sequence[GalleryPerson]) -> list[list[str]]:
        """For each of `members` the keys of those within whose reach it is, and of a few more at their very border."""
        if not members or not self._row:
            return [[] for _ in members]
        limits = np.where(self._reach > 0, self._reach**2 + 2 * ROUNDING, -np.inf)
        starts, _, found = self._many(self._vectors(members, stored=False), limits)
        rows = [[self._rows[row] for row in found[starts[i] : starts[i + 1]].tolist()] for i in range(len(members))]
        return [[other.key for other in near if other is not None] for near in rows]

    def _few(self, asked: Vectors, limit: float) -> tuple[Positions, Vectors, Positions]:
        """Where each one's answers start, their squared distances, their rows."""
        # For the calling thread. Threads of its own would wait for each other on cores that are busy with frames.
        faiss.omp_set_num_threads(1)
        starts, distances, found = self._flat.range_search(asked, limit)
        return starts, distances, found

    def _many(self, asked: Vectors, limit: float | Matrix) -> tuple[Positions, Vectors, Positions]:
        """The same by products of matrices: three to four times faster than faiss's own for a batch, over its rows. The
        limit may be another for each row."""
        limits = np.broadcast_to(np.asarray(limit, dtype=np.float32), len(self._rows))
        stored = self._stored()
        squares = np.einsum("ij,ij->i", asked, asked)
        parts: list[tuple[Positions, Vectors, Positions]] = []
        for start in range(0, len(stored), BLOCK):
            block = stored[start : start + BLOCK]
            distances = asked @ block.T
            distances *= -2
            distances += self._squares[start : start + BLOCK]
            distances += squares[:, np.newaxis]
            who, row = np.nonzero(distances <= limits[start : start + BLOCK])
            parts.append((who, distances[who, row], row + start))
        who, near, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(who, kind="stable")
        return np.searchsorted(who[order], np.arange(len(asked) + 1)), near[order], rows[order]

    def _vectors(self, members: Sequence[GalleryPerson], *, stored: bool) -> npt.NDArray[np.float32]:
        """Rows to store, or to ask with: their √variance stand in different places, so that L2 adds both variances."""
        vectors = np.zeros((len(members), self._dimensions + 2), dtype=np.float32)
        for i, member in enumerate(members):
            vectors[i, : self._dimensions] = member.mean
            vectors[i, self._dimensions + (0 if stored else 1)] = member.variance**0.5
        return vectors

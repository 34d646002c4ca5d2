"""The persons of a round as rows: whom a search finds, and who of them is in the sample."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_rows import BAND, BLOCK, Column, Flags, PersonRows
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.crowd_sample import CROWDED, rank

FEW = 32
"""Persons up to whom all rows are looked at, whatever their ranks."""
UNKNOWN = -1
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Around each of some persons: `sampled` are keys within a distance. `lower` counts who crowds it and ranks lower.
    `above[2, rows]` counts by how many of them a row is crowded that rank lower: of the first so many, of the others.
    """

    sampled: list[set[str]]
    lower: Counts
    above: Counts


class PersonTable(PersonRows):
    """`sampled[rows]` says who is clustered. `lower[rows]` is how many persons crowd this one and rank lower: of who is
    clustered the number, of others at least so many; UNKNOWN where nobody has counted.
    """

    ranks: Counts
    sampled: Flags
    lower: npt.NDArray[np.int32]
    columns: ClassVar[Mapping[str, Column]] = {
        **PersonRows.columns,
        "ranks": (np.int64, (), 0),
        "sampled": (np.bool_, (), False),
        "lower": (np.int32, (), UNKNOWN),
    }

    def is_sampled(self, key: str) -> bool:
        row = self._row.get(key)
        return row is not None and bool(self.sampled[row])

    def followers(self) -> Rows:
        """Rows of all who are not in the sample."""
        return np.nonzero(self.alive & ~self.sampled)[0]

    def enter(self, members: Sequence[GalleryPerson], sampled: Iterable[bool], lower: Iterable[int]) -> None:
        """`add` them, into the sample or not. Raises as that does."""
        rows = self.add(members)
        self.ranks[rows] = [rank(member.key) for member in members]
        self.sampled[rows] = list(sampled)
        self.lower[rows] = list(lower)

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
        here = self.alive[: len(self.keys)].copy()
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
        here = self.alive[: len(self.keys)].copy()
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
            for first in range(0, len(asked), BAND):
                who = waiting[first : first + BAND]
                (near,) = self._compare(asked[first : first + BAND], rows, [CROWDED**2])
                counted[who] += (near & (self.ranks[rows] < ranks[who, np.newaxis])).sum(axis=1)
            waiting = waiting[(ranks[waiting] > self.ranks[rows[-1]]) & (counted[waiting] < enough)]
            if not len(waiting):
                break
        return counted

    def _collect(self, found: list[set[str]], near: Flags, start: int) -> None:
        who, column = np.nonzero(near & self.sampled[start : start + near.shape[1]])
        for i, row in zip(who.tolist(), (column + start).tolist(), strict=True):
            found[i].add(self.keys[row])

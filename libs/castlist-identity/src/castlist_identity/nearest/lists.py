"""Lists of nearest others, of some clusters at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_rows import Flags
from castlist_identity.domain import Matrix
from castlist_identity.nearest.isolation import COHORT, FAR

KEPT = 16
"""Length of a list: some may go before others have to be searched for."""
NOBODY = -1
Distances = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The columns of ListedRows for some rows."""

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

"""Clusters as rows, and of each row a list of those nearest to it."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_rows import Column, Flags, PersonRows
from castlist_identity.domain import GalleryPerson, Matrix
from castlist_identity.nearest.lists import KEPT, NOBODY, Distances, Lists
from castlist_identity.nearest.shared_means import SharedMeans


class ListedRows(PersonRows):
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

    def point(self, key: str) -> GalleryPerson:
        """A cluster as a person."""
        row = self._row[key]
        return GalleryPerson(key, "", self.means[np.array([row])][0], float(self.variances[row]))

    def write(self, rows: Rows, lists: Lists) -> None:
        """These are their lists from now on."""
        self.others[rows], self.distances[rows] = lists.others, lists.distances
        self.reach[rows], self.isolation[rows] = lists.reach, lists.isolation

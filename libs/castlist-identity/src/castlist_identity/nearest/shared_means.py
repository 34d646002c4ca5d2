"""The means of clusters: nearly all hold one person, whose mean is kept already, and need no second place for it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from castlist.contract.vectors import Vector
from castlist_identity.clustering.means import Rows, Vectors, with_room
from castlist_identity.clustering.person_rows import PersonRows


class SharedMeans:
    """`Means` of points, of which one that is the person of its key, number for number, has that person's row.

    So no person may leave `persons` whose point stays.
    """

    def __init__(self, persons: PersonRows) -> None:
        self._persons = persons
        self._place: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        """a row of `persons`; or, from -1 downwards, one of our own"""
        self._own: Vectors = np.zeros((0, 128), np.float32)
        self._used = 0
        self._free: list[int] = []

    def __getitem__(self, rows: Rows | slice) -> Vectors:
        place = self._place[rows]
        own = place < 0
        if not own.any():
            return self._persons.means[place.astype(np.int64)]
        found: Vectors = np.empty((len(place), 128), np.float32)
        found[own], found[~own] = self._own[~place[own]], self._persons.means[place[~own].astype(np.int64)]
        return found

    @property
    def own(self) -> int:
        """How many rows there are here."""
        return len(self._own)

    def put(self, rows: Rows, keys: Sequence[str], means: Vectors) -> None:
        """See `Means`."""
        self._place = with_room(self._place, int(rows.max(initial=-1)) + 1)
        for row, key, mean in zip(rows.tolist(), keys, means, strict=True):
            self._place[row] = self._place_of(key, mean)

    def forget(self, rows: Rows) -> None:
        """See `Means`."""
        place = self._place[rows]
        own = ~place[place < 0]
        self._own[own] = 0.0
        self._free += own.tolist()

    def alone(self, count: int) -> "SharedMeans":
        """The first so many rows as they are now, shared with nobody."""
        result = SharedMeans(PersonRows())
        result._own, result._used = self[slice(0, count)], count
        result._place = ~np.arange(count, dtype=np.int32)
        return result

    def _place_of(self, key: str, mean: Vector) -> int:
        if key in self._persons:
            row = self._persons.row(key)
            if np.array_equal(self._persons.means[np.array([row])][0], mean):
                return row
        if self._free:
            own = self._free.pop()
        else:
            own, self._used = self._used, self._used + 1
            self._own = with_room(self._own, self._used)
        self._own[own] = mean
        return ~own

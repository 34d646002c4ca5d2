"""Each cluster's nearest others, exactly, kept up as clusters come and go.

Who comes or goes concerns those alone in whose list it is or will be: about as many as a list is long.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

import numpy as np

from castlist_identity.clustering.means import Rows
from castlist_identity.clustering.person_rows import BLOCK
from castlist_identity.domain import GalleryPerson
from castlist_identity.nearest.listed_rows import ListedRows
from castlist_identity.nearest.lists import Lists
from castlist_identity.nearest.nearest_change import NearestChange
from castlist_identity.nearest.proposal import Proposal

_PART = 2_048
"""Rows whose nearest others one thread looks for at a time."""
Each = Callable[[Callable[[Rows], Lists], Sequence[Rows]], Iterable[Lists]]
"""What `map` does."""


class NearestClusters(ListedRows):
    """Kept up: `change` works out what `apply` then makes so."""

    def load(self, points: Iterable[GalleryPerson], further: Collection[str] = (), each: Each = map) -> None:
        """Take over all there are, of whom `further` are on no list; nobody must be here yet.

        `each` may have several of the parts looked through at once.
        """
        waiting = iter(points)
        while some := list(islice(waiting, BLOCK)):
            rows = self.add(some)
            self.listed[rows] = [one.key not in further for one in some]
        nobody = np.zeros(0, np.int64)
        found = Proposal(self, nobody, (), nobody.astype(np.bool_), nobody)
        parts = [np.arange(start, min(start + _PART, len(self.keys))) for start in range(0, len(self.keys), _PART)]

        def searched(rows: Rows) -> Lists:
            return found.searched(rows, self.means[rows], self.variances[rows])

        for rows, lists in zip(parts, each(searched, parts), strict=True):
            self.write(rows, lists)

    def change(
        self, removed: Collection[str] = (), added: Sequence[GalleryPerson] = (), further: Collection[str] = ()
    ) -> NearestChange:
        """What comes of it when these go, then those come, of whom `further` are on no list. Changes nothing. A key may
        go and come."""
        gone = frozenset(removed)
        left = self.rows(sorted(gone))
        listed = np.array([point.key not in further for point in added], np.bool_)
        made = Proposal(self, left, added, listed, self.vacant(len(added), left.tolist()))
        return NearestChange(self, gone, {point.key: point for point in added}, made.rows, listed, made.lists())

    def copy(self) -> "NearestClusters":
        """As they are now, whatever becomes of these, and of the persons whose means they share."""
        result, count = NearestClusters(), len(self.keys)
        result.keys, result._row, result._free = self.keys.copy(), self._row.copy(), self._free.copy()
        result.means = self.means.alone(count)
        for name in self.columns:
            setattr(result, name, getattr(self, name)[:count].copy())
        return result

    def apply(self, change: NearestChange) -> None:
        """Make it so; `change` must have been worked out on this very state."""
        self.remove(change.gone)
        rows = self.add(list(change.added.values()))
        self.listed[rows] = change.listed
        self.write(*change.lists)

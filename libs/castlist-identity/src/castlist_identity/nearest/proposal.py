"""Which lists change as clusters go and come, and what these are then."""

from collections.abc import Iterator, Sequence

import numpy as np

from castlist_identity.clustering.means import Rows, Vectors
from castlist_identity.clustering.person_rows import BAND, BLOCK, ROUNDING, Flags, expanded, squares_of, stacked
from castlist_identity.domain import GalleryPerson, Matrix
from castlist_identity.nearest.listed_rows import ListedRows
from castlist_identity.nearest.lists import KEPT, Distances, Lists

_LARGEST = np.finfo(np.float32).max


class Proposal:
    """The clusters once the rows in `left` are empty and `added` are in `rows`, and whose lists that changes."""

    def __init__(
        self, before: ListedRows, left: Rows, added: Sequence[GalleryPerson], listed: Flags, rows: Rows
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

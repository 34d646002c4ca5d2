"""Which tracks of a video are two people: they were in one frame at two places, and they do not look like one person.

One person can be twice in a picture: in a mirror, a split screen, her own tile of a call. Their tracks are as near to
each other there as any two of one person, so being seen together parts only those that are farther apart than that.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from castlist.contract.box import Box
from castlist.contract.values import ENCODING_SIZE
from castlist.contract.vectors import Vector
from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.domain import Matrix, Track

_AT_ONCE = 20_000
Positions = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
"""[n, 2], each pair in both orders, sorted"""


class ToldApart:
    """Pairs of tracks, by their positions, that are two people.

    `tracks` are sorted by chunk; `means[i]` is None where track i has no encoding: seen together, it is somebody else.
    `distance` is Euclidean, as for PeopleSettings. Boxes that overlap may be one face detected twice and say nothing.
    """

    def __init__(self, tracks: Sequence[Track], means: Sequence[Vector | None], distance: float) -> None:
        rows = np.full((len(tracks), ENCODING_SIZE), np.nan)
        for i, mean in enumerate(means):
            if mean is not None:
                rows[i] = mean
        parts = [_different(pairs, rows, distance) for pairs in _seen_together(tracks)]
        self._pairs: Pairs = np.concatenate([np.zeros((0, 2), np.int64), *parts])

    def __len__(self) -> int:
        return len(self._pairs) // 2

    def others(self, track: int) -> Positions:
        """Who is somebody else than this track."""
        first, end = np.searchsorted(self._pairs[:, 0], (track, track + 1))
        return self._pairs[first:end, 1]

    def between(self, group_of: Positions) -> Pairs:
        """Which groups hold two people who are told apart; `group_of[i]` is the group of track i, below 0 is none."""
        groups = group_of[self._pairs]
        return np.unique(groups[(groups >= 0).all(axis=1) & (groups[:, 0] != groups[:, 1])], axis=0)


def _seen_together(tracks: Sequence[Track]) -> Iterator[Pairs]:
    """Chunk by chunk, as no frame is in two of them."""
    first = 0
    for _, chunk in groupby(tracks, key=lambda track: track.chunk):
        there = list(chunk)
        yield _pairs_of(there) + first
        first += len(there)


def _pairs_of(tracks: Sequence[Track]) -> Pairs:
    frames: dict[float, dict[int, Box]] = {}
    for i, track in enumerate(tracks):
        for sighting in track.sightings:
            frames.setdefault(round(sighting.time, 4), {})[i] = sighting.box
    together = np.zeros((len(tracks), len(tracks)), dtype=np.bool_)
    for present in frames.values():
        if len(present) > 1:
            together[np.ix_(list(present), list(present))] |= _beside(list(present.values()))
    return np.argwhere(together)


def _beside(boxes: Sequence[Box]) -> npt.NDArray[np.bool_]:
    """[n, n]: which of these have no pixel in common."""
    left, top, right, bottom = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], float).T
    wide = np.minimum(right[:, None], right) > np.maximum(left[:, None], left)
    high = np.minimum(bottom[:, None], bottom) > np.maximum(top[:, None], top)
    result: npt.NDArray[np.bool_] = ~(wide & high)
    np.fill_diagonal(result, False)
    return result


def _different(pairs: Pairs, means: Matrix, distance: float) -> Pairs:
    """Without those that are as near to each other as one person's tracks; who has no mean is near to nobody."""
    kept = [pairs[:0]]
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        near = np.sqrt(squared_distances(means[part[:, 0]], means[part[:, 1]])) <= distance
        kept.append(part[~near])
    return np.concatenate(kept)

"""The videos of a gallery in which people were seen together, and what they say of how alike these people are."""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.calibration import (
    SAME,
    SAMPLE,
    Flags,
    ImpostorPair,
    impostor_pair,
    spread_of,
    were_together,
)


class CoOccurrence:
    """Of which videos it is known; who is in them `persons_of` says. Takes time for what changes.

    Which SAMPLE of them are looked at is decided by a hash of their ids: by chance, yet by nothing but the set. In a
    large gallery it hardly changes from one commit to the next.
    """

    def __init__(self, persons_of: Callable[[str], Sequence[GalleryPerson]]) -> None:
        self._persons_of = persons_of
        self._order: list[str] = []
        self._pairs: dict[str, ImpostorPair] = {}
        self._sample: list[ImpostorPair] = []
        self._near: Flags = np.zeros((0, 0), dtype=np.bool_)
        self._spread = 1.0

    def spread(self, after: Mapping[str, Sequence[GalleryPerson]]) -> float:
        """`spread_of` the sample once these videos have these persons and the others are as they are."""
        new = {video: pair for video, persons in after.items() if (pair := impostor_pair(persons)) is not None}
        old = islice((video for video in self._order if video not in after), SAMPLE)
        order = sorted([*old, *new], key=_place)[:SAMPLE]
        sample = [new.get(video) or self._pair(video) for video in order]
        if sample != self._sample:
            self._near = self._near_of(sample)
            self._sample = sample
            self._spread = spread_of(sample, self._near)
        return self._spread

    def load(self, videos: Iterable[str]) -> None:
        """All there are."""
        self._order = sorted((video for video in videos if were_together(self._persons_of(video))), key=_place)

    def replace(self, after: Mapping[str, Sequence[GalleryPerson]]) -> None:
        """These videos have these persons from now on."""
        for video, persons in after.items():
            self._pairs.pop(video, None)
            row = bisect_left(self._order, _place(video), key=_place)
            if row < len(self._order) and self._order[row] == video:
                del self._order[row]
            if were_together(persons):
                insort(self._order, video, key=_place)
        sampled = set(self._order[:SAMPLE])
        self._pairs = {video: pair for video, pair in self._pairs.items() if video in sampled}

    def _pair(self, video: str) -> ImpostorPair:
        if video not in self._pairs:
            pair = impostor_pair(self._persons_of(video))
            assert pair is not None, video
            self._pairs[video] = pair
        return self._pairs[video]

    def _near_of(self, sample: Sequence[ImpostorPair]) -> Flags:
        """[2n, 2n]: who of the sample is within SAME of whom. Measured for those only who were not in the last one:
        a D² is the same number whenever, and beside whatever others, it is computed."""
        ends = [end for pair in sample for end in (pair.one, pair.other)]
        near = np.zeros((len(ends), len(ends)), dtype=np.bool_)
        last = {pair: i for i, pair in enumerate(self._sample)}
        kept = [(2 * i + end, 2 * last[p] + end) for i, p in enumerate(sample) if p in last for end in (0, 1)]
        now, before = [i for i, _ in kept], [i for _, i in kept]
        near[np.ix_(now, now)] = self._near[np.ix_(before, before)]
        means = np.array([end.mean for end in ends], dtype=np.float64)
        variances = np.array([end.variance for end in ends], dtype=np.float64)
        for i in sorted(set(range(len(ends))) - set(now)):
            near[i] = near[:, i] = squared_distances(means[i], means) + (variances + variances[i]) <= SAME**2
        return near


def _place(video: str) -> tuple[bytes, str]:
    return hashlib.blake2b(video.encode(), digest_size=8).digest(), video

"""The videos of a gallery in which people were seen together, and what they say of how alike these people are."""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.calibration import SAME, SAMPLE, Flags, ImpostorPair, impostor_pair, spread_of


class CoOccurrence:
    """Takes memory for those videos, and time for what changes.

    Which SAMPLE of them are looked at is decided by a hash of their ids: by chance, yet by nothing but the set. In a
    large gallery it hardly changes from one commit to the next.
    """

    def __init__(self) -> None:
        self._order: list[tuple[bytes, str]] = []
        self._pairs: dict[str, ImpostorPair] = {}
        self._sample: list[ImpostorPair] = []
        self._near: Flags = np.zeros((0, 0), dtype=np.bool_)
        self._spread = 1.0

    def spread(self, after: Mapping[str, Sequence[GalleryPerson]]) -> float:
        """`spread_of` the sample once these videos have these persons and the others are as they are."""
        new = {video: pair for video, persons in after.items() if (pair := impostor_pair(persons)) is not None}
        old = islice((entry for entry in self._order if entry[1] not in after), SAMPLE)
        order = sorted([*old, *((_rank(video), video) for video in new)])[:SAMPLE]
        sample = [new.get(video) or self._pairs[video] for _, video in order]
        if sample != self._sample:
            self._near = self._near_of(sample)
            self._sample = sample
            self._spread = spread_of(sample, self._near)
        return self._spread

    def replace(self, after: Mapping[str, Sequence[GalleryPerson]]) -> None:
        """These videos have these persons from now on."""
        for video, persons in after.items():
            entry = (_rank(video), video)
            if self._pairs.pop(video, None) is not None:
                del self._order[bisect_left(self._order, entry)]
            if (pair := impostor_pair(persons)) is not None:
                self._pairs[video] = pair
                insort(self._order, entry)

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


def _rank(video: str) -> bytes:
    return hashlib.blake2b(video.encode(), digest_size=8).digest()

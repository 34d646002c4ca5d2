"""A cluster as if it were one person: what average link, and people's nearest others, need to know of it."""

from collections.abc import Sequence

import numpy as np

from castlist_identity.domain import GalleryPerson


def summary(key: str, persons: Sequence[GalleryPerson]) -> GalleryPerson:
    """The persons' mean, and a variance with which D² to it is the mean of D² to each of them.

    The mean over pairs of squared distances is the squared distance of the means plus the scatter around each. A
    function of the sequence, bit for bit: give the persons in one order.
    """
    if len(persons) == 1:
        return GalleryPerson(key, "", persons[0].mean, persons[0].variance)
    rows = np.array([member.mean for member in persons], dtype=np.float64)
    mean = rows.mean(axis=0)
    scatter = float(((rows - mean) ** 2).sum(axis=1).mean())
    variance = scatter + float(np.mean([member.variance for member in persons]))
    return GalleryPerson(key, "", mean.astype(np.float32), variance)

"""Who objects to being known: an encoding of each, by which they are found, and left out. Pure."""

from collections.abc import Iterable, Mapping

import numpy as np

from castlist.contract.vectors import Vector
from castlist_identity.domain import GalleryPerson


def objecting(people: Iterable[GalleryPerson], encodings: Mapping[str, Vector], distance: float) -> dict[str, str]:
    """Of those people who are someone that objects: whose encoding, by id, it is.

    By the D up to which two persons are one in their gallery, each with each: what others there are says nothing. Of
    several the nearest, and of two as near the smaller id.
    """
    ids = sorted(encodings)
    if not ids:
        return {}
    rows = np.array([encodings[id] for id in ids], dtype=np.float64)
    found: dict[str, str] = {}
    for one in people:
        squared = ((rows - one.mean.astype(np.float64)) ** 2).sum(axis=1) + one.variance
        nearest = int(np.argmin(squared))
        if squared[nearest] <= distance * distance:
            found[one.key] = ids[nearest]
    return found

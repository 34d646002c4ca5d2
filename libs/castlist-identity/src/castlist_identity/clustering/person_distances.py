"""D² between persons: the squared distance of their means, plus both variances.

A mean over many faces lies nearer to everything than one face does; the variances put that back.
"""

from collections.abc import Sequence

import numpy as np

from castlist_identity.clustering.average_link import pairwise, squared_distances
from castlist_identity.domain import GalleryPerson, Matrix


def person_distances(one: GalleryPerson, many: Sequence[GalleryPerson]) -> Matrix:
    """D² of a person to each of others[n]."""
    rows = np.array([member.mean for member in many], dtype=np.float64).reshape(len(many), len(one.mean))
    variances = np.array([member.variance for member in many], dtype=np.float64)
    result: Matrix = squared_distances(one.mean.astype(np.float64), rows) + (variances + one.variance)
    return result


def person_distance_matrix(members: Sequence[GalleryPerson]) -> Matrix:
    """D²[n, n] between persons, the same numbers as `person_distances` gives one by one."""
    variances = np.array([member.variance for member in members], dtype=np.float64)
    result: Matrix = pairwise([member.mean for member in members]) + (variances[:, np.newaxis] + variances)
    return result

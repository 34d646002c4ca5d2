"""How far off the nearest others of somebody are, and a distance measured by that.

One distance serves no gallery well: a few faces lie near everybody of their kind, others have nobody near for a long
way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from castlist_identity.domain import Matrix

COHORT = 10
"""Nearest others by which a cluster is measured."""
FAR = 0.68
"""D from which on it does not matter how far another one is."""
USUAL, TYPICAL = 0.62, 0.83
"""Among strangers the mean D of the cohort in a large gallery, and of any two people."""
PRIOR = 2
"""How many others at TYPICAL are put beside those a small gallery has, before it says how far apart its people are."""


def cohort(clusters: int) -> int:
    """By how many of its nearest others each of so many clusters is measured: those of a few are not all strangers."""
    return min(COHORT, (clusters - 1) // 6)


FULL = 6 * COHORT + 1
"""Clusters from which on the cohort is full."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What distances of one kind are among strangers.

    `far`: from there on it does not matter how far another one is. `usual`, `typical`: the mean of the cohort in a
    large gallery, and of any two people.
    """

    far: float
    usual: float
    typical: float


OF_CLUSTERS = Scale(FAR, USUAL, TYPICAL)


def isolation(others: Iterable[float], scale: Scale = OF_CLUSTERS) -> float:
    """What stands for the isolation of somebody, from the distances to all others, however few.

    Those of the cohort there are, and for those missing what they would be if the gallery went on as it is: `usual`
    where the others are as far off as strangers are, less where they are nearer. The nearest may be oneself and says
    nothing.
    """
    there = sorted(others)
    used = cohort(len(there) + 1)
    nearest = [min(distance, scale.far) for distance in there[:used]]
    mean = (PRIOR * scale.typical + sum(there[1:])) / (PRIOR + len(there[1:]))
    usual = scale.usual * min(1.0, mean / scale.typical)
    return (sum(nearest) + (COHORT - used) * usual) / COHORT


def isolation_among_few(distances: Matrix, listed: Sequence[bool]) -> list[float]:
    """What stands for the isolation of each of n clusters, from all D[n, n] between them; fewer than FULL are `listed`,
    by which it is measured."""
    there = np.array(listed)
    return [isolation(row[there & (np.arange(len(row)) != i)].tolist()) for i, row in enumerate(distances)]


def normalised(distance: float, one: float, other: float, scale: Scale = OF_CLUSTERS) -> float:
    """The distance between two whose nearest others are so far off on average."""
    return max(0.0, distance - (one + other) / 2 + scale.far)

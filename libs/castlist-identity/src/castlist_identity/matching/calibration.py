"""How alike the people of a gallery are, learnt from those who were seen together. Pure; it needs no labels.

Two persons of one frame are two people whatever their encodings say (an impostor pair, as biometrics has it), so the D²
between such persons is a sample of how far apart the people of this gallery are. What comes of it depends on the set of
video persons alone: not on the order in which they came, nor on who was taken for whom.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.domain import GalleryPerson

Flags = npt.NDArray[np.bool_]

STRANGERS, ONE_PERSON = 0.505, 0.093
"""Median D² of two people, and of one person in two videos, where `auto`'s steps were simulated: what
`reference()` of bench/encodings_of_people.py finds."""
SAMPLE = 128
"""Videos looked at: enough to see that people are 0.9 times as far apart as strangers, in a few milliseconds."""
SAME = 0.36
"""D up to which two persons may be one when it is asked how many people the evidence is about; no claim that they are.
Wider, people who are very much alike would pass for few; narrower, one pair filmed often would pass for several."""
SURE = 3.0
"""Standard errors of the median by which people must be nearer to each other than strangers are. So nothing comes of
fewer than SURE² independent pairs."""
LEAST = 0.86
"""A spread above it counts as none: what chance makes of strangers, and less than a step."""
FLOOR, GRID = 0.34, 0.02
"""Below FLOOR recall loses more than precision gains, however alike people are. On a GRID because all persons have to
be reconsidered whenever the distance changes."""
_SHARED = np.array([0, 1, 4, 4, 4])
"""Four times the correlation of the D² of two pairs that have 0, 1, 2… people in common; half of what makes a D²
large is how unusual each of the two people is."""
_UNIT = 720_720
"""A pair's weight, to be divided by how often its people were seen: whole numbers add up the same in any order."""


def calibrated(step: float, spread: float) -> float:
    """The D at which people of this spread are told apart as strangers are at `step`; never more than `step`.

    What makes D² between two people is shrunk, what makes it within one is not.
    """
    if spread >= 1:
        return step
    squared = ONE_PERSON + (step * step - ONE_PERSON) * spread
    return min(step, max(FLOOR, round(GRID * round(sqrt(squared) / GRID), 2)))


@dataclass(frozen=True, slots=True)
class ImpostorPair:
    """Two persons of one video who were seen together, and their D²."""

    one: GalleryPerson
    other: GalleryPerson
    squared: float


def were_together(persons: Iterable[GalleryPerson]) -> bool:
    """Whether any two were seen together: whether `impostor_pair` finds one."""
    there = list(persons)
    keys = {person.key for person in there}
    return any(not keys.isdisjoint(person.apart) for person in there)


def impostor_pair(persons: Iterable[GalleryPerson]) -> ImpostorPair | None:
    """The pair that stands for a video: of its persons who were seen together those with the median D².

    One for each video, so that a crowd does not outvote the others; of two middle ones the farther. None where no two
    was seen together.
    """
    ordered = sorted(persons, key=lambda person: person.key)
    place = {person.key: i for i, person in enumerate(ordered)}
    apart = ((i, place[key]) for i, person in enumerate(ordered) for key in person.apart if key in place)
    together = {(min(pair), max(pair)) for pair in apart}
    if not together:
        return None
    squared = person_distance_matrix(ordered)
    found = sorted((float(squared[i, j]), i, j) for i, j in together)
    middle, i, j = found[len(found) // 2]
    return ImpostorPair(ordered[i], ordered[j], middle)


def spread_of(pairs: Sequence[ImpostorPair], near: Flags) -> float:
    """The variance between these people as a part (0…1) of what it is between strangers.

    1 where the pairs do not show that it is less at all. `near[2n, 2n]` says which of their persons (one, other, one,
    other…) are within SAME of each other. The same pair filmed many times, or many pairs with one person in them, are
    little evidence: a pair weighs the less the more often one of its people is there, and what the pairs are worth
    together is counted by how many of them have people in common.
    """
    count = len(pairs)
    if count < SURE**2:
        return 1.0
    weights = _UNIT // near.sum(axis=1).reshape(count, 2).max(axis=1)
    common = near.reshape(count, 2, count, 2).sum(axis=(1, 3))
    np.fill_diagonal(common, 2)
    independent = 4 * int(weights.sum()) ** 2 / int(weights @ _SHARED[common] @ weights)
    order = sorted(range(count), key=lambda i: pairs[i].squared)
    sums = np.cumsum(weights[order])

    def quantile(share: float) -> float:
        return pairs[order[int(np.searchsorted(sums, share * sums[-1]))]].squared

    highest = 0.5 + SURE / (2 * sqrt(independent))
    if highest > 1 or quantile(highest) >= STRANGERS:
        return 1.0
    spread = max(0.0, (quantile(0.5) - ONE_PERSON) / (STRANGERS - ONE_PERSON))
    return 1.0 if spread > LEAST else spread

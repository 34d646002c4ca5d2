"""What the pure stages of the aggregator take and give: plain values, no events, no documents.

Encodings and means are float32[128]. They are kept in the width they are stored in, so that a gallery loaded from
MongoDB computes bit for bit what the running one did.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from castlist.contract.box import Box
from castlist.contract.values import Crop, LeftOutFace, Segment, Sighting
from castlist.contract.vectors import Vector, VectorFace

Matrix = npt.NDArray[np.float64]


class SightedAt(NamedTuple):
    """Where a person was at one moment: seconds from the start of the video, and the face."""

    time: float
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face followed through one chunk. (chunk, index) is unique within a task."""

    chunk: int
    index: int
    sightings: tuple[Sighting, ...]
    faces: tuple[VectorFace, ...]
    crop: Crop | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VideoPerson:
    """One person as found in one video, before it is matched with the gallery.

    `n` counts a video's persons in the order in which they are first seen. `variance` is the mean squared distance of
    the faces from `mean`, capped. `faces` counts sightings. `places` are thinned sightings, for inheritance by overlap.
    `apart` names the persons (`n`) of this video that were seen together with this one. `tracks` are all that it was
    put together of, as (chunk, index), in order.
    """

    n: int
    mean: Vector
    variance: float
    faces: int
    segments: tuple[Segment, ...]
    seconds: float
    first_seen: float
    last_seen: float
    crop: Crop | None
    places: tuple[SightedAt, ...]
    apart: tuple[int, ...]
    tracks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class VideoPeople:
    """A video's persons, how many sightings belong to no person, by reason, and some of these."""

    people: tuple[VideoPerson, ...]
    skipped: Mapping[str, int]
    left_out: tuple[LeftOutFace, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class GalleryPerson:
    """What matching needs to know of a video person that is, or is to be, in a gallery.

    `apart` holds the keys of persons that it was seen together with. `name` is what this person was called by
    hand (all persons a profile has when it is named carry the name from then on); two names never share a profile.
    `faceless`: no face of this person is known, and `mean` is far from everybody's.
    """

    key: str
    video: str
    mean: Vector
    variance: float
    apart: frozenset[str] = frozenset()
    name: str | None = None
    faceless: bool = False


Pair = tuple[str, str]


@dataclass(frozen=True)
class PairConstraints:
    """What people decided by hand, as pairs of person keys. A `cannot` outranks every `must` that contradicts it."""

    must_link: frozenset[Pair] = frozenset()
    cannot_link: frozenset[Pair] = frozenset()

    @cached_property
    def keys(self) -> frozenset[str]:
        """All persons that a pair names."""
        return frozenset(key for pair in self.must_link | self.cannot_link for key in pair)

    @cached_property
    def joined_to(self) -> Mapping[str, frozenset[str]]:
        """Of each person that a `must` names, with whom."""
        return _both_ways(self.must_link)

    @cached_property
    def parted_from(self) -> Mapping[str, frozenset[str]]:
        """Of each person that a `cannot` names, from whom."""
        return _both_ways(self.cannot_link)

    def part(self, one: GalleryPerson, other: GalleryPerson) -> bool:
        """Whether these two may not be one, whatever their distance: by decision, by sight, or by their names."""
        names = {one.name, other.name} - {None}
        decided = other.key in self.parted_from.get(one.key, ())
        return other.key in one.apart or one.key in other.apart or len(names) > 1 or decided


def _both_ways(pairs: Iterable[Pair]) -> dict[str, frozenset[str]]:
    found = defaultdict[str, set[str]](set)
    for one, other in pairs:
        found[one].add(other)
        found[other].add(one)
    return {key: frozenset(others) for key, others in found.items()}

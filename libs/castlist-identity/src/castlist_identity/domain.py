"""What the pure stages of the aggregator take and give: plain values, no events, no documents.

Encodings and means are float32[128]. They are kept in the width they are stored in, so that a gallery loaded from
MongoDB computes bit for bit what the running one did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Encoding = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


class Box(NamedTuple):
    """A face in its frame, in pixels of the upright frame."""

    left: float
    top: float
    width: float
    height: float


class Place(NamedTuple):
    """Where somebody was at one moment: seconds from the start of the video, and the face."""

    time: float
    box: Box


class Segment(NamedTuple):
    """A stretch of time in seconds, both ends included."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """A detection that belongs to a track. Sightings of one frame carry the very same `time`."""

    time: float
    box: Box
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A sighting that was encoded."""

    time: float
    box: Box
    score: float
    quality: float
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Crop:
    """The stored picture of a face; `quality` orders crops, more is better."""

    key: str
    time: float
    box: Box
    frame_width: int
    frame_height: int
    quality: float


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face followed through one chunk. (chunk, index) is unique within a task."""

    chunk: int
    index: int
    sightings: tuple[Sighting, ...]
    faces: tuple[Face, ...]
    crop: Crop | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VideoPerson:
    """One person as found in one video, before it is matched with the gallery.

    `n` counts a video's persons in the order in which they are first seen. `variance` is the mean squared distance of
    the faces from `mean`, capped. `faces` counts sightings. `places` are thinned sightings, for inheritance by overlap.
    `apart` names the persons (`n`) of this video that were seen together with this one.
    """

    n: int
    mean: Encoding
    variance: float
    faces: int
    segments: tuple[Segment, ...]
    seconds: float
    first_seen: float
    last_seen: float
    crop: Crop | None
    places: tuple[Place, ...]
    apart: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class VideoPeople:
    """A video's persons, and how many sightings belong to nobody, by reason."""

    people: tuple[VideoPerson, ...]
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """What matching needs to know of a video person that is, or is to be, in a gallery.

    `apart` holds the keys of persons that it was seen together with. `name` is what somebody called this person by
    hand (all persons a profile has when it is named carry the name from then on); two names never share a profile.
    """

    key: str
    video: str
    mean: Encoding
    variance: float
    apart: frozenset[str] = frozenset()
    name: str | None = None


Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Links:
    """What people decided by hand, as pairs of person keys. A `cannot` outranks every `must` that contradicts it."""

    must: frozenset[Pair] = frozenset()
    cannot: frozenset[Pair] = frozenset()

"""The profiles of a gallery as points, and which of them are nearest to a face, or to one another. Exact.

A profile is the mean of its video persons: strangers are told from its own people better by that than by its nearest
person (`bench/search_likeness.py`), and it costs as much whether it is in one video or in a hundred thousand.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

from castlist.contract.ids import video_of_person
from castlist.contract.values import ENCODING_SIZE
from castlist.contract.vectors import Vector
from castlist_identity.matching.same_person import OF_PICTURES, likeness, picture_likeness
from castlist_identity.nearest.isolation import COHORT, FULL, OF_CLUSTERS, Scale, isolation, normalised

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
N = TypeVar("N", np.float32, np.int32, np.uint32)
_GROWTH = 1.2
_NOBODY = -1
# How far products of float32 may be off a distance, at most: whoever is so near the last one is measured as well.
_SPARE = 8
_TOGETHER = 8
"""Profiles whose isolation is measured at once."""


@dataclass(frozen=True, slots=True)
class Match:
    """A profile, how far off it is, and the share of such pairs that are one person."""

    profile: str
    distance: float
    likeness: float


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A video person as the index takes it."""

    mean: Vector
    variance: float


class _Slots:
    """Texts, each with a number below `len(ids)`; those of texts that went are given anew."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.ids: list[str | None] = []
        self._free: list[int] = []

    def add(self, id: str) -> int:
        if (known := self.number.get(id)) is not None:
            return known
        if self._free:
            number = self._free.pop()
            self.ids[number] = id
        else:
            number = len(self.ids)
            self.ids.append(id)
        self.number[id] = number
        return number

    def remove(self, id: str) -> int:
        number = self.number.pop(id)
        self.ids[number] = None
        self._free.append(number)
        return number

    @property
    def size(self) -> int:
        """Bytes, nearly: the table, and an id of some forty characters each."""
        return sys.getsizeof(self.number) + sys.getsizeof(self.ids) + 96 * len(self.number)


class FaceIndex:
    """The profiles of one gallery. Changes are made by `change`; what is asked changes nothing."""

    def __init__(self) -> None:
        self._persons, self._profiles = _Slots(), _Slots()
        self._means = np.empty((0, ENCODING_SIZE), np.float32)
        self._variances = np.empty(0, np.float32)
        self._profile_of = np.empty(0, np.int32)
        self._video_of = np.empty(0, np.uint32)
        self._points = np.empty((0, ENCODING_SIZE), np.float32)
        self._lengths = np.empty(0, np.float32)
        self._scatter = np.empty(0, np.float32)
        self._isolation = np.empty((0, 2), np.float32)

    @property
    def profiles(self) -> int:
        """How many there are."""
        return len(self._profiles.number)

    @property
    def persons(self) -> int:
        """How many video persons they hold."""
        return len(self._persons.number)

    @property
    def size(self) -> int:
        """Bytes, nearly."""
        persons = sum(one.nbytes for one in (self._means, self._variances, self._profile_of, self._video_of))
        profiles = sum(one.nbytes for one in (self._points, self._lengths, self._scatter, self._isolation))
        return persons + profiles + self._persons.size + self._profiles.size

    def __contains__(self, person: str) -> bool:
        return person in self._persons.number

    def profile_of(self, person: str) -> str | None:
        """Whose it is; None where it is not here."""
        row = self._persons.number.get(person)
        return None if row is None else self._profiles.ids[self._profile_of[row]]

    def appearance(self, profile: str, video: str) -> list[str]:
        """The persons of a profile in a video."""
        slot = self._profiles.number.get(profile)
        if slot is None:
            return []
        of_video = self._video_of[: len(self._persons.ids)] == _hash(video)
        rows = np.flatnonzero(of_video & (self._profile_of[: len(self._persons.ids)] == slot))
        keys = (self._persons.ids[row] for row in rows)
        return [key for key in keys if key is not None and video_of_person(key) == video]

    # --- changing -----------------------------------------------------------------------------------------------------

    def change(self, placed: Mapping[str, str | None], new: Mapping[str, Person]) -> None:
        """Put each person into the profile that is said, or take it out; `new` has those that were not here. Who is
        neither here nor there is passed over."""
        touched: set[str] = set()
        for key, profile in placed.items():
            before = self.profile_of(key)
            if before is not None:
                touched.add(before)
            if profile is None:
                if before is not None:
                    self._profile_of[self._persons.remove(key)] = _NOBODY
                continue
            if before is None:
                if (person := new.get(key)) is None:
                    continue
                self._add(key, person)
            touched.add(profile)
            self._profile_of[self._persons.number[key]] = self._slot(profile)
        if touched:
            self._settle(touched)
            self._isolation[:] = np.nan

    def _add(self, key: str, person: Person) -> None:
        row = self._persons.add(key)
        if row >= len(self._means):
            room = _room(row)
            self._means = _grown(self._means, room)
            self._variances, self._video_of = _grown(self._variances, room), _grown(self._video_of, room)
            self._profile_of = _grown(self._profile_of, room, _NOBODY)
        self._means[row], self._variances[row] = person.mean, person.variance
        self._video_of[row] = _hash(video_of_person(key))

    def _slot(self, profile: str) -> int:
        slot = self._profiles.add(profile)
        if slot >= len(self._points):
            room = _room(slot)
            self._points = _grown(self._points, room)
            self._lengths = _grown(self._lengths, room, np.inf)
            self._scatter = _grown(self._scatter, room)
            self._isolation = _grown(self._isolation, room, np.nan)
        return slot

    def _settle(self, profiles: Iterable[str]) -> None:
        """The points of these profiles, from their persons; one without any goes."""
        slots = [self._profiles.number[profile] for profile in profiles]
        meant = np.zeros(len(self._profiles.ids) + 1, np.bool_)  # the last one is that of NOBODY
        meant[slots] = True
        rows = np.flatnonzero(meant[self._profile_of])
        rows = rows[np.argsort(self._profile_of[rows], kind="stable")]
        owners, starts, counts = np.unique(self._profile_of[rows], return_index=True, return_counts=True)
        if len(rows):
            means = self._means[rows]
            squares = np.einsum("ij,ij->i", means, means)
            points = np.add.reduceat(means, starts, axis=0, dtype=np.float64) / counts[:, None]
            # The mean squared distance from a mean is Σ|x|²/n - |μ|².
            scatter = np.add.reduceat(squares, starts, dtype=np.float64) / counts
            scatter -= np.einsum("ij,ij->i", points, points)
            variances = np.add.reduceat(self._variances[rows], starts, dtype=np.float64) / counts
            self._points[owners] = points
            self._lengths[owners] = np.einsum("ij,ij->i", points, points)
            self._scatter[owners] = np.maximum(scatter, 0) + variances
        for slot in set(slots) - set(owners.tolist()):
            gone = self._profiles.ids[slot]
            assert gone is not None
            self._lengths[self._profiles.remove(gone)] = np.inf

    # --- asking -------------------------------------------------------------------------------------------------------

    def nearest(self, face: Vector, count: int, within: float = np.inf) -> list[Match]:
        """The profiles nearest to an encoding, at most `count` that are no farther than `within`, the nearest first."""
        row = self._distances(face)
        return self._matches(row, count, within, OF_PICTURES, picture_likeness, lambda slot: self._distance(face, slot))

    def similar(self, profile: str, count: int, within: float = np.inf) -> list[Match]:
        """The profiles nearest to one, by D, as `nearest`; none where it is not here."""
        slot = self._profiles.number.get(profile)
        if slot is None:
            return []
        (row,) = self._distances_of([slot], OF_CLUSTERS)
        row[slot] = np.inf
        return self._matches(row, count, within, OF_CLUSTERS, likeness, lambda other: float(row[other]), slot)

    def _matches(
        self,
        row: Floats,
        count: int,
        within: float,
        scale: Scale,
        share: Callable[[float], float],
        exactly: Callable[[int], float],
        asked: int | None = None,
    ) -> list[Match]:
        smallest = _smallest(row, max(count + _SPARE, COHORT + 1))
        distances = {int(slot): exactly(int(slot)) for slot in smallest[: count + _SPARE]}
        nearest = sorted(distances.items(), key=lambda one: (one[1], self._profiles.ids[one[0]]))[:count]
        near = [(slot, distance) for slot, distance in nearest if distance <= within]
        slots = [slot for slot, _ in near]
        self._measure_isolation(slots if asked is None else [*slots, asked], scale)
        isolated = self._isolation[:, _kind(scale)]
        found = []
        for slot, distance in near:
            profile = self._profiles.ids[slot]
            assert profile is not None
            if asked is not None:
                own = float(isolated[asked])
            elif self.profiles >= FULL:
                own = _cohort_mean(row[[other for other in smallest if other != slot]][:COHORT], scale)
            else:
                own = isolation(self._others(row, slot), scale)
            measured = normalised(distance, own, float(isolated[slot]), scale)
            found.append(Match(profile, distance, share(measured)))
        return found

    def _measure_isolation(self, slots: Sequence[int], scale: Scale) -> None:
        """Know the isolation of these profiles, by the scale's kind of distance; it is kept until somebody changes."""
        known = self._isolation[:, _kind(scale)]
        missing = [slot for slot in slots if np.isnan(known[slot])]
        # Together: their distances to everybody are one product, for which the points are read once.
        for start in range(0, len(missing), _TOGETHER):
            some = missing[start : start + _TOGETHER]
            for slot, row in zip(some, self._distances_of(some, scale), strict=True):
                row[slot] = np.inf
                if self.profiles >= FULL:
                    known[slot] = _cohort_mean(np.partition(row, COHORT)[:COHORT], scale)
                else:
                    known[slot] = isolation(self._others(row, slot), scale)

    def _distances_of(self, slots: Sequence[int], scale: Scale) -> Floats:
        """From each of these profiles to each, by the scale's kind of distance."""
        squared = (-2 * self._points[slots]) @ self._points.T
        squared += self._lengths
        squared += self._lengths[slots][:, None]
        if scale is OF_CLUSTERS:
            squared += self._scatter
            squared += self._scatter[slots][:, None]
        np.maximum(squared, 0, out=squared)
        distances: Floats = np.sqrt(squared, out=squared)
        return distances

    def _distances(self, face: Vector) -> Floats:
        """From a face to each profile; infinite where there is none."""
        squared = self._points @ (-2 * face)
        squared += self._lengths
        squared += np.float32(face @ face)
        np.maximum(squared, 0, out=squared)
        distances: Floats = np.sqrt(squared, out=squared)
        return distances

    def _distance(self, face: Vector, slot: int) -> float:
        return float(np.linalg.norm(self._points[slot].astype(np.float64) - face))

    def _others(self, row: Floats, slot: int) -> Iterable[float]:
        """The distances to all but one."""
        return [float(row[other]) for other in self._profiles.number.values() if other != slot and row[other] < np.inf]


def _kind(scale: Scale) -> int:
    return int(scale is OF_CLUSTERS)


def _hash(video: str) -> int:
    return crc32(video.encode())


def _room(needed: int) -> int:
    return max(64, int(_GROWTH * (needed + 1)))


def _grown(array: npt.NDArray[N], room: int, fill: float = 0.0) -> npt.NDArray[N]:
    grown = np.full((room, *array.shape[1:]), fill, array.dtype)
    grown[: len(array)] = array
    return grown


def _smallest(row: Floats, count: int) -> Rows:
    """Where the smallest finite values are, in their order."""
    where = np.argpartition(row, count)[:count] if count < len(row) else np.arange(len(row))
    where = where[np.argsort(row[where], kind="stable")]
    return where[np.isfinite(row[where])]


def _cohort_mean(nearest: Floats, scale: Scale) -> float:
    return float(np.minimum(nearest, np.float32(scale.far)).mean(dtype=np.float64))

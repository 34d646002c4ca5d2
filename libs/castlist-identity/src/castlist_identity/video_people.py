"""The people of one video, from its tracks.

Strong tracks found persons by average link over their mean encodings; weak ones may only join a person. A track that
is cut by a chunk border, or by a scene, is two tracks here, and clustering puts it together again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import Crop, Segment, Sighting
from castlist.contract.vectors import Vector, VectorFace
from castlist_identity.average_link import NEVER, average_link, pairwise, squared_distances
from castlist_identity.domain import SightedAt, Track, VideoPeople, VideoPerson


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """Which tracks may found a person, and how near two of them must be.

    `distance` is Euclidean, over track means. `min_width` is in pixels and met by the median of a track's sightings,
    `min_score` by the best of them. `segment_gap` is in seconds. `places_per_second` thins what is kept of sightings.
    """

    distance: float = 0.38
    min_sightings: int = 2
    min_score: float = 0.3
    min_width: float = 50.0
    variance_cap: float = 0.04
    segment_gap: float = 2.0
    places_per_second: float = 5.0


def people_of_video(tracks: Iterable[Track], settings: PeopleSettings | None = None) -> VideoPeople:
    """Who is in a video: a function of the set of its tracks, whatever order they come in.

    Faces whose encoding is not finite are ignored. Sightings of weak tracks that fit no person are counted under why
    they are weak: `too_small`, `low_score`, `too_few_sightings`, or `not_encoded` where no face was encoded.
    """
    rules = settings or PeopleSettings()
    ordered = sorted(tracks, key=lambda track: (track.chunk, track.index))
    faces = [_usable(track) for track in ordered]
    weaknesses = [_weakness(track, usable, rules) for track, usable in zip(ordered, faces, strict=True)]
    apart = seen_together(ordered)
    founders = [i for i, weakness in enumerate(weaknesses) if weakness is None]
    groups = _persons(founders, faces, apart, rules)
    moments = [_mean_and_variance([face for i in group for face in faces[i]], rules) for group in groups]
    weak = [i for i, weakness in enumerate(weaknesses) if weakness is not None]
    joined = _attach(weak, [mean for mean, _ in moments], groups, faces, apart, rules)
    people = [
        _Found([ordered[i] for i in group], [ordered[i] for i in joined[p]], group + joined[p], *moments[p])
        for p, group in enumerate(groups)
    ]
    people.sort(key=lambda person: person.order)
    taken = {i for person in people for i in person.tracks}
    skipped: Counter[str] = Counter()
    for i, weakness in enumerate(weaknesses):
        if weakness is not None and i not in taken:
            skipped[weakness] += len(ordered[i].sightings)
    return VideoPeople(tuple(_person(n, people, apart, rules) for n in range(len(people))), dict(skipped))


def seen_together(tracks: Sequence[Track]) -> frozenset[tuple[int, int]]:
    """Pairs (i, j), i < j, of tracks that were in one frame at two places: these are two people.

    Boxes that overlap may be one face detected twice and say nothing.
    """
    frames: dict[float, list[tuple[int, Box]]] = defaultdict(list)
    for i, track in enumerate(tracks):
        for sighting in track.sightings:
            frames[round(sighting.time, 4)].append((i, sighting.box))
    pairs = (pair for present in frames.values() if len(present) > 1 for pair in combinations(present, 2))
    return frozenset((i, j) for (i, one), (j, other) in pairs if i != j and not one.shared(other))


def segments_of(times: Iterable[float], gap: float) -> tuple[Segment, ...]:
    """Stretches in which no two moments that follow each other lie more than `gap` seconds apart."""
    return join_segments((Segment(time, time) for time in times), gap)


def join_segments(segments: Iterable[Segment], gap: float) -> tuple[Segment, ...]:
    """The same stretches, sorted, with those joined that overlap or lie at most `gap` seconds apart."""
    joined: list[Segment] = []
    for segment in sorted(segments):
        if joined and segment.start - joined[-1].end <= gap:
            joined[-1] = Segment(joined[-1].start, max(joined[-1].end, segment.end))
        else:
            joined.append(segment)
    return tuple(joined)


def best_crop(crops: Iterable[Crop | None]) -> Crop | None:
    """The crop of the best quality; of equals the earliest."""
    present = [crop for crop in crops if crop is not None]
    return min(present, key=lambda crop: (-crop.quality, crop.time, crop.key), default=None)


def _usable(track: Track) -> list[VectorFace]:
    return [face for face in track.faces if bool(np.isfinite(face.encoding).all())]


def _weakness(track: Track, faces: Sequence[VectorFace], rules: PeopleSettings) -> str | None:
    if not track.sightings or median(sighting.box.width for sighting in track.sightings) < rules.min_width:
        return "too_small"
    if max(sighting.score for sighting in track.sightings) < rules.min_score:
        return "low_score"
    if len(track.sightings) < rules.min_sightings:
        return "too_few_sightings"
    return None if faces else "not_encoded"


def _persons(
    founders: Sequence[int],
    faces: Sequence[Sequence[VectorFace]],
    apart: frozenset[tuple[int, int]],
    rules: PeopleSettings,
) -> list[list[int]]:
    """Clusters of founding tracks, as positions of tracks."""
    distances = np.sqrt(pairwise([_mean(faces[i]) for i in founders]))
    position = {track: i for i, track in enumerate(founders)}
    for one, other in apart:
        if one in position and other in position:
            distances[position[one], position[other]] = distances[position[other], position[one]] = NEVER
    return [[founders[i] for i in cluster] for cluster in average_link(distances, rules.distance)]


def _attach(
    weak: Sequence[int],
    means: Sequence[Vector],
    groups: Sequence[Sequence[int]],
    faces: Sequence[Sequence[VectorFace]],
    apart: frozenset[tuple[int, int]],
    rules: PeopleSettings,
) -> list[list[int]]:
    """For each person the weak tracks that join it: the nearest pairs first, none that they were seen together with."""
    joined: list[list[int]] = [[] for _ in groups]
    if not groups:
        return joined
    rows = np.array(means, dtype=np.float64)
    near: list[tuple[float, int, int]] = []
    for i in weak:
        if faces[i]:
            distances = np.sqrt(squared_distances(_mean(faces[i]).astype(np.float64), rows))
            near += [(float(distances[p]), i, p) for p in np.nonzero(distances <= rules.distance)[0].tolist()]
    settled: set[int] = set()
    for _, i, p in sorted(near):
        together = any((min(i, j), max(i, j)) in apart for j in (*groups[p], *joined[p]))
        if i not in settled and not together:
            joined[p].append(i)
            settled.add(i)
    return joined


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    founding: list[Track]
    attached: list[Track]
    tracks: list[int]
    mean: Vector
    variance: float

    @property
    def sightings(self) -> list[Sighting]:
        return sorted(
            (sighting for track in (*self.founding, *self.attached) for sighting in track.sightings),
            key=lambda sighting: (sighting.time, sighting.box, -sighting.score),
        )

    @property
    def order(self) -> tuple[float, Box, int]:
        first = self.sightings[0]
        return first.time, first.box, min(self.tracks)


def _person(n: int, people: Sequence[_Found], apart: frozenset[tuple[int, int]], rules: PeopleSettings) -> VideoPerson:
    found = people[n]
    sightings = found.sightings
    segments = segments_of((sighting.time for sighting in sightings), rules.segment_gap)
    crop = best_crop(track.crop for track in found.founding) or best_crop(track.crop for track in found.attached)
    others = (
        m
        for m, other in enumerate(people)
        if m != n and any((min(i, j), max(i, j)) in apart for i in found.tracks for j in other.tracks)
    )
    return VideoPerson(
        n=n,
        mean=found.mean,
        variance=found.variance,
        faces=len(sightings),
        segments=segments,
        seconds=sum(segment.end - segment.start for segment in segments),
        first_seen=sightings[0].time,
        last_seen=sightings[-1].time,
        crop=crop,
        places=_thinned(sightings, rules.places_per_second),
        apart=tuple(others),
    )


def _thinned(sightings: Sequence[Sighting], rate: float) -> tuple[SightedAt, ...]:
    """One place for each 1/rate seconds at most: which moments these are does not depend on the rest of the video."""
    places: dict[int, SightedAt] = {}
    for sighting in sightings:
        places.setdefault(round(sighting.time * rate), SightedAt(sighting.time, sighting.box))
    return tuple(places.values())


def _mean(faces: Sequence[VectorFace]) -> Vector:
    mean: Vector = np.array([face.encoding for face in faces], dtype=np.float64).mean(axis=0).astype(np.float32)
    return mean


def _mean_and_variance(faces: Sequence[VectorFace], rules: PeopleSettings) -> tuple[Vector, float]:
    mean = _mean(faces)
    rows = np.array([face.encoding for face in faces], dtype=np.float64)
    return mean, min(float(squared_distances(mean.astype(np.float64), rows).mean()), rules.variance_cap)

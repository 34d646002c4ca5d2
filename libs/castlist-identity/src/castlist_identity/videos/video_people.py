"""The people of one video, from its tracks.

Strong tracks found persons by average link over their mean encodings; weak ones may only join a person. A track that
is cut by a chunk border, or by a scene, is two tracks here, and clustering puts it together again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Self

import numpy as np

from castlist.contract.box import Box
from castlist.contract.left_out import OF_A_VIDEO, put_together
from castlist.contract.values import AnalysisSettings, Crop, FrameSize, LeftOutFace, Segment, Sighting
from castlist.contract.vectors import Vector, VectorFace
from castlist_identity.clustering.average_link import squared_distances
from castlist_identity.domain import SightedAt, Track, VideoPeople, VideoPerson
from castlist_identity.videos.told_apart import ToldApart
from castlist_identity.videos.track_clusters import cluster_tracks

_WIDE = 50.0
"""Pixels of a face whose encoding is as good as any: those of 48 cost nothing, of 40 three per cent of recall."""


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """Which tracks may found a person, and how near two of them must be.

    `distance` is Euclidean, over track means; two tracks in one frame are one person (in a mirror, say) up to `twice`.
    `min_width` is in pixels and met by the median of a track's sightings, `min_score` by the best of them or of its
    faces.
    `segment_gap` is in seconds. `places_per_second` and `most_places` (of a person) thin what is kept of sightings.
    """

    distance: float = 0.38
    twice: float = 0.30
    min_sightings: int = 2
    min_score: float = 0.3
    min_width: float = _WIDE
    variance_cap: float = 0.04
    segment_gap: float = 2.0
    places_per_second: float = 5.0
    most_places: int = 512

    @classmethod
    def of(cls, settings: AnalysisSettings, frame: FrameSize) -> Self:
        """What a gallery's settings make of them for a video with such frames: who has smaller faces looked for wants
        them to be somebody."""
        return cls(
            distance=settings.in_video_distance,
            min_sightings=settings.minimum_sightings,
            min_width=min(settings.smallest_in(frame), _WIDE),
        )


def people_of_video(tracks: Iterable[Track], settings: PeopleSettings | None = None) -> VideoPeople:
    """Who is in a video: a function of the set of its tracks, whatever order they come in.

    Faces whose encoding is not finite are ignored. Sightings of weak tracks that fit no person are counted under why
    they are weak: `too_small`, `low_score`, `too_few_sightings`, or `not_encoded` where no face was encoded.
    """
    rules = settings or PeopleSettings()
    ordered = sorted(tracks, key=lambda track: (track.chunk, track.index))
    faces = [_usable(track) for track in ordered]
    means = [_mean(usable) if usable else None for usable in faces]
    weaknesses = [_weakness(track, usable, rules) for track, usable in zip(ordered, faces, strict=True)]
    apart = ToldApart(ordered, means, min(rules.twice, rules.distance))
    founders = [i for i, weakness in enumerate(weaknesses) if weakness is None]
    groups = cluster_tracks(founders, means, apart, rules.distance)
    moments = [_mean_and_variance([face for i in group for face in faces[i]], rules) for group in groups]
    weak = [i for i, weakness in enumerate(weaknesses) if weakness is not None]
    joined = _attach(weak, [mean for mean, _ in moments], groups, means, apart, rules)
    people = [
        _Found([ordered[i] for i in group], [ordered[i] for i in joined[p]], group + joined[p], *moments[p])
        for p, group in enumerate(groups)
    ]
    people.sort(key=lambda person: person.order)
    person_of = np.full(len(ordered), -1, dtype=np.int64)
    for n, person in enumerate(people):
        person_of[person.tracks] = n
    skipped: Counter[str] = Counter()
    left_out: list[LeftOutFace] = []
    for i, weakness in enumerate(weaknesses):
        if weakness is not None and person_of[i] < 0:
            skipped[weakness] += len(ordered[i].sightings)
            left_out += [LeftOutFace(seen.time, seen.box, weakness) for seen in ordered[i].sightings]
    others: dict[int, list[int]] = defaultdict(list)
    for n, other in apart.between(person_of).tolist():
        others[n].append(other)
    found = tuple(_person(n, person, others[n], rules) for n, person in enumerate(people))
    return VideoPeople(found, dict(skipped), put_together(left_out, OF_A_VIDEO))


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
    # Of a long track not all sightings are told, and with `auto` few of them were scored; its faces are those.
    scores = [*(seen.score for seen in track.sightings), *(face.score for face in track.faces)]
    if max(scores) < rules.min_score:
        return "low_score"
    if len(track.sightings) < rules.min_sightings:
        return "too_few_sightings"
    return None if faces else "not_encoded"


def _attach(
    weak: Sequence[int],
    centres: Sequence[Vector],
    groups: Sequence[Sequence[int]],
    means: Sequence[Vector | None],
    apart: ToldApart,
    rules: PeopleSettings,
) -> list[list[int]]:
    """For each person the weak tracks that join it: the nearest pairs first, none that somebody in it is apart from."""
    joined: list[list[int]] = [[] for _ in groups]
    if not groups:
        return joined
    person_of = np.full(len(means), -1, dtype=np.int64)
    for p, group in enumerate(groups):
        person_of[list(group)] = p
    rows = np.array(centres, dtype=np.float64)
    near: list[tuple[float, int, int]] = []
    for i in weak:
        if (mean := means[i]) is not None:
            distances = np.sqrt(squared_distances(mean.astype(np.float64), rows))
            near += [(float(distances[p]), i, p) for p in np.nonzero(distances <= rules.distance)[0].tolist()]
    for _, i, p in sorted(near):
        if person_of[i] < 0 and p not in person_of[apart.others(i)]:
            joined[p].append(i)
            person_of[i] = p
    return joined


@dataclass(frozen=True, eq=False)
class _Found:
    founding: list[Track]
    attached: list[Track]
    tracks: list[int]
    mean: Vector
    variance: float

    @cached_property
    def sightings(self) -> list[Sighting]:
        return sorted(
            (sighting for track in (*self.founding, *self.attached) for sighting in track.sightings),
            key=lambda sighting: (sighting.time, sighting.box, -sighting.score),
        )

    @property
    def order(self) -> tuple[float, Box, int]:
        first = self.sightings[0]
        return first.time, first.box, min(self.tracks)


def _person(n: int, found: _Found, apart: Sequence[int], rules: PeopleSettings) -> VideoPerson:
    sightings = found.sightings
    segments = segments_of((sighting.time for sighting in sightings), rules.segment_gap)
    crop = best_crop(track.crop for track in found.founding) or best_crop(track.crop for track in found.attached)
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
        places=_thinned(sightings, rules),
        apart=tuple(apart),
        tracks=tuple(sorted((track.chunk, track.index) for track in (*found.founding, *found.attached))),
    )


def _thinned(sightings: Sequence[Sighting], rules: PeopleSettings) -> tuple[SightedAt, ...]:
    """One place for each 1/rate seconds at most, or twice as long again and again, until there are few enough.

    Each is the first in its stretch of the clock: two runs over a video keep the same moments, and of one that was
    thinned more often than the other, a part of these.
    """
    places: dict[int, SightedAt] = {}
    for sighting in sightings:
        places.setdefault(round(sighting.time * rules.places_per_second), SightedAt(sighting.time, sighting.box))
    while len(places) > rules.most_places:
        halved: dict[int, SightedAt] = {}
        for stretch, place in places.items():
            halved.setdefault(stretch // 2, place)
        places = halved
    return tuple(places.values())


def _mean(faces: Sequence[VectorFace]) -> Vector:
    mean: Vector = np.array([face.encoding for face in faces], dtype=np.float64).mean(axis=0).astype(np.float32)
    return mean


def _mean_and_variance(faces: Sequence[VectorFace], rules: PeopleSettings) -> tuple[Vector, float]:
    mean = _mean(faces)
    rows = np.array([face.encoding for face in faces], dtype=np.float64)
    return mean, min(float(squared_distances(mean.astype(np.float64), rows).mean()), rules.variance_cap)

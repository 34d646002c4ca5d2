"""What a person should decide about a gallery: profiles that are nearly one, and profiles that only just are.

Both are measured as the second stage measures clusters: by D, normalised by what is usual around the two. How likely
they are one person at a normalised D was counted among synthetic strangers (`bench/suggestions.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distances
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.matching.same_person import likeness
from castlist_identity.nearest.isolation import FULL, normalised
from castlist_identity.nearest.nearest_change import NearestChange
from castlist_identity.nearest.nearest_clusters import NearestClusters

LIKELY = 0.25
"""Likeness from which two profiles are suggested."""
UNSURE = 0.985
"""Likeness up to which what holds a profile together is suggested to be looked at."""
Clusters = Sequence[Sequence[GalleryPerson]]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two profile ids, the smaller first, D between them, and the share of such pairs that are one person."""

    one: str
    other: str
    distance: float
    likeness: float


@dataclass(frozen=True, slots=True)
class WeakLink:
    """A profile, the videos of those of its persons that fit the others least, sorted; D between the two, and the share
    of such that are one person."""

    profile: str
    videos: tuple[str, ...]
    distance: float
    likeness: float


def suggestions(
    profiles: Mapping[str, Clusters],
    links: PairConstraints | None = None,
    followers: Mapping[str, Sequence[GalleryPerson]] | None = None,
) -> tuple[list[Suggestion], list[WeakLink]]:
    """Of profiles, given as their clusters of the first stage: those that may be one, the nearest pair first, and those
    that may be two, the furthest link first.

    Not those that were seen together, nor those that a person said are two. Two names may well be one person. Whom
    `followers` of a profile were seen with counts as well.
    """
    held = {profile: [one for cluster in of for one in cluster] for profile, of in sorted(profiles.items()) if any(of)}
    points = [summary(profile, persons) for profile, persons in held.items()]
    nearest = NearestClusters().change(added=points)
    everybody = {profile: [*there, *(followers or {}).get(profile, ())] for profile, there in held.items()}
    parted = _parted(everybody, links or PairConstraints())
    return _near_misses(nearest, parted), _weak_links(profiles, nearest)


def _near_misses(nearest: NearestChange, parted: Mapping[str, set[str]]) -> list[Suggestion]:
    found: dict[tuple[str, str], Suggestion] = {}
    for profile in nearest.keys():  # noqa: SIM118
        for distance, other in nearest_others(profile, nearest, parted.get(profile, set())):
            one, two = sorted((profile, other))
            there = likeness(normalised(distance, nearest.isolation(one), nearest.isolation(two)))
            if there >= LIKELY:
                found[one, two] = Suggestion(one, two, distance, there)
    return sorted(found.values(), key=lambda pair: (pair.distance, pair.one, pair.other))


def nearest_others(profile: str, nearest: NearestChange, parted: set[str]) -> Iterable[tuple[float, str]]:
    """Those that are near and may be the same: of a large gallery's those that are listed.

    Where two are likely one, one of them lists the other: were others nearer to both, normalised D would be FAR.
    """
    if nearest.count >= FULL:
        near = nearest.nearest(profile)
    else:
        keys = nearest.keys()
        others = [key for key in keys if key != profile]
        distances = person_distances(nearest.point(profile), [nearest.point(key) for key in others])
        near = [(sqrt(squared), key) for squared, key in zip(distances, others, strict=True)]
    return ((distance, other) for distance, other in near if other not in parted)


def _weak_links(profiles: Mapping[str, Clusters], nearest: NearestChange) -> list[WeakLink]:
    found: list[WeakLink] = []
    for profile, clusters in profiles.items():
        if len(clusters) < 2:
            continue
        furthest = max(_links(clusters), key=lambda link: (link[0], link[1]))
        isolation = nearest.isolation(profile)
        there = likeness(normalised(furthest[0], isolation, isolation))
        if there <= UNSURE:
            found.append(WeakLink(profile, furthest[1], furthest[0], there))
    return sorted(found, key=lambda link: (-link.distance, link.profile))


def _links(clusters: Clusters) -> Iterable[tuple[float, tuple[str, ...]]]:
    """D of each cluster to all the others together, and who is in it."""
    for i, cluster in enumerate(clusters):
        rest = [one for j, other in enumerate(clusters) if j != i for one in other]
        (squared,) = person_distances(summary("", cluster), [summary("", rest)])
        yield sqrt(squared), tuple(sorted({one.video for one in cluster}))


def _parted(held: Mapping[str, Iterable[GalleryPerson]], links: PairConstraints) -> dict[str, set[str]]:
    profile_of = {person.key: profile for profile, persons in held.items() for person in persons}
    apart = {(person.key, key) for persons in held.values() for person in persons for key in person.apart}
    parted: dict[str, set[str]] = defaultdict(set)
    for one, other in apart | links.cannot_link:
        if one in profile_of and other in profile_of:
            parted[profile_of[one]].add(profile_of[other])
            parted[profile_of[other]].add(profile_of[one])
    return parted

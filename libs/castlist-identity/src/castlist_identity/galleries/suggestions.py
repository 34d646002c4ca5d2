"""What a person should decide about a gallery: profiles that are nearly one, and profiles that only just are.

Both are measured as the second stage measures clusters: by D, normalised by what is usual around the two. How likely
they are one person at a normalised D was counted among synthetic strangers (`bench/suggestions.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import sqrt
from typing import Self

from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distances
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
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


@dataclass(frozen=True, slots=True, eq=False)
class ProfilesNow:
    """A gallery's profiles at one moment: `clusters` of the first stage, `profile_of` each the profile it belongs to,
    `joined` the clusters of profiles that are made of several, `parted` whom each profile is known not to be."""

    clusters: NearestClusters
    profile_of: Mapping[str, str]
    joined: Mapping[str, Clusters]
    parted: Mapping[str, set[str]]

    @classmethod
    def of(cls, gallery: Gallery) -> Self:
        """Nothing of it changes as the gallery does."""
        profile_of = {key: gallery.profile_of[key] for key in gallery.clusters}
        several = {profile for profile, count in Counter(profile_of.values()).items() if count > 1}
        joined = defaultdict[str, list[list[GalleryPerson]]](list)
        for key, profile in sorted(profile_of.items()):
            if profile in several:
                joined[profile].append([gallery.members[one] for one in gallery.clusters[key]])
        parted = defaultdict[str, set[str]](set)
        for one, other in chain(gallery.members.told_apart(), gallery.links.cannot_link):
            if one in gallery.profile_of and other in gallery.profile_of:
                parted[gallery.profile_of[one]].add(gallery.profile_of[other])
                parted[gallery.profile_of[other]].add(gallery.profile_of[one])
        return cls(gallery.nearest.copy(), profile_of, joined, parted)


def suggestions(now: ProfilesNow) -> tuple[list[Suggestion], list[WeakLink]]:
    """Profiles that may be one, the nearest pair first, and those that may be two, the furthest link first.

    Not those that were seen together, nor those that a person said are two. Two names may well be one person.
    """
    several = [key for key, profile in now.profile_of.items() if profile in now.joined]
    points = [summary(profile, [one for part in now.joined[profile] for one in part]) for profile in sorted(now.joined)]
    nearest = now.clusters.change(several, points)
    profile_of = {**now.profile_of, **{profile: profile for profile in now.joined}}
    return _near_misses(nearest, profile_of, now.parted), _weak_links(now.joined, nearest)


def _near_misses(
    nearest: NearestChange, profile_of: Mapping[str, str], parted: Mapping[str, set[str]]
) -> list[Suggestion]:
    """`profile_of` each key in `nearest`."""
    key_of = {profile_of[key]: key for key in nearest.keys()}  # noqa: SIM118
    found: dict[tuple[str, str], Suggestion] = {}
    for profile, key in sorted(key_of.items()):
        others = {key_of[other] for other in parted.get(profile, ()) if other in key_of}
        for distance, other in nearest_others(key, nearest, others):
            one, two = sorted((profile, profile_of[other]))
            there = likeness(normalised(distance, nearest.isolation(key), nearest.isolation(other)))
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


def _weak_links(joined: Mapping[str, Clusters], nearest: NearestChange) -> list[WeakLink]:
    found: list[WeakLink] = []
    for profile, clusters in joined.items():
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

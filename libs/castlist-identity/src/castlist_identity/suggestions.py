"""Pairs of profiles that may be one person, for a person to decide: what no distance can serve.

Photographs of one person years apart lie further from each other than strangers begin. What gives them away is that
they are each other's nearest, with no other nearly as near.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from castlist_identity.cluster_summary import summary
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.neighbour_index import NeighbourIndex, person_distances

REACH = 0.62
"""D beyond which even mutual nearest neighbours are strangers."""
MARGIN = 0.05
"""How much further the next nearest profile must be, seen from either side."""

CANDIDATES = 32
"""How many of a profile's nearest are looked at; all, where it was seen together with nearly as many."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two profile ids, the smaller first, and D between them."""

    one: str
    other: str
    distance: float


def suggestions(
    profiles: Mapping[str, Sequence[GalleryPerson]],
    links: PairConstraints | None = None,
    reach: float = REACH,
    margin: float = MARGIN,
) -> list[Suggestion]:
    """Profiles that are each other's nearest within `reach`, by a margin on both sides; the nearest pair first.

    Not those that were seen together, nor those that a person said are two. Two names may well be one person.
    """
    parted = _parted(profiles, links or PairConstraints())
    points = {profile: summary(profile, persons) for profile, persons in sorted(profiles.items()) if persons}
    index = NeighbourIndex()
    index.add(points.values())
    # Itself, those it is parted from, and two more: all it takes. All within reach may be half of the gallery.
    kept_apart = Counter(profile for profile, _ in parted)
    crowded = {profile for profile, count in kept_apart.items() if count > CANDIDATES - 3}
    near = dict(zip(points, index.nearest(list(points.values()), CANDIDATES), strict=True))
    nearest: dict[str, tuple[str, float]] = {}
    for profile, point in points.items():
        candidates = points if profile in crowded else [other for _, other in near[profile][0]]
        others = [other for other in candidates if other != profile and (profile, other) not in parted]
        if others:
            distances = np.sqrt(person_distances(point, [points[other] for other in others]))
            order = np.argsort(distances, kind="stable")
            best = float(distances[order[0]])
            if best <= reach and (len(order) == 1 or distances[order[1]] - best >= margin):
                nearest[profile] = (others[order[0]], best)
    found = [
        Suggestion(profile, other, distance)
        for profile, (other, distance) in nearest.items()
        if profile < other and nearest.get(other, ("", 0.0))[0] == profile
    ]
    return sorted(found, key=lambda suggestion: (suggestion.distance, suggestion.one))


def _parted(profiles: Mapping[str, Iterable[GalleryPerson]], links: PairConstraints) -> set[tuple[str, str]]:
    profile_of = {member.key: profile for profile, persons in profiles.items() for member in persons}
    apart = {(member.key, key) for persons in profiles.values() for member in persons for key in member.apart}
    pairs = (
        (profile_of[a], profile_of[b]) for a, b in apart | links.cannot_link if a in profile_of and b in profile_of
    )
    return {ordered for a, b in pairs for ordered in ((a, b), (b, a))}

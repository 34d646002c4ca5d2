"""Which persons of a gallery are one: a function of the set of persons, of what people decided, and of one distance.

In two stages: persons are joined up to the distance, and what that leaves by what is usual around it
(second_stage.py). In the first a join needs at least one pair within the distance, because a mean over pairs is never
below its smallest. So the connected components of the graph "D ≤ distance" (with what must be together as further
edges) can be clustered each for itself, and give exactly what clustering everything at once would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from castlist_identity.clustering.average_link import NEVER, average_link
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distance_matrix, person_distances
from castlist_identity.clustering.sparse_average_link import TooDenseError, sparse_link
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.matching.cluster_key import cluster_key
from castlist_identity.matching.crowd_sample import SAMPLE
from castlist_identity.matching.decided_groups import must_groups, positions
from castlist_identity.matching.followers import chosen, is_taken, options_of
from castlist_identity.matching.sampled_round import split_by_sample
from castlist_identity.matching.second_stage import STAGES, join_clusters, seen_together

DENSE = 1_000
"""Persons up to which a matrix of distances is small and fast."""
LARGEST_MATRIX = 5_000
"""Persons up to which one is made where they have too many neighbours: some 600 MB."""


def partition(
    members: Iterable[GalleryPerson],
    distance: float,
    links: PairConstraints | None = None,
    stages: int = STAGES,
    sample: int = SAMPLE,
) -> list[tuple[str, ...]]:
    """Clusters as sorted tuples of keys, sorted: those of the first stage, or of both.

    Of a crowd so many are clustered (crowd_sample.py).
    """
    everybody = {member.key: member for member in members}
    clusters, followers, further = by_rounds(everybody, distance, links or PairConstraints(), sample)
    return join_clusters(everybody, clusters, links or PairConstraints(), followers, stages, further)


def by_rounds(
    everybody: Mapping[str, GalleryPerson], distance: float, links: PairConstraints, sample: int = SAMPLE
) -> tuple[list[tuple[str, ...]], dict[str, list[str]], frozenset[str]]:
    """The clusters of all samples, who follows each, by its key, and all persons of further rounds than the first.

    Of each round the sample is clustered, the others follow the nearest of its clusters; those whom none takes are
    what the next round is about.
    """
    clusters: list[tuple[str, ...]] = []
    followers: dict[str, list[str]] = {}
    further = frozenset[str]()
    waiting = [everybody[key] for key in sorted(everybody)]
    while waiting:
        sampled, others = split_by_sample(waiting, links.keys, sample)
        found = first_stage(sampled, distance, links)
        homes = _homes(everybody, others, found, distance)
        clusters += found
        for key, home in sorted(homes.items()):
            if home is not None:
                followers.setdefault(home, []).append(key)
        waiting = [member for member in others if homes[member.key] is None]
        further |= {member.key for member in waiting}
    return sorted(clusters), followers, further


def _homes(
    everybody: Mapping[str, GalleryPerson],
    others: Sequence[GalleryPerson],
    clusters: Sequence[tuple[str, ...]],
    distance: float,
) -> dict[str, str | None]:
    called = {cluster_key(cluster): cluster for cluster in clusters}
    cluster_of = {one: key for key, cluster in called.items() for one in cluster}
    points = [summary(key, [everybody[one] for one in called[key]]) for key in sorted(called)] if others else []
    names = {key: {everybody[one].name for one in cluster} for key, cluster in called.items()}
    follow = {member.key for member in others}
    options: dict[str, Sequence[tuple[float, str]]] = {}
    for member in others:
        distances = person_distances(member, points).tolist()
        near = ((d, point.key) for d, point in zip(distances, points, strict=True) if d <= distance * distance)
        options[member.key] = options_of(member.name, near, names.__getitem__)
    seen = seen_together(everybody) if others else {}

    def taken(key: str, cluster: str, home: Callable[[str], str | None]) -> bool:
        return is_taken(key, cluster, seen.get(key, ()), follow.__contains__, home, cluster_of.get)

    def beside(key: str) -> set[str]:
        return seen.get(key, set()) & follow

    return chosen(follow, options.__getitem__, lambda _: None, taken, beside)


def first_stage(
    members: Iterable[GalleryPerson], distance: float, links: PairConstraints | None = None
) -> list[tuple[str, ...]]:
    """Clusters as sorted tuples of keys, sorted: average link on D², joined while D ≤ distance.

    Never together: persons seen together, persons with different names, and what `links.cannot_link` says. Clusters
    that `links.must_link` makes one stay clusters of their own, as tight as they are, and keep away from all of them
    whoever is kept from one; it outranks the first two of these rules and yields to the last. Up to DENSE persons it
    takes a matrix of their distances. Raises TooDenseError for many thousands who are nearly all within the distance of
    each other: no distance to be used.
    """
    ordered = sorted(members, key=lambda member: member.key)
    if len(ordered) == 1:
        return [(ordered[0].key,)]
    decided = links or PairConstraints()
    position = {member.key: i for i, member in enumerate(ordered)}
    forbidden = positions(decided.parted_from, position)
    apart = [*_parted(ordered, position), *forbidden]
    together = must_groups(len(ordered), positions(decided.joined_to, position), forbidden)
    clusters = None
    if len(ordered) > DENSE:
        try:
            clusters = sparse_link(ordered, distance * distance, apart, together)
        except TooDenseError:
            if len(ordered) > LARGEST_MATRIX:
                raise
    if clusters is None:
        distances = person_distance_matrix(ordered)
        for i, j in apart:
            distances[i, j] = distances[j, i] = NEVER
        clusters = average_link(distances, distance * distance, together)
    return [tuple(ordered[i].key for i in cluster) for cluster in clusters]


def _parted(ordered: Sequence[GalleryPerson], position: dict[str, int]) -> list[tuple[int, int]]:
    named = [i for i, member in enumerate(ordered) if member.name is not None]
    parted = [(i, j) for i in named for j in named if ordered[i].name != ordered[j].name]
    return parted + [(i, position[key]) for i, member in enumerate(ordered) for key in member.apart if key in position]

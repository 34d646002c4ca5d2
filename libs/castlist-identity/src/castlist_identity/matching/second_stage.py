"""The second stage of the partition: clusters that are nearer to each other than both are to their nearest others.

One distance serves no gallery well: a few faces lie near everybody of their kind, while others have nobody near for a
long way and differ from themselves by more than that. So D is measured by what is usual around the two: their nearest
others are a cohort, and D is normalised by it, as scores are in the verification of speakers.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from castlist_identity.clustering.average_link import EDGE, NEVER, average_link, united
from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.clustering.person_distances import person_distance_matrix
from castlist_identity.domain import GalleryPerson, Matrix, PairConstraints
from castlist_identity.matching.cluster_key import cluster_key
from castlist_identity.matching.decided_groups import must_groups, positions
from castlist_identity.nearest.isolation import FAR, FULL, normalised
from castlist_identity.nearest.nearest_change import NearestChange
from castlist_identity.nearest.nearest_clusters import NearestClusters

JOINED = 0.56
"""Normalised D up to which clusters join: two are nearer to each other by FAR - JOINED than both to their cohorts."""
STAGES = 2
"""How many there are, where nobody has set a distance by hand."""
LARGEST = 1_000
"""Clusters of one component past which none of it join: it takes a crowd such as no faces make, and would take long."""
Cluster = tuple[str, ...]


def join_clusters(
    members: Mapping[str, GalleryPerson],
    clusters: Iterable[Cluster],
    links: PairConstraints,
    followers: Mapping[str, Sequence[str]] | None = None,
    stages: int = STAGES,
    further: Collection[str] = (),
) -> list[Cluster]:
    """Clusters of the first stage, all there are, joined: sorted tuples of keys, sorted. In one stage: those alone that
    a decision makes one.

    `followers` are whoever belongs to a cluster without being part of it; they count only where they were seen.
    `further` are persons of further rounds, by whom nobody is measured.
    """
    parts = {cluster_key(cluster): cluster for cluster in clusters}
    beside = followers or {}
    points = [summary(key, [members[one] for one in parts[key]]) for key in sorted(parts)]
    beyond = {key for key, cluster in parts.items() if cluster[0] in further}
    everybody = NearestClusters().change(added=points, further=beyond)
    cluster_of = {one: key for key, cluster in parts.items() for one in (*cluster, *beside.get(key, ()))}
    seen = seen_together(members)

    def parted(component: Sequence[str]) -> list[tuple[int, int]]:
        return parted_by_sight(
            component,
            parts.__getitem__,
            lambda key: beside.get(key, ()),
            lambda key: len(parts[key]) + len(beside.get(key, ())),
            lambda key: seen.get(key, ()),
            cluster_of.get,
        )

    def decided(key: str) -> set[str]:
        return decided_with(parts[key], links, cluster_of.get)

    joined: list[Cluster] = []
    for component in components(everybody, everybody.keys(), decided, stages):
        held = {key: [members[one] for one in parts[key]] for key in component}
        for group in joined_of(everybody, component, held, parted, links, stages):
            joined.append(tuple(sorted(one for key in group for one in (*parts[key], *beside.get(key, ())))))
    return sorted(joined)


def seen_together(members: Mapping[str, GalleryPerson]) -> dict[str, set[str]]:
    """Of each who was, with whom, both ways."""
    seen: dict[str, set[str]] = defaultdict(set)
    for member in members.values():
        for other in member.apart & members.keys():
            seen[member.key].add(other)
            seen[other].add(member.key)
    return seen


def decided_with(cluster: Cluster, links: PairConstraints, cluster_of: Callable[[str], str | None]) -> set[str]:
    """The clusters that hold somebody who is one, by decision, with somebody of this one."""
    joined = (other for one in cluster if one in links.joined_to for other in links.joined_to[one])
    return {key for other in joined if (key := cluster_of(other)) is not None}


def components(
    clusters: NearestChange,
    seeds: Iterable[str],
    beside: Callable[[str], Iterable[str]] = lambda _: (),
    stages: int = STAGES,
) -> list[list[str]]:
    """The sets of clusters, each sorted, that can be joined without looking at any other, as far as they hold a seed.

    A join needs a pair within JOINED, as a mean is never below its parts. Such a pair is in the list of one of the two
    at least, once the cohort is full; until then everybody is one component. `beside` names further neighbours; in one
    stage there are no others.
    """
    if clusters.count < FULL and stages > 1:
        return [keys] if (keys := clusters.keys()) else []
    near = clusters.pairs(_limit) if stages > 1 else {}
    found: list[list[str]] = []
    seen: set[str] = set()
    for seed in seeds:
        if seed in seen:
            continue
        component, waiting = {seed}, [seed]
        while waiting:
            key = waiting.pop()
            for other in {*near.get(key, ()), *beside(key)} - component:
                component.add(other)
                waiting.append(other)
        seen |= component
        found.append(sorted(component))
    return found


def _limit(one: Matrix, other: Matrix | float) -> Matrix:
    """Up to which D two of these isolations may join."""
    return (one + other) / 2 - FAR + JOINED + EDGE


def joined_of(
    clusters: NearestChange,
    component: Sequence[str],
    held: Mapping[str, Sequence[GalleryPerson]],
    seen: Callable[[Sequence[str]], Iterable[tuple[int, int]]],
    links: PairConstraints,
    stages: int = STAGES,
) -> list[list[str]]:
    """Average link on the square of the normalised D over one component, each cluster weighing as many as it holds.

    Clusters that hold two who may not be one stay apart: seen together, which `seen` says, named differently, or
    parted by hand. Clusters that a decision makes one are one in the end.
    """
    together = _decided_groups(component, held, links)
    if stages == 1 or not 1 < len(component) <= LARGEST:
        return [[component[i] for i in group] for group in united([[i] for i in range(len(component))], together)]
    distances = person_distance_matrix([clusters.point(key) for key in component]) ** 0.5
    isolation = [clusters.isolation(key) for key in component]
    for i, one in enumerate(isolation):
        for j, other in enumerate(isolation):
            distances[i, j] = normalised(float(distances[i, j]), one, other) ** 2
    persons = [held[key] for key in component]
    for i, j in (*seen(component), *_parted(persons, links)):
        distances[i, j] = distances[j, i] = NEVER
    groups = average_link(distances, JOINED**2, together, [len(there) for there in persons])
    return [[component[i] for i in group] for group in united(groups, together)]


def _decided_groups(
    component: Sequence[str], held: Mapping[str, Sequence[GalleryPerson]], links: PairConstraints
) -> list[list[int]]:
    """Positions of the clusters that decisions make one, in groups of two and more."""
    pinned = {one.key: i for i, key in enumerate(component) for one in held[key] if one.key in links.joined_to}
    if not pinned:
        return []
    named = {one.key for key in component for one in held[key] if one.key in links.keys}
    place = {key: n for n, key in enumerate(sorted(named))}
    groups = must_groups(len(place), positions(links.joined_to, place), positions(links.parted_from, place))
    keys = sorted(named)
    clusters = [{pinned[keys[n]] for n in group} for group in groups]
    found = united([[i] for i in range(len(component))], [sorted(group) for group in clusters])
    return [group for group in found if len(group) > 1]


def parted_by_sight(
    component: Sequence[str],
    persons: Callable[[str], Iterable[str]],
    followers: Callable[[str], Iterable[str]],
    size: Callable[[str], int],
    beside: Callable[[str], Iterable[str]],
    cluster_of: Callable[[str], str | None],
) -> list[tuple[int, int]]:
    """Which clusters of a component, by position, hold two who were seen together.

    Of any two one is not the largest, so those who follow that one, who may be very many, need not be looked through.
    """
    place = {key: i for i, key in enumerate(component)}
    largest = max(component, key=lambda key: (size(key), key))
    found = set[tuple[int, int]]()
    for key in component:
        for one in (*persons(key), *(followers(key) if key != largest else ())):
            for other in beside(one):
                if (cluster := cluster_of(other)) in place and cluster != key:
                    found.add((place[key], place[cluster]))
    return sorted(found)


def _parted(held: Sequence[Sequence[GalleryPerson]], links: PairConstraints) -> list[tuple[int, int]]:
    place = {member.key: i for i, there in enumerate(held) for member in there}
    decided = ((one, other) for one in place if one in links.parted_from for other in links.parted_from[one])
    apart = [(place[one], place[other]) for one, other in decided if other in place]
    names = {i: found for i, there in enumerate(held) if (found := {one.name for one in there} - {None})}
    apart += [(i, j) for i in names for j in names if i < j and len(names[i] | names[j]) > 1]
    return [(i, j) for i, j in apart if i != j]

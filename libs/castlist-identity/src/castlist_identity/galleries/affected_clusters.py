"""The part of a gallery that a change touches, clustered again: the first stage."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from castlist_identity.clustering.person_distances import person_distance_matrix, person_distances
from castlist_identity.domain import GalleryPerson, PairConstraints
from castlist_identity.galleries.cluster_map import ClusterMap
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.members import Members
from castlist_identity.matching.partition import first_stage

SLICE = 64
"""How many persons' neighbours are held at once: with a distance that is too large these may be all."""


def renamed(member: GalleryPerson, name: str | None) -> GalleryPerson:
    return replace(member, name=name)


def with_rest(
    taken: Collection[tuple[str, ...]], group_of: Mapping[str, str], groups: Mapping[str, Collection[str]]
) -> list[tuple[str, ...]]:
    """These, and what they leave of the groups that their persons were in, sorted."""
    keys = {key for one in taken for key in one}
    left = [set(groups[group]) - keys for group in {group_of[key] for key in keys}]
    return sorted([*taken, *(tuple(sorted(group)) for group in left if group)])


class GalleryView(Protocol):
    """What is asked of a gallery here; `castlist_identity.galleries.gallery.Gallery` answers it."""

    distance: float
    links: PairConstraints
    members: Members
    clusters: ClusterMap

    @property
    def cluster_of(self) -> Mapping[str, str]: ...

    @property
    def reach(self) -> float: ...

    def near(self, keys: Iterable[str]) -> dict[str, set[str]]: ...


class AffectedClusters:
    """The sample of a round as it will be, and the part of it that the change touches.

    `change` is about the sample alone. `near` says who of it is within reach of each inserted, `sampled` who is in it.
    """

    def __init__(
        self,
        gallery: GalleryView,
        change: GalleryChange,
        near: Mapping[str, Collection[str]],
        sampled: Callable[[str], bool],
    ) -> None:
        self._gallery, self._change, self._sampled = gallery, change, sampled
        self.links = gallery.links if change.links is None else change.links
        self._new = {member.key: member for member in change.inserted}
        self._named = {key: renamed(gallery.members[key], name) for key, name in change.named.items()}
        self._edges = self._edges_of_new(near)
        self.near = {key: {other for other in self._edges[key] if self._present(other)} for key in self._new}
        for key in self._new:
            self._edges[key] |= self.links.joined_to.get(key, frozenset())

    def member(self, key: str) -> GalleryPerson:
        return self._new.get(key) or self._named.get(key) or self._gallery.members[key]

    def clusters(self, bound: int | None) -> tuple[list[tuple[str, ...]], frozenset[str]]:
        """Every touched cluster as it will be, sorted, and a person of each component that was too large."""
        clusters: list[tuple[str, ...]] = []
        unsettled: list[str] = []
        seen: set[str] = set()
        seeds = sorted(self._seeds())
        gallery, large = self._gallery, set[str]()
        # Whom the search will come to next, unless it ends before: many at once are found faster.
        around = [self._old_edges(key) for key in self._new]
        gallery.near({other for near in around if bound is None or len(near) <= bound for other in near})
        for seed in seeds:
            if seed in seen or gallery.cluster_of.get(seed) in large:
                continue
            component = self.component(seed, bound)
            if component is None:
                unsettled.append(seed)
                if seed in gallery.cluster_of:
                    large.add(gallery.cluster_of[seed])
                continue
            seen |= component
            clusters += first_stage((self.member(key) for key in component), self._gallery.distance, self.links)
        if unsettled:
            clusters += self._hasty(unsettled, seen)
        return sorted(clusters), frozenset(unsettled)

    def with_clusters(self, clustered: Collection[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """These clusters, and what they leave of those that their persons were in."""
        return with_rest(clustered, self._gallery.cluster_of, self._gallery.clusters)

    def _hasty(self, seeds: list[str], clustered: set[str]) -> list[tuple[str, ...]]:
        """Clusters as they are, with those of the seeds that are new added one by one to the nearest that takes them.

        What this does depends on the order of arrival, which is why it lasts only until the seeds are reconsidered.
        """
        gallery, limit = self._gallery, self._gallery.distance**2
        ids = {gallery.cluster_of[key] for key in (*self._change.removed, *seeds) if key not in self._new}
        ids |= {gallery.cluster_of[near] for key in seeds if key in self._new for near in self._old_edges(key)}
        groups = [{key for key in gallery.clusters[id] if self._present(key)} - clustered for id in sorted(ids)]
        groups = [group for group in groups if group]
        for key in seeds:
            if key in self._new:
                member, fits = self.member(key), []
                for i, group in enumerate(groups):
                    others = [self.member(other) for other in sorted(group)]
                    distance = float(person_distances(member, others).mean())
                    if distance <= limit and not any(self.links.part(member, other) for other in others):
                        fits.append((distance, i))
                if fits:
                    groups[min(fits)[1]].add(key)
                else:
                    groups.append({key})
        return [tuple(sorted(group)) for group in groups]

    def _old_edges(self, key: str) -> list[str]:
        return [other for other in self._edges.get(key, ()) if other not in self._new and self._present(other)]

    def _seeds(self) -> set[str]:
        change, gallery = self._change, self._gallery
        seeds = set(self._new) | set(change.named) | set(change.reconsider)
        # Every part that a component falls into holds a neighbour of who left it. Its cluster may reach further than
        # the component while the gallery is being retuned.
        for keys in gallery.near(change.removed).values():
            seeds |= keys
        for key in change.removed:
            seeds.update(gallery.clusters[gallery.cluster_of[key]])
            # Whom its own were kept from because of it they may join now.
            seeds |= gallery.links.joined_to.get(key, frozenset())
        if change.links is not None:
            decided = (change.links.must_link ^ gallery.links.must_link) | (
                change.links.cannot_link ^ gallery.links.cannot_link
            )
            seeds |= {key for pair in decided for key in pair}
        return {key for key in seeds if self._present(key)}

    def component(self, seed: str, bound: int | None) -> set[str] | None:
        """All persons connected with the seed: by distance, by decision, or by a cluster they share up to now.

        None where that is more persons than the bound allows.
        """
        gallery = self._gallery
        component, frontier = {seed}, {seed}
        while frontier:
            if bound is not None and len(component) > bound:
                return None
            reached: set[str] = set()
            old = [key for key in frontier if key not in self._new]
            for start in range(0, len(old), SLICE):
                for keys in gallery.near(old[start : start + SLICE]).values():
                    reached |= keys
            for key in frontier:
                reached |= self._edges.get(key, set())
                reached |= self.links.joined_to.get(key, frozenset())
            for cluster in {gallery.cluster_of[key] for key in old}:
                reached.update(gallery.clusters[cluster])
            frontier = {key for key in reached - component if self._present(key)}
            component |= frontier
        return component

    def _present(self, key: str) -> bool:
        return key in self._new or (self._sampled(key) and key not in self._change.removed)

    def _edges_of_new(self, found: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
        """Edges with at least one new end, from both ends."""
        edges: dict[str, set[str]] = defaultdict(set)
        new = self._change.inserted
        for key, near in found.items():
            for other in near:
                edges[key].add(other)
                edges[other].add(key)
        for one, other in zip(*(person_distance_matrix(new) <= self._gallery.reach).nonzero(), strict=True):
            edges[new[one].key].add(new[other].key)
        return edges
